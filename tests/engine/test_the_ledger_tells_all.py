"""Everything that was acknowledged is in the ledger, whatever ended the daemon."""

from copy import deepcopy

import trio

from s3fs_local.engine.ledger import HEAD_SETTING, LedgerEntry, entries, is_of_this_database
from s3fs_local.metadata.changes import Fact, PutSetting
from s3fs_local.metadata.memory import MemoryMetadata
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.packs.ledger import STREAM
from s3fs_local.packs.segment_copies import JOURNAL, segment_name
from s3fs_local.rules.ledger_notes import Actor, Commanded, LedgerDamaged, Note
from tests.engine.memory_store import MemoryStore
from tests.simulation.driven_store import NothingToCheckpoint


def _entries(store: MemoryStore) -> list[LedgerEntry]:
    return list(entries(store.fs.volume.durability.ledger.ledger))


def _notes(store: MemoryStore) -> list[Note]:
    return [note for entry in _entries(store) for batch in entry.batches for note in batch.notes]


def _journal_of(zone: ObjectStore) -> dict[str, bytes]:
    return {name: zone.read(name, 0, zone.length(name)) for name in zone.list(f"{JOURNAL}/")}


def _facts(metadata: MemoryMetadata) -> list[Fact]:
    return [fact for fact in metadata.facts() if not is_of_this_database(fact)]


def check_ledger_tells_the_facts(store: MemoryStore) -> None:
    """Whoever has the ledger alone comes to the very facts of the store."""
    told = MemoryMetadata()
    for entry in _entries(store):
        for batch in entry.batches:
            told.apply(batch.changes)

    assert _facts(told) == _facts(store.metadata)


def test_the_ledger_tells_the_facts() -> None:
    """The story: a day's work, then the ledger alone says all of it."""
    store = MemoryStore()
    store.write("log", b"one")
    store.append("log", b"two")
    store.settle()
    store.mkdir("dir")
    store.rename("log", "dir/log")
    store.remove("dir/log")
    store.settle()

    check_ledger_tells_the_facts(store)
    assert [entry.number for entry in _entries(store)] == [1, 2, 3], "the first tells of `init`"


def test_work_after_the_last_settle_survives_a_kill() -> None:
    """The journal had it; the next mount hands it to the ledger."""
    store = MemoryStore()
    store.write("a", b"one")
    store.settle()
    store.write("b", b"two")
    store.fs.volume.note(Commanded(1, Actor(0, 1, "sh"), "gc"))
    store.flush()
    for _ in range(3):
        store.crash()
    store.settle()

    check_ledger_tells_the_facts(store)
    assert _notes(store) == [Commanded(1, Actor(0, 1, "sh"), "gc")]


def test_nothing_new_writes_nothing() -> None:
    """A store that is opened and closed by a monitor every minute must not grow."""
    store = MemoryStore()
    store.write("a", b"one")
    store.settle()
    for _ in range(3):
        trio.run(store.fs.volume.durability.close, NothingToCheckpoint())
        store.crash()

    assert len(_entries(store)) == 2


def test_a_ledger_cut_short_is_found_when_the_store_opens() -> None:
    """Even where only notes were lost, of which no fact tells."""
    store = MemoryStore()
    store.write("a", b"one")
    store.settle()
    before = store.zone.read(segment_name(1, STREAM), 0, 1 << 20)
    store.fs.volume.note(Commanded(1, Actor(0, 1, "sh"), "gc"))
    store.settle()
    store.zone.put(segment_name(1, STREAM), before)
    store.crash()
    findings = store.fs.volume.durability.ledger.findings

    assert findings == ["the ledger ends at record 2, but 3 were written"]
    store.settle()
    assert store.fs.volume.durability.ledger.head.number == 4


def test_earlier_facts_put_back_beside_the_ledger_of_today_are_found_when_the_store_opens() -> None:
    """Database and journal agree, and know nothing of what came since: of a lock, say."""
    store = MemoryStore()
    store.write("a", b"one")
    store.settle()
    metadata, journal = deepcopy(store.metadata), _journal_of(store.zone)
    store.write("a", b"two")
    store.settle()
    for name in _journal_of(store.zone):
        store.zone.delete(name)
    for name, data in journal.items():
        store.zone.put(name, data)
    store.metadata = metadata
    store.crash()

    (finding,) = store.fs.volume.durability.ledger.findings
    assert finding.startswith("the ledger has changes that the database and the journal do not")
    store.settle()
    assert any(isinstance(note, LedgerDamaged) for note in _notes(store))


def test_a_crash_between_ledger_and_facts_is_no_finding() -> None:
    """It happens at every kill: the journal has what the facts lack."""
    store = MemoryStore()
    store.write("a", b"one")
    store.settle()
    metadata = deepcopy(store.metadata)
    store.write("a", b"two")
    store.settle()
    store.metadata = metadata
    store.crash()

    assert store.fs.volume.durability.ledger.findings == []
    assert store.read("a") == b"two"


def test_a_ledger_that_is_gone_is_told_and_begun_anew() -> None:
    """With its head taken out of the facts, too: a used store has a ledger."""
    store = MemoryStore()
    store.write("a", b"one")
    store.settle()
    store.zone.delete(segment_name(1, STREAM))
    store.metadata.apply([PutSetting(HEAD_SETTING, "{}")])
    store.metadata.commit(store.metadata.position())
    store.crash()
    store.settle()

    check_ledger_tells_the_facts(store)
    (note,) = _notes(store)
    assert isinstance(note, LedgerDamaged)


def test_a_store_killed_twice_before_it_settled_has_its_ledger() -> None:
    """Regression: the second mount took a ledger that was not begun yet for one taken away."""
    store = MemoryStore()
    for _ in range(2):
        store.write("a", b"one")
        store.flush()
        store.crash()

    assert store.fs.volume.durability.ledger.findings == []
    store.settle()
    check_ledger_tells_the_facts(store)
