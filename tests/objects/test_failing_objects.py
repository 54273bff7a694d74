"""The fault injector itself: a test tool that does not bite would prove nothing."""

import pytest

from s3fs_local.errors import StoreFull, ZoneUnavailable
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects


def test_the_scripted_call_fails_and_changes_nothing() -> None:
    """Once: the call after it succeeds."""
    store = FailingObjects(MemoryObjects())
    appender = store.create("a")
    store.fail("append", StoreFull("scripted"), nth=2)
    appender.append(b"1")
    with pytest.raises(StoreFull):
        appender.append(b"2")
    appender.append(b"3")

    assert store.read("a", 0, 9) == b"13"


def test_a_fault_may_stay() -> None:
    """A dead disk."""
    store = FailingObjects(MemoryObjects())
    store.fail("read", ZoneUnavailable("scripted"), for_ever=True)

    for _ in range(3):
        with pytest.raises(ZoneUnavailable):
            store.read("a", 0, 1)


def test_a_power_cut_drops_what_no_sync_covered() -> None:
    """Bytes, and names."""
    store = FailingObjects(MemoryObjects())
    synced = store.create("synced")
    synced.append(b"kept")
    synced.sync()
    synced.append(b"lost")
    store.create("unsynced").append(b"lost")
    store.put("put", b"kept")
    store.power_cut()

    assert list(store.list("")) == ["put", "synced"]
    assert store.read("synced", 0, 99) == b"kept"
    with pytest.raises(ZoneUnavailable, match="power"):
        synced.append(b"more")


def test_a_power_cut_may_keep_part_of_the_unsynced_end() -> None:
    """Disks write what they like in any order."""
    store = FailingObjects(MemoryObjects())
    appender = store.create("a")
    appender.append(b"12")
    appender.sync()
    appender.append(b"3456")
    store.power_cut(keep=lambda _, unsynced: b"\0" + unsynced[1:2])

    assert store.read("a", 0, 99) == b"12\x004"
