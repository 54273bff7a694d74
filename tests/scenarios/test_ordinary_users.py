"""Somebody who is not root makes, mounts, uses and unmounts a store; root shares one with all."""

import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MakeMount
from tests.mounting import (
    MARK,
    Completed,
    instant_now,
    is_mounted,
    let_go_of_mounts,
    processes_marked,
    run,
)

pytestmark = [
    pytest.mark.mount,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root can"),
]

NOBODY = 65534
PROJECT = Path(__file__).parent.parent.parent
AsUser = Callable[..., Completed]


def becoming_nobody() -> tuple[str, ...]:
    """The command prefix that gives up everything root has."""
    return (
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "--inh-caps=-all",
    )


def python_for_nobody() -> str:
    """A Python of this version that others may execute; the running one may be in root's home."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        if run(*becoming_nobody(), "sh", "-c", f"{candidate} -c 1", check=False).returncode == 0:
            return candidate
    pytest.skip("no Python of this version that an ordinary user can execute")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory of the user, reachable from the root of the tree."""
    path = tmp_path / "home"
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(folder.stat().st_mode | 0o011)
    if run(*becoming_nobody(), "test", "-w", path, check=False).returncode != 0:
        pytest.skip(f"an ordinary user cannot reach {path}")
    return path


@pytest.fixture
def as_user(home: Path) -> AsUser:
    """Runs shell lines as the user; `$s3fs_local` is the command, `$HOME` the working directory.

    Where the machine keeps /dev/fuse for root, the lines run in a mount namespace of their own with
    a device that has the mode it has on any Debian (0666). So they must unmount what they mount.
    """
    device = home.parent / "fuse-device"
    os.mknod(device, 0o20666, os.stat("/dev/fuse").st_rdev)
    device.chmod(0o666)
    python = python_for_nobody()
    packages = f"{PROJECT}:{sysconfig.get_path('purelib')}"

    def run_script(script: str) -> Completed:
        prologue = f"export s3fs_local='{python} -m s3fs_local'; cd; umask 022;"
        return run(
            *("unshare", "--mount", "--propagation=slave", "sh", "-euc"),
            f'{let_go_of_mounts(home.parent)}; mount --bind {device} /dev/fuse; exec "$@"',
            "sh",
            *becoming_nobody(),
            *("sh", "-euc", prologue + script),
            environment={
                "HOME": str(home),
                "PYTHONPATH": packages,
                "PYTHONDONTWRITEBYTECODE": "1",
                MARK: str(home),
            },
        )

    return run_script


def test_an_ordinary_user_needs_no_rights_for_a_store(as_user: AsUser, home: Path) -> None:
    """Init, mount, work, look back, unmount: all without root, as with any FUSE file system."""
    result = as_user(
        "mkdir point; $s3fs_local init store; $s3fs_local mount store point;"
        "echo user $(id -u); echo one >point/f; echo two >point/f;"
        "echo previous $(cat point/.versions/f/previous); echo owner $(stat -c %u:%g point/f);"
        "$s3fs_local versions point/f; $s3fs_local umount point; echo left $(ls point | wc -l);"
        "$s3fs_local mount store point; again=$(cat point/f); $s3fs_local umount point;"
        "echo again $again"
    )

    lines = result.stdout.splitlines()
    for expected in (f"user {NOBODY}", "previous one", f"owner {NOBODY}:{NOBODY}", "left 0"):
        assert expected in lines
    assert lines[-1] == "again two"
    assert (home / "store").stat().st_mode & 0o077 == 0, "others could read the store"
    assert not any(processes_marked(home))
    assert not is_mounted(home / "point")


def test_a_store_in_which_one_may_not_write_can_be_read(as_user: AsUser, home: Path) -> None:
    """A copy that was made to stay as it is; root may write anywhere, so only a user meets it."""
    result = as_user(
        "mkdir point; $s3fs_local init store; $s3fs_local mount store point;"
        "echo one >point/f; echo two >point/f; $s3fs_local umount point;"
        "find store -type d -exec chmod a-w {} +; find store -type f | sort | xargs md5sum >before;"
        "$s3fs_local mount store point 2>refused || true;"
        "$s3fs_local mount -o ro store point; cat point/f point/.versions/f/previous;"
        "find store -type f | sort | xargs md5sum | diff before -;"
        "$s3fs_local umount point; cat refused >&2; find store -type d -exec chmod u+w {} +"
    )

    assert result.stdout.endswith("\ntwo\none\n")
    assert f"you may not write to {home / 'store'}; mount it with -o ro" in result.stderr
    assert not any(processes_marked(home))


def test_a_kernel_that_is_long_at_unmounting_is_waited_for(as_user: AsUser, home: Path) -> None:
    """It lets go of what it has cached after the mount is gone: seconds, where that is gigabytes.

    Here fusermount3, which is asked to unmount, takes longer than a client is given to read the
    answer.
    """
    slow = home / "bin" / "fusermount3"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\n{shutil.which("fusermount3")} "$@" || exit\nsleep 7\n')
    slow.chmod(0o755)

    result = as_user(
        "export PATH=$HOME/bin:$PATH; mkdir point; $s3fs_local init store;"
        "$s3fs_local mount store point; echo kept >point/f;"
        "$s3fs_local umount point; echo unmounted"
    )

    assert result.stdout.splitlines()[-1] == "unmounted"
    assert "everything is durable" in (home / "store" / "daemon.log").read_text()
    assert not is_mounted(home / "point")


