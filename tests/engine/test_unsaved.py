"""What would be lost if a store ended now: nothing that was acknowledged, and all the rest."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from s3fs_local.engine.unsaved import Unsaved
from s3fs_local.errors import TooFewZones
from s3fs_local.objects.failing import FailingObjects, Fault
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.ledger_notes import ClockNoted
from tests.engine.memory_store import MemoryStore

CREATE = os.O_CREAT | os.O_RDWR
AWAY = TooFewZones("away")


@pytest.fixture
def zone() -> FailingObjects:
    """The only one."""
    return FailingObjects(MemoryObjects())


@pytest.fixture
def store(zone: FailingObjects) -> MemoryStore:
    """Where everything is durable at first."""
    made = MemoryStore(zone=zone)
    made.flush(durable=True)
    return made


def _unsaved(store: MemoryStore) -> Unsaved:
    return store.fs.volume.durability.unsaved()


def test_it_grows_with_what_is_done_and_a_sync_ends_it(store: MemoryStore) -> None:
    """A file that was closed, its directory, and how much was written."""
    assert not _unsaved(store)
    assert str(_unsaved(store)) == "nothing"

    store.write("/f", b"x" * 1000)
    assert _unsaved(store) == Unsaved(2, 1000)
    assert str(_unsaved(store)) == "changes to 2 files and directories (1000 B)"

    store.flush()
    assert _unsaved(store) == Unsaved(2, 1000)  # a killed daemon keeps it, one that ends does not

    store.flush(durable=True)
    assert not _unsaved(store)


def test_a_change_without_content_counts(store: MemoryStore) -> None:
    """To lose a lock, or a removal, is no less a loss."""
    store.write("/f", b"x")
    store.flush(durable=True)
    store.chmod("/f", 0o600)

    assert str(_unsaved(store)) == "changes to 1 file or directory (0 B)"


def test_an_entry_of_the_ledger_counts(store: MemoryStore) -> None:
    """It may tell of somebody who was refused."""
    store.fs.volume.note(ClockNoted(0, "it is late"))

    assert str(_unsaved(store)) == "entries of the ledger"


def test_an_open_file_counts_until_it_was_synced_as_it_is(store: MemoryStore) -> None:
    """The draft is in memory first, then in the journal, and only then safe."""
    handle = store.open("/f", CREATE)
    store.flush(durable=True)
    store.fs.write(handle, 0, b"x" * 100)
    assert _unsaved(store) == Unsaved(1, 100)

    store.flush()
    assert _unsaved(store) == Unsaved(1, 100)

    store.flush(durable=True)
    assert not _unsaved(store)

    store.fs.write(handle, 100, b"y")
    assert _unsaved(store).inodes == 1
    store.close(handle)
    assert _unsaved(store) == Unsaved(1, 101)


def test_an_attempt_that_fails_changes_nothing_of_it(
    store: MemoryStore, zone: FailingObjects
) -> None:
    """It may be made again, and what came meanwhile is counted as well."""
    zone.faults = [Fault("sync", zone.calls["sync"] + 1, AWAY, for_ever=True)]
    store.write("/f", b"x" * 1000)
    with pytest.raises(TooFewZones):
        store.flush(durable=True)
    store.write("/g", b"y" * 10)
    assert _unsaved(store) == Unsaved(3, 1010)

    zone.faults = []
    store.flush(durable=True)
    assert not _unsaved(store)


class _Meanwhile:
    """Something happens while a blocking call runs."""

    def __init__(self) -> None:
        self.happens: Callable[[], None] = lambda: None

    async def __call__(self, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - passes through
        self.happens()
        return function()


def test_what_comes_during_a_sync_is_not_saved_by_it() -> None:
    """As the disk was told before."""
    meanwhile = _Meanwhile()
    store = MemoryStore(run_blocking=meanwhile)
    store.flush(durable=True)
    store.write("/f", b"x" * 1000)

    def write_more() -> None:
        store.write("/late", b"z" * 7)
        store.fs.volume.durability.record()

    meanwhile.happens = write_more
    store.flush(durable=True)

    assert _unsaved(store) == Unsaved(2, 7)
