"""docs/semantics.md, 5: durability."""

import errno
import os
import subprocess

import pytest
import trio
from trio.testing import MockClock

from s3fs_local.errors import (
    DataDamaged,
    QuotaExceeded,
    StoreFull,
    StoreReadOnly,
    ZoneUnavailable,
)
from s3fs_local.fuse.errno_table import errno_of
from s3fs_local.objects.failing import FailingObjects, Fault
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.versioning import Origin
from s3fs_local.workers.upkeep import SETTLE_INTERVAL_NS, Upkeep
from tests.conftest import MakeMount
from tests.engine.memory_store import ALICE, MemoryStore
from tests.mounting import MountedStore
from tests.semantics.promises import promise

WRITING = os.O_CREAT | os.O_WRONLY
ALL_OF_IT = False  # fsync(2), not fdatasync(2)


class DurableAtOnce:
    """A metadata engine that needs no checkpoints."""

    wal_bytes = 0

    def checkpoint(self) -> None:
        """Nothing to do."""


class SmallDisk(MemoryObjects):
    """A zone with room for so many bytes."""

    room_bytes = 1 << 40

    def free_bytes(self) -> tuple[int, int]:
        """What is left of a disk of 1 TiB."""
        return self.room_bytes, 1 << 40


def power_cut(store: MemoryStore, zone: FailingObjects) -> None:
    """The machine is off and on again; the metadata engine is back at what it made durable."""
    zone.power_cut()
    store.crash()


def let_upkeep_pass(store: MemoryStore, seconds: float) -> None:
    """What the daemon does by itself in that time was done."""

    async def live() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Upkeep(store.fs, DurableAtOnce()).run)
            await trio.sleep(seconds)
            nursery.cancel_scope.cancel()

    trio.run(live, clock=MockClock(autojump_threshold=0))


@promise("After fsync what was written to the file, and every name so far, survives a power cut.")
def test_fsync_keeps_its_word() -> None:
    """Databases and mail servers build on it."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    store.write("/earlier", b"one")
    handle = store.open("/f", WRITING)
    store.fs.write(handle, 0, b"acknowledged")
    trio.run(store.fs.fsync, handle, ALL_OF_IT)
    store.fs.write(handle, 0, b"not so")
    power_cut(store, zone)

    assert store.read("/f") == b"acknowledged"
    assert store.read("/earlier") == b"one"


@promise("fsync makes no version.")
def test_fsync_makes_no_version(store: MemoryStore) -> None:
    """A logger that syncs each line would else make one a line."""
    handle = store.open("/f", WRITING)
    for offset in range(3):
        store.fs.write(handle, offset, b"x")
        trio.run(store.fs.fsync, handle, ALL_OF_IT)
    store.close(handle)

    assert store.history("/f") == [b"xxx"]


@promise("What was written half a second ago survives the end of the daemon, also without fsync.")
def test_a_killed_daemon_costs_half_a_second(store: MemoryStore) -> None:
    """A crash of ours is no power cut."""
    handle = store.open("/f", WRITING)
    store.fs.write(handle, 0, b"one")
    let_upkeep_pass(store, 0.6)
    store.crash()

    assert store.read("/f") == b"one"


@promise("A removal or a rename survives the end of the daemon as soon as it was answered.")
def test_removals_and_renames_are_recorded_at_once(store: MemoryStore) -> None:
    """SQLite commits by removing its rollback journal, others by a rename."""
    store.write("/f", b"one")
    store.write("/g", b"two")
    store.flush()
    store.remove("/f")
    store.rename("/g", "/h")
    store.crash()

    assert store.listing("/") == [b"h"]


@promise("What was written some ten seconds ago survives a power cut, also without fsync.")
def test_a_power_cut_costs_ten_seconds() -> None:
    """As with ext4's commits, which come every five."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    store.write("/f", b"one")
    let_upkeep_pass(store, SETTLE_INTERVAL_NS / SECOND_NS + 1)
    power_cut(store, zone)

    assert store.read("/f") == b"one"


