"""docs/semantics.md, 1: versions."""

import os

import pytest
import trio
from msgspec import structs
from trio.testing import MockClock

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.purging import purge
from s3fs_local.errors import InvalidArgument, KeyMissing
from s3fs_local.rules.history import HistoryItem
from s3fs_local.rules.versioning import Origin, Version, VersioningState
from s3fs_local.workers.upkeep import Upkeep
from tests.engine.memory_store import ALICE, MemoryStore
from tests.semantics.promises import promise

WRITING = os.O_CREAT | os.O_WRONLY | os.O_TRUNC


class DurableAtOnce:
    """A metadata engine that needs no checkpoints."""

    wal_bytes = 0

    def checkpoint(self) -> None:
        """Nothing to do."""


def versions(store: MemoryStore, path: str) -> list[Version]:
    """The versions of the file, newest first."""
    return store.fs.volume.metadata.versions(store.stat(path).ino)


def items(store: MemoryStore, path: str) -> list[HistoryItem]:
    """The history of the name, newest first."""
    return store.fs.histories.of_name(*store.place(path)).items


def stored_bytes(store: MemoryStore) -> int:
    """Bytes of all packs."""
    return sum(store.fs.volume.blocks.pack_lengths().values())


@promise("Every close of a file that was written makes a version.")
def test_each_close_makes_a_version(store: MemoryStore) -> None:
    """One save, one version."""
    store.write("/f", b"one")
    store.write("/f", b"two")

    assert store.history("/f") == [b"two", b"one"]


@promise("A version stays until somebody purges it, or a lifecycle rule removes it.")
def test_nothing_but_a_purge_takes_a_version_away(store: MemoryStore) -> None:
    """Whatever people do to a file by mistake, what it was is there."""
    store.write("/f", b"one")
    store.write("/g", b"other")
    store.truncate("/f", 0)
    store.rename("/g", "/f")
    store.remove("/f")

    assert store.history("/f") == [b"other", b"", b"one"]


@promise("Several closes of one opened file make one version.")
def test_a_shells_redirection_makes_one_version(store: MemoryStore) -> None:
    """Each child of `(date; ls) > out` closes its copy of the descriptor."""
    handle = store.open("/out", WRITING)
    for offset in range(3):
        store.fs.write(handle, offset, b"x")
        store.fs.flush(handle)
    store.fs.release(handle)

    assert store.history("/out") == [b"xxx"]


@promise("Making an empty file makes a version, and so does truncating a file by its path.")
def test_touch_and_truncate_make_versions(store: MemoryStore) -> None:
    """A file that exists has a content that can come back, if an empty one."""
    store.write("/f", b"")
    store.truncate("/f", 2)

    assert store.history("/f") == [b"\0\0", b""]


@promise("Changing mode, owner, times, ACLs or extended attributes makes no version.")
def test_attributes_make_no_version(store: MemoryStore) -> None:
    """As S3: they are facts about the version there is."""
    store.write("/f", b"one")
    ino = store.stat("/f").ino
    store.chmod("/f", 0o600)
    store.fs.setattr(ino, AttributeChange(uid=7, gid=7, mtime_ns=7), None, ALICE)
    store.fs.setxattr(ino, b"user.colour", b"blue", ALICE)

    assert len(versions(store, "/f")) == 1


@promise("Overwriting bytes with the same bytes makes no version.")
def test_the_same_bytes_in_place_make_no_version(store: MemoryStore) -> None:
    """Databases and mappings write whole pages of which nothing changed."""
    store.write("/f", b"one two three")
    store.patch("/f", 4, b"two")

    assert len(versions(store, "/f")) == 1


@promise("A file that stays open gets a version every five minutes while it is being written.")
def test_a_file_kept_open_is_checkpointed(store: MemoryStore) -> None:
    """A program that never closes its file has a history all the same."""
    handle = store.open("/f", WRITING)
    store.fs.write(handle, 0, b"one")
    store.tick(299)

    async def let_upkeep_pass() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Upkeep(store.fs, DurableAtOnce()).run)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()

    trio.run(let_upkeep_pass, clock=MockClock(autojump_threshold=0))
    assert not versions(store, "/f")
    store.tick(1)
    trio.run(let_upkeep_pass, clock=MockClock(autojump_threshold=0))

    assert [version.origin for version in versions(store, "/f")] == [Origin.CHECKPOINT]


@promise("A new version stores only what changed, and shares the rest with the one before.")
def test_a_small_change_of_a_large_file_costs_little(store: MemoryStore) -> None:
    """Versions of everything would be unaffordable else."""
    store.write("/f", bytes(range(256)) * 16384)
    before = stored_bytes(store)
    store.patch("/f", 2_000_000, b"changed")

    assert stored_bytes(store) - before < 10_000


