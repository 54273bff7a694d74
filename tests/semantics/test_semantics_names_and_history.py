"""docs/semantics.md, 2: names and history."""

from pathlib import Path

import pytest

from s3fs_local.rules.history import HistoryItem
from tests.engine.memory_store import ALICE, MemoryStore
from tests.mounting import MountedStore, run, s3fs_local
from tests.semantics.promises import promise


def items(store: MemoryStore, path: str) -> list[HistoryItem]:
    """The history of the name, newest first."""
    return store.fs.histories.of_name(*store.place(path)).items


@promise(
    "The history of a name is everything it ever held, and what those files were before under "
    "other names."
)
def test_a_history_follows_a_rename(store: MemoryStore) -> None:
    """`mv draft report` loses no draft."""
    store.write("/draft", b"one")
    store.write("/draft", b"two")
    store.rename("/draft", "/report")
    store.write("/report", b"three")

    assert store.history("/report") == [b"three", b"two", b"one"]


@promise("A file renamed over another one continues the history of the name.")
def test_saving_through_a_temporary_file_continues_the_history(store: MemoryStore) -> None:
    """Most programs that care for their files save so."""
    store.write("/f", b"one")
    store.write("/f.tmp", b"two")
    store.rename("/f.tmp", "/f")

    assert store.history("/f") == [b"two", b"one"]
    assert store.listing("/.versions") == [b"f"]


@promise("Removing the last name of a file leaves a delete marker, and the history stays.")
def test_a_removed_name_has_a_marker_on_top(store: MemoryStore) -> None:
    """As S3's DELETE without a version id; a name of several leaves nothing."""
    store.write("/f", b"one")
    store.link("/f", "/g")
    store.remove("/g")
    store.remove("/f")

    assert [item.is_marker for item in items(store, "/f")] == [True, False]
    assert not any(item.is_marker for item in items(store, "/g"))


@promise("All hard links of a file share its versions.")
def test_hard_links_share_their_versions(store: MemoryStore) -> None:
    """They are one file."""
    store.write("/f", b"one")
    store.link("/f", "/g")
    store.write("/g", b"two")

    assert store.history("/f") == store.history("/g") == [b"two", b"one"]


@promise("The history of a path goes on when its directory is removed and made again.")
def test_a_path_has_one_history(store: MemoryStore) -> None:
    """`git checkout` and unpacking an archive again do that."""
    for content in (b"one", b"two"):
        store.mkdir("/d")
        store.write("/d/f", content)
        store.remove("/d/f")
        store.remove("/d")
    store.mkdir("/d")

    assert store.history("/d/f") == [b"two", b"one"]


@promise(
    "A name whose file only moved away is not listed, but whoever asks for it gets its history."
)
def test_a_name_that_was_only_passed_through_is_hidden_not_lost(store: MemoryStore) -> None:
    """Else each save of an editor would leave a name in the listing."""
    store.write("/new_1", b"one")
    store.rename("/new_1", "/f")

    assert store.listing("/.versions") == [b"f"]
    assert store.history("/new_1") == [b"one"]


@promise(
    "Directories, symbolic links and special files have no versions, but `@TIME` shows them where "
    "they were."
)
def test_an_instant_shows_removed_links_and_directories(store: MemoryStore) -> None:
    """They are names of the past as much as files are."""
    store.mkdir("/d")
    parent, name = store.place("/link")
    store.fs.symlink(parent, name, b"d", ALICE)
    at = f"/.versions/@{store.tick() // 10**9}"
    store.remove("/link")
    store.remove("/d")

    assert store.listing(at) == [b"d", b"link"]
    assert store.fs.readlink(store.stat(f"{at}/link").ino) == b"d"
    assert items(store, "/link")[-1].is_marker


@pytest.mark.mount
@pytest.mark.slow
@promise("`undelete` brings a removed tree back as it was before the removal began.")
def test_rm_r_is_undone_by_one_command(shared_mount: MountedStore, folder: Path) -> None:
    """`rm -r` removes name after name; people want what was there before the first."""
    del shared_mount
    tree = folder / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "a").write_text("a")
    (tree / "deep/b").write_text("b")
    run("rm", "-r", tree)
    s3fs_local("undelete", tree)

    assert (tree / "a").read_text() == "a"
    assert (tree / "deep/b").read_text() == "b"


@promise(
    "In `.versions` an earlier directory of that path is shown only if it was as open as the "
    "present one."
)
def test_the_history_of_a_path_opens_nothing(store: MemoryStore) -> None:
    """Whoever makes a removed private directory again does not get to see into the old one."""
    store.mkdir("/d")
    store.chmod("/d", 0o700)
    store.write("/d/secret", b"one")
    store.remove("/d/secret")
    store.remove("/d")
    store.mkdir("/d")

    assert store.listing("/d/.versions") == []