@promise("After a crash the next mount recovers by itself.")
def test_what_was_not_closed_is_recovered(store: MemoryStore) -> None:
    """Nobody has to know a repair command at three in the morning."""
    store.write("/closed", b"one")
    handle = store.open("/open", WRITING)
    store.fs.write(handle, 0, b"two")
    store.flush()
    store.crash()

    assert store.read("/closed") == b"one"
    assert store.read("/open") == b"two"
    version = store.fs.volume.metadata.versions(store.stat("/open").ino)[0]
    assert version.origin is Origin.RECOVERED


@pytest.mark.mount
@pytest.mark.slow
@promise(
    "While the daemon is gone its mount point answers with an error, never with an empty directory."
)
def test_a_dead_mount_is_no_empty_directory(make_mount: MakeMount) -> None:
    """A mirror job would copy the emptiness."""
    mounted: MountedStore = make_mount()
    with (mounted.path / "f").open("w") as file:
        file.write("one")
        file.flush()
        os.fsync(file.fileno())
    mounted.kill()

    listing = subprocess.run(["ls", mounted.path], capture_output=True, check=False)
    assert listing.returncode
    assert not listing.stdout
    mounted.mount()
    assert (mounted.path / "f").read_text() == "one"


@promise(
    "A write that does not fit is refused with ENOSPC when it is made, and names can be "
    "removed on a full disk."
)
def test_a_full_disk_says_so_in_time() -> None:
    """A close that fails is noticed by hardly any program."""
    zone = SmallDisk()
    store = MemoryStore(zone=zone)
    store.write("/f", b"one")
    zone.room_bytes = 65 << 20
    handle = store.open("/g", WRITING)
    with pytest.raises(StoreFull):
        store.fs.write(handle, 0, bytes(9 << 20))
    store.close(handle)
    store.remove("/f")

    assert store.listing("/") == [b"g"]


@promise(
    "Where the disk below has a quota, what is beyond it fails with EDQUOT, at the latest when the "
    "file is closed or fsynced; nothing acknowledged is lost, and with more quota writes go on."
)
def test_a_quota_of_the_disk_is_passed_on() -> None:
    """Whoever sees ENOSPC looks at a disk that is half empty, and finds nothing."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    handle = store.open("/kept", WRITING)
    store.fs.write(handle, 0, b"acknowledged")
    trio.run(store.fs.fsync, handle, ALL_OF_IT)
    store.close(handle)
    zone.faults = [Fault("append", zone.calls["append"] + 1, QuotaExceeded("x"), for_ever=True)]
    handle = store.open("/beyond", WRITING)
    store.fs.write(handle, 0, b"too much")
    with pytest.raises(QuotaExceeded) as refused:
        trio.run(store.fs.fsync, handle, ALL_OF_IT)
    with pytest.raises(QuotaExceeded):
        store.fs.flush(handle)

    assert errno_of(refused.value) == errno.EDQUOT
    assert store.read("/kept") == b"acknowledged"

    zone.faults = []
    trio.run(store.fs.fsync, handle, ALL_OF_IT)
    store.close(handle)
    power_cut(store, zone)

    assert store.read("/kept") == b"acknowledged"
    assert store.read("/beyond") == b"too much"


@promise("After a failed fsync the store is read-only until it is mounted again.")
def test_a_failed_fsync_is_not_forgotten() -> None:
    """Linux itself said "done" to the second fsync after a failed one for twenty years."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    handle = store.open("/f", WRITING)
    store.fs.write(handle, 0, b"one")
    zone.fail("sync", ZoneUnavailable("the disk is gone"))
    with pytest.raises(ZoneUnavailable):
        trio.run(store.fs.fsync, handle, ALL_OF_IT)

    with pytest.raises(StoreReadOnly):
        store.write("/g", b"two")


@promise("A byte that was changed on the disk is never read: the read fails with EIO.")
def test_a_changed_byte_is_noticed(store: MemoryStore) -> None:
    """Silence would be the worst answer."""
    store.write("/f", b"one" * 1000)
    zone = store.zone
    name = next(zone.list("packs/"))
    content = bytearray(zone.read(name, 0, zone.length(name)))
    content[-100] ^= 1
    handle = store.fs.open(store.stat("/f").ino, os.O_RDONLY, ALICE).handle
    zone.put(name, bytes(content))

    with pytest.raises(DataDamaged):
        store.fs.read_nowait(handle, 0, 3000)