@promise("Each version has an id, which the attribute `s3.version-id` tells.")
def test_the_attribute_names_the_current_version(store: MemoryStore) -> None:
    """The id is what every command takes."""
    store.write("/f", b"one")
    first = store.fs.getxattr(store.stat("/f").ino, b"s3.version-id")
    store.write("/f", b"two")
    second = store.fs.getxattr(store.stat("/f").ino, b"s3.version-id")

    assert [item.version_id.encode() for item in items(store, "/f")] == [second, first]
    assert first < second


@promise("Restoring makes a new version that shares every block with the old one.")
def test_a_restore_adds_and_copies_nothing(store: MemoryStore) -> None:
    """One who restores the wrong version has lost nothing."""
    store.write("/f", b"one" * 10_000)
    store.write("/f", b"two")
    old = versions(store, "/f")[-1]
    before = stored_bytes(store)
    store.fs.restore_content(old.ino, old.ino, old.stamp_ns, caller=ALICE)

    assert store.history("/f") == [b"one" * 10_000, b"two", b"one" * 10_000]
    assert stored_bytes(store) == before


@promise("Purging destroys one version for good, and the one before becomes the current one.")
def test_purging_the_current_version_uncovers_the_one_before(store: MemoryStore) -> None:
    """As S3's DELETE with a version id."""
    store.write("/f", b"one")
    store.write("/f", b"two")
    purge(store.fs, items(store, "/f")[0], caller=ALICE, bypass=None)

    assert store.history("/f") == [b"one"]
    assert store.read("/f") == b"one"


@promise("The only version of a file that has a name is not purged.")
def test_a_live_file_keeps_its_last_version(store: MemoryStore) -> None:
    """A name without any content would be no file."""
    store.write("/f", b"one")

    with pytest.raises(InvalidArgument):
        purge(store.fs, items(store, "/f")[0], caller=ALICE, bypass=None)


@promise("With the last version of a file its key is destroyed.")
def test_the_key_goes_with_the_last_version(store: MemoryStore) -> None:
    """A copy of the zone that somebody kept cannot be read any more."""
    store.write("/f", b"one")
    key_id = store.stat("/f").key_id
    store.remove("/f")
    purge(store.fs, items(store, "/f")[1], caller=ALICE, bypass=None)

    with pytest.raises(KeyMissing):
        store.fs.volume.keys.open(key_id)


@promise("While versioning is Suspended a write replaces the version `null`, and all others stay.")
def test_suspended_versioning_keeps_what_is_there() -> None:
    """S3's third state."""
    store = MemoryStore()
    store.write("/f", b"kept")
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, versioning=VersioningState.SUSPENDED)
    store.write("/f", b"null one")
    store.write("/f", b"null two")

    assert store.history("/f") == [b"null two", b"kept"]
    assert items(store, "/f")[0].version_id == "null"


@promise(
    "A restore while versioning is Suspended takes the place of what is being written to the file"
    " and was not saved yet."
)
def test_a_restore_brings_a_version_null_back_over_what_is_being_written() -> None:
    """Saved first, as where all versions are kept, it would take the place of that version."""
    store = MemoryStore()
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, versioning=VersioningState.SUSPENDED)
    store.write("/f", b"null one")
    handle = store.open("/f", os.O_WRONLY)
    store.fs.write(handle, 0, b"unsaved")
    version = store.stat("/f")
    store.fs.restore_content(version.ino, version.ino, version.version_ns, caller=ALICE)
    store.close(handle)

    assert store.history("/f") == [b"null one"]


@promise(
    "The removal of a symlink or directory replaces no version `null` that a file of its name once"
    " had."
)
@pytest.mark.parametrize("is_symlink", [True, False])
def test_only_the_removal_of_a_file_replaces_a_version_null(is_symlink: bool) -> None:  # noqa: FBT001
    """Nobody removed the file that the name once meant."""
    store = MemoryStore()
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, versioning=VersioningState.SUSPENDED)
    store.write("/f", b"null one")
    volume.settings = structs.replace(volume.settings, versioning=VersioningState.ENABLED)
    ino = store.stat("/f").ino
    store.remove("/f")
    if is_symlink:
        store.fs.symlink(*store.place("/f"), b"target", ALICE)
    else:
        store.mkdir("/f")
    volume.settings = structs.replace(volume.settings, versioning=VersioningState.SUSPENDED)
    if is_symlink:
        store.remove("/f")
    else:
        store.fs.rmdir(*store.place("/f"), ALICE)

    assert [version.is_null for version in volume.metadata.versions(ino)] == [True]
