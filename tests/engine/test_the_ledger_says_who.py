"""Refusals, bypasses and what ends a lock are in the ledger; a verification believes no other."""

from typing import get_args

import pytest

from s3fs_local.engine.ledger import entries
from s3fs_local.engine.purging import purge
from s3fs_local.engine.refusal_notes import KINDS_MAX
from s3fs_local.engine.told_names import TOLD_KINDS
from s3fs_local.errors import InvalidArgument, LockError
from s3fs_local.metadata.changes import Fact
from s3fs_local.rules.inode import Caller
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.ledger_notes import (
    Actor,
    Bypassed,
    LockLifted,
    Note,
    Refused,
    RefusedMore,
)
from s3fs_local.rules.retention import Bypass, LegalHold, Retention
from tests.engine.memory_store import ALICE, ROOT, MemoryStore
from tests.engine.verified import check_verified

DAY_NS = 86_400 * SECOND_NS
MALLORY = Caller(uid=666, gid=666, pid=0)


@pytest.fixture
def store() -> MemoryStore:
    """`f` is locked for GOVERNANCE."""
    made = MemoryStore(object_lock="true")
    made.write("f", b"one")
    until_ns = made.clock.now_ns() + 30 * DAY_NS
    made.fs.locks.set_retention(made.stat("f").ino, Retention("GOVERNANCE", until_ns), caller=ALICE)
    return made


def _notes(store: MemoryStore) -> list[Note]:
    store.settle()
    ledger = store.fs.volume.durability.ledger.ledger
    return [note for entry in entries(ledger) for batch in entry.batches for note in batch.notes]


def _try_to_remove(store: MemoryStore, path: str, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(LockError) as refusal:
            store.remove(path, MALLORY)
        store.fs.refusals.note(refusal.value, MALLORY)


def test_a_refusal_is_in_the_ledger_with_who_tried(store: MemoryStore) -> None:
    """An attempt is worth knowing of, all the more if it was many."""
    _try_to_remove(store, "f", times=1000)
    (note,) = _notes(store)

    assert isinstance(note, Refused)
    assert (note.who.uid, note.operation, note.count) == (666, "unlink", 1000)
    assert note.ino == store.stat("f").ino
    assert "GOVERNANCE" in note.rule


def test_refusals_of_many_kinds_are_counted(store: MemoryStore) -> None:
    """Nobody fills the disk by trying every file."""
    until_ns = store.clock.now_ns() + 30 * DAY_NS
    for number in range(KINDS_MAX + 5):
        store.write(f"g{number}", b"x")
        ino = store.stat(f"g{number}").ino
        store.fs.locks.set_retention(ino, Retention("COMPLIANCE", until_ns), caller=ALICE)
        _try_to_remove(store, f"g{number}")
    notes = _notes(store)

    assert len([note for note in notes if isinstance(note, Refused)]) == KINDS_MAX
    assert [note.count for note in notes if isinstance(note, RefusedMore)] == [5]


def test_a_refusal_survives_a_killed_daemon(store: MemoryStore) -> None:
    """Trying and then killing the witness must not pay."""
    _try_to_remove(store, "f")
    store.flush()
    store.crash()

    assert [type(note) for note in _notes(store)] == [Refused]


def test_a_bypass_is_in_the_ledger_with_its_reason(store: MemoryStore) -> None:
    """GOVERNANCE is worth what the record of its exceptions is worth."""
    ino = store.stat("f").ino
    bypass = Bypass(entitled=True, reason="ticket 4711", who=Actor(0, 7, "sh"))
    store.fs.locks.set_retention(ino, None, caller=ROOT, bypass=bypass)
    bypassed, lifted = _notes(store)

    assert isinstance(bypassed, Bypassed)
    assert (bypassed.who, bypassed.reason) == (bypass.who, "ticket 4711")
    assert bypassed.operation == "clear-retention"
    assert isinstance(lifted, LockLifted)
    check_verified(store)


def test_a_purge_that_was_refused_is_no_bypass(store: MemoryStore) -> None:
    """The ledger says what happened."""
    until_ns = store.clock.now_ns() + 30 * DAY_NS
    store.write("g", b"one")
    ino = store.stat("g").ino
    store.fs.locks.set_retention(ino, Retention("GOVERNANCE", until_ns), caller=ALICE)
    (item,) = store.fs.histories.of_name(*store.place("g")).items

    with pytest.raises(InvalidArgument, match="only content"):
        purge(store.fs, item, caller=ROOT, bypass=Bypass(entitled=True, reason="ticket 4711"))

    assert not [note for note in _notes(store) if isinstance(note, Bypassed)]


def test_a_purge_by_bypass_is_in_the_ledger(store: MemoryStore) -> None:
    """And so a verification does not take it for a forgery."""
    until_ns = store.clock.now_ns() + 30 * DAY_NS
    store.write("g", b"one")
    store.write("g", b"two")
    item = store.fs.histories.of_name(*store.place("g")).items[1]
    assert item.version is not None
    ino = store.stat("g").ino
    store.fs.locks.set_retention(ino, Retention("GOVERNANCE", until_ns), caller=ALICE)
    newest = store.fs.histories.of_name(*store.place("g")).items[0]
    bypass = Bypass(entitled=True, reason="ticket 4711")
    purge(store.fs, newest, caller=ROOT, bypass=bypass)

    assert [note.operation for note in _notes(store) if isinstance(note, Bypassed)] == [
        "purge-version"
    ]
    check_verified(store)


def test_a_hold_that_ends_lawfully_is_no_forgery(store: MemoryStore) -> None:
    """Holds are lifted every day."""
    ino = store.stat("f").ino
    hold = LegalHold("C-7", "order", ALICE.uid, store.clock.now_ns())
    store.fs.locks.set_legal_hold(ino, hold, caller=ALICE)
    store.fs.locks.clear_legal_hold(ino, "C-7", caller=ALICE)

    assert [type(note) for note in _notes(store)] == [LockLifted]
    check_verified(store)


def test_a_lock_that_ran_out_is_no_forgery(store: MemoryStore) -> None:
    """After its date a file is a file like any other."""
    store.tick(31 * 86_400)
    store.remove("f")
    version = store.fs.histories.of_name(*store.place("f")).items[1]
    purge(store.fs, version, caller=ALICE, bypass=None)

    check_verified(store)


def test_every_fact_has_words() -> None:
    """What is found must be told, whatever table it is in."""
    assert set(TOLD_KINDS) == set(get_args(Fact))
