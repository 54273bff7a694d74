"""What TAB offers, in the shells themselves. One mount serves all."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mounting import MountedStore, answer_of, run, s3fs_local

pytestmark = [pytest.mark.mount, pytest.mark.slow]

BASH = """
eval "$(s3fs-local completion bash)"
compopt() { true; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_s3fs_local_completion s3fs-local
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = 's3fs-local completion fish | source; complete -C "$argv[1]"'
ZSH = """
zmodload zsh/zpty
zpty shell 'PS1= ; exec zsh -f -i'
zpty -w shell 'autoload -U compinit; compinit -u -D; stty cols 500'
zpty -w shell 'source <(s3fs-local completion zsh)'
zpty -w shell 'LISTMAX=1000; setopt no_beep; print READY'
zpty -r -m shell line '*READY*READY*'
zpty -w -n shell "$1"$'\\t\\t'
zpty -r -m shell shown "*$2*"  # zsh lists nothing for who types on
zpty -w -n shell $'\\C-e; print DO''NE\\n'
zpty -r -m shell line '*DONE*'
print -r -- "$shown$line"
kill -KILL ${${"$(zpty)"#\\(}%%\\)*}  # of those that only lose their terminal, some spin for ever
"""


def words(text: str) -> list[str]:
    """The first word of each line that was offered; what follows explains it."""
    return [line.split("\t")[0].strip() for line in text.splitlines() if line.strip()]


def environment() -> dict[str, str]:
    """The program is found as an installed one is."""
    return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def by_bash(*typed: str) -> list[str]:
    """What bash offers for the last word."""
    line = ("bash", "-c", BASH, "bash", "s3fs-local", *typed)
    return words(run(*line, environment=environment()).stdout)


def by_fish(*typed: str) -> list[str]:
    """What fish offers for the last word."""
    line = " ".join(("s3fs-local", *typed))
    return words(run("fish", "--no-config", "-c", FISH, line, environment=environment()).stdout)


SHELLS = [
    pytest.param(by_bash, id="bash"),
    pytest.param(
        by_fish,
        id="fish",
        marks=pytest.mark.skipif(
            shutil.which("fish") is None, reason="needs fish: scripts/setup --tests"
        ),
    ),
]
each_shell = pytest.mark.parametrize("offered", SHELLS)
Offered = Callable[..., list[str]]


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MountedStore]:
    """A mounted store with a file of two versions and a deleted one."""
    base = tmp_path_factory.mktemp("completion")
    (base / "mount").mkdir()
    s3fs_local("init", base / "store")
    mount = MountedStore(base / "store", base / "mount")
    try:
        mount.mount()
        for content in ("one", "two"):
            (mount.path / "letter.txt").write_text(content)
        (mount.path / "gone.txt").write_text("x")
        (mount.path / "gone.txt").unlink()
        yield mount
    finally:
        mount.clean_up()


def version_ids(path: Path) -> list[str]:
    """The ids of the versions, newest first."""
    return [row["VersionId"] for row in answer_of("versions", path)["Versions"]]


@each_shell
def test_commands_are_offered(offered: Offered, mounted: MountedStore) -> None:
    """The script that `completion` prints works in its shell."""
    del mounted
    assert {"restore", "retention"} <= set(offered("re"))


@each_shell
def test_versions_of_the_path_are_offered(offered: Offered, mounted: MountedStore) -> None:
    """Nobody types an id of nineteen letters."""
    path = mounted.path / "letter.txt"

    assert offered("cat", str(path), "--version", "") == version_ids(path)
    newest = version_ids(path)[0]
    assert offered("diff", str(path), newest[:-1]) == [newest]
    assert offered("diff", str(path), "pre") == ["previous"]


@each_shell
def test_times_that_are_offered_show_what_was_made_then(
    offered: Offered, mounted: MountedStore
) -> None:
    """The newest first; the one of each version shows that version."""
    path = mounted.path / "letter.txt"
    times = offered("restore", str(path), "--at", "2")

    shown = [s3fs_local("cat", path, "--at", time).stdout for time in times]
    assert shown[0] == "two"
    assert "1d" in offered("restore", str(path), "--at", "1")


@each_shell
def test_deleted_names_are_offered_to_bring_them_back(
    offered: Offered, mounted: MountedStore
) -> None:
    """`ls` no longer tells how they were spelled."""
    gone = str(mounted.path / "gone.txt")

    assert offered("undelete", f"{mounted.path}/") == [gone]
    assert offered("versions", gone[:-3]) == [gone]


def shown_by_zsh(typed: str, awaited: str) -> str:
    """What zsh shows for the line, up to the word that is waited for and a little more."""
    command = ("zsh", "-f", "-c", ZSH, "zsh", f"s3fs-local {typed}", awaited)
    return run(*command, environment=environment()).stdout


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh: scripts/setup --tests")
def test_zsh_offers_versions_times_and_deleted_names_too(mounted: MountedStore) -> None:
    """Zsh completes at a terminal only, so it gets one."""
    path = mounted.path / "letter.txt"
    newest, *others = version_ids(path)
    versions = shown_by_zsh(f"cat {path} --version ", newest)
    times = shown_by_zsh(f"restore {path} --at 1", "an hour ago")
    shown_by_zsh(f"undelete {mounted.path}/go", "gone.txt")

    assert all(version_id in versions for version_id in others)
    assert "a week ago" in times


def test_a_store_that_is_not_mounted_is_not_opened_for_a_tab(tmp_path: Path) -> None:
    """It might ask for a passphrase, or take a minute to recover."""
    s3fs_local("init", tmp_path / "store")

    assert by_bash("cat", f"{tmp_path}/store:/f", "--version", "") == []