@pytest.mark.usefixtures("home")
def test_root_shares_a_mount_and_permissions_hold(make_mount: MakeMount) -> None:
    """With allow_other the kernel checks modes and owners as on any disk."""
    mounted = make_mount(None, "allow_other")
    mounted.path.chmod(0o755)
    mounted.sh("echo secret >private; chmod 600 private; mkdir -m 777 open; mkdir -m 755 closed")

    def nobody(script: str) -> Completed:
        return run(*becoming_nobody(), "sh", "-c", script, cwd=mounted.path, check=False)

    assert "Permission denied" in nobody("cat private").stderr
    assert "Permission denied" in nobody("cat .versions/private/latest").stderr
    assert "Permission denied" in nobody("echo x >closed/f").stderr
    assert nobody("echo mine >open/f && stat -c %u open/f").stdout == f"{NOBODY}\n"
    assert nobody("chmod 600 open/f && cat open/f open/.versions/f/latest").stdout == "mine\n" * 2
    assert "not permitted" in nobody("chown 0 open/f").stderr


@pytest.mark.usefixtures("home")
def test_a_mount_of_root_is_closed_to_others_by_default(make_mount: MakeMount) -> None:
    """Sharing is a decision that somebody takes by naming it."""
    mounted = make_mount()

    result = run(*becoming_nobody(), "ls", mounted.path, check=False)

    assert result.returncode != 0
    assert "Permission denied" in result.stderr


@pytest.mark.usefixtures("home")
def test_whoever_may_read_a_file_may_read_its_past_and_nobody_else(make_mount: MakeMount) -> None:
    """By mode, owner and ACL, of the file and of the directories, then and now."""
    mounted = make_mount(None, "allow_other")
    mounted.path.chmod(0o755)
    twice = "f() { echo one >$1; echo two >$1; };"
    mounted.sh(
        f"{twice} mkdir -m 755 theirs open was_private now_private; mkdir -m 711 search;"
        f"mkdir -m 750 acl refused; setfacl -m u:{NOBODY}:rx acl; setfacl -m u:{NOBODY}:x refused;"
        "mkdir -m 700 private; chmod 700 was_private;"
        "for d in theirs search acl refused private was_private now_private; do f $d/f; done;"
        f"f open/mine; chown {NOBODY} open/mine; chmod 600 open/mine; echo three >open/mine;"
        "f open/secret; chmod 600 open/secret; echo three >open/secret; chmod 644 open/secret;"
        "f open/acl; chmod 640 open/acl;"
        f"setfacl -m u:{NOBODY}:r open/acl; echo three >open/acl;"
        "f private/moved; mv private/moved open/moved; echo gone >search/gone; rm search/gone"
    )
    then = instant_now()
    mounted.sh("echo three >was_private/f; chmod 755 was_private; chmod 700 now_private")

    def nobody(script: str) -> str:
        """What the user reads; the last words of the error where it is refused."""
        prefix = ("sh", "-c", f"{script} 2>&1 | tail -n 1 | grep -o '[a-zA-Z]*$'")
        return run(*becoming_nobody(), *prefix, cwd=mounted.path, check=False).stdout.strip()

    for readable, content in {
        "theirs/.versions/f/previous": "one",
        "theirs/.versions/f/latest": "two",
        "search/.versions/f/previous": "one",
        "search/.versions/f/$(ls search/.versions/f | head -n 1)": "one",
        "search/.versions/gone/latest": "gone",
        "acl/.versions/f/previous": "one",
        f"acl/.versions/@{then}/f": "two",
        f".versions/@{then}/acl/f": "two",
        "refused/.versions/f/previous": "one",
        "open/.versions/mine/previous": "two",
        "open/.versions/mine/latest": "three",
        "open/.versions/secret/latest": "three",
        "open/.versions/acl/previous": "two",
        "open/.versions/acl/latest": "three",
        "open/.versions/moved/latest": "two",
        "was_private/.versions/f/latest": "three",
    }.items():
        assert nobody(f"cat {readable}") == content, readable
    for forbidden in (
        "private/.versions/f/latest",
        f".versions/@{then}/private/f",
        "open/.versions/secret/previous",
        "open/.versions/moved/previous",
        "was_private/.versions/f/previous",
        f"was_private/.versions/@{then}/f",
        f".versions/@{then}/was_private/f",
        f".versions/@{then}/now_private/f",
        "now_private/.versions/f/latest",
    ):
        assert nobody(f"cat {forbidden}") == "denied", forbidden
    assert nobody("ls acl/.versions") == "f"
    assert nobody(f"ls acl/.versions/@{then}") == "f"
    assert nobody("ls refused/.versions") == "denied"
    assert nobody("ls search/.versions") == "denied"
    assert nobody("ls search/.versions/f") == "previous"
    assert nobody(f"ls .versions/@{then}/was_private") == "denied"
    assert mounted.sh(f"cat .versions/@{then}/was_private/f") == "two\n", "root reads everything"
