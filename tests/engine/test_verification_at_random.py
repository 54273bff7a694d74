"""Two properties: honest histories, with locks of all kinds, are intact; altered rows are found."""

import contextlib
from collections.abc import Callable
from typing import Any, Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from s3fs_local.engine.ledger import is_of_this_database
from s3fs_local.engine.purging import purge
from s3fs_local.errors import S3fsLocalError
from s3fs_local.metadata.changes import (
    AddBlock,
    Change,
    Fact,
    OpenEntry,
    PutCell,
    PutInode,
    PutKey,
    PutPack,
    PutSetting,
    PutVersion,
    RemoveBlock,
    RemoveCell,
    RemoveEntry,
    RemoveInode,
    RemoveKey,
    RemovePack,
    RemoveSetting,
    RemoveVersion,
)
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.ledger_notes import Actor
from s3fs_local.rules.retention import Bypass, DirectoryPolicy, LegalHold, Retention
from tests.engine.memory_store import ALICE, ROOT, MemoryStore
from tests.engine.verified import check_verified, verified

DAY_NS: Final = 86_400 * SECOND_NS
NAMES: Final = ("/a", "/b", "/logs/c", "/logs/d")
BYPASS: Final = Bypass(entitled=True, reason="a test", who=Actor(0, 1, "sh"))


def _retain(mode: str) -> Callable[[MemoryStore, str, int], None]:
    def retain(store: MemoryStore, path: str, number: int) -> None:
        until_ns = store.clock.now_ns() + (1 + number % 30) * DAY_NS
        ino = store.stat(path).ino
        store.fs.locks.set_retention(ino, Retention(mode, until_ns), caller=ALICE)

    return retain


def _clear(store: MemoryStore, path: str, _: int) -> None:
    store.fs.locks.set_retention(store.stat(path).ino, None, caller=ROOT, bypass=BYPASS)


def _hold(store: MemoryStore, path: str, number: int) -> None:
    hold = LegalHold(f"C{number % 3}", "order", ALICE.uid, store.clock.now_ns())
    store.fs.locks.set_legal_hold(store.stat(path).ino, hold, caller=ALICE)


def _release(store: MemoryStore, path: str, number: int) -> None:
    store.fs.locks.clear_legal_hold(store.stat(path).ino, f"C{number % 3}", caller=ALICE)


def _append_only(store: MemoryStore, path: str, _: int) -> None:
    store.fs.locks.set_append_only(store.stat(path).ino, caller=ALICE)


def _protect(store: MemoryStore, _path: str, number: int) -> None:
    policy = DirectoryPolicy(mode="GOVERNANCE", period_ns=(1 + number % 9) * DAY_NS)
    store.fs.locks.set_policy(store.stat("/logs").ino, policy, caller=ALICE)


def _purge(store: MemoryStore, path: str, number: int) -> None:
    items = store.fs.histories.of_name(*store.place(path)).items
    purge(store.fs, items[number % len(items)], caller=ROOT, bypass=BYPASS)


def _crash(store: MemoryStore) -> None:
    store.flush()
    store.crash()


STEPS: Final[dict[str, Callable[[MemoryStore, str, int], object]]] = {
    "write": lambda store, path, number: store.write(path, b"x" * (1 + number)),
    "append": lambda store, path, number: store.append(path, b"y" * (1 + number)),
    "remove": lambda store, path, _: store.remove(path),
    "rotate": lambda store, path, number: store.rename(path, f"{path}.{number}"),
    "rename": lambda store, path, number: store.rename(path, NAMES[number % len(NAMES)]),
    "chmod": lambda store, path, number: store.chmod(path, 0o600 | number % 8),
    "governance": _retain("GOVERNANCE"),
    "compliance": _retain("COMPLIANCE"),
    "clear": _clear,
    "hold": _hold,
    "release": _release,
    "append-only": _append_only,
    "protect": _protect,
    "purge": _purge,
    "days pass": lambda store, _, number: store.tick(86_400 * (number % 40)),
    "settle": lambda store, _path, _number: store.settle(),
    "crash": lambda store, _path, _number: _crash(store),
}
HISTORIES = st.lists(
    st.tuples(st.sampled_from(list(STEPS)), st.sampled_from(NAMES), st.integers(0, 100)),
    max_size=40,
)


def _lived(steps: list[tuple[str, str, int]]) -> MemoryStore:
    """A store to which all this happened, as far as it was allowed."""
    store = MemoryStore(object_lock="true")
    store.mkdir("/logs")
    for what, path, number in steps:
        with contextlib.suppress(S3fsLocalError, IndexError, ZeroDivisionError):
            STEPS[what](store, path, number)
    store.settle()
    return store


@settings(deadline=None, max_examples=40)
@given(steps=HISTORIES)
def test_whatever_happens_lawfully_is_no_finding(steps: list[tuple[str, str, int]]) -> None:
    """A false alarm would be believed once, and a true one never after."""
    check_verified(_lived(steps))


_REMOVALS: Final[dict[type, Callable[[Any], Change]]] = {
    PutInode: lambda fact: RemoveInode(fact.inode.ino),
    OpenEntry: lambda fact: RemoveEntry(fact.entry.parent, fact.entry.name, fact.entry.from_ns),
    PutVersion: lambda fact: RemoveVersion(fact.version.ino, fact.version.stamp_ns),
    PutCell: lambda fact: RemoveCell(fact.ino, fact.cell, fact.from_ns),
    AddBlock: lambda fact: RemoveBlock(fact.block.block_id),
    PutKey: lambda fact: RemoveKey(fact.key_id),
    PutPack: lambda fact: RemovePack(fact.pack_id),
    PutSetting: lambda fact: RemoveSetting(fact.name),
}


def _altered(fact: Fact, number: int) -> list[Change]:
    """Changes of the database, not of the ledger, after which the row is another, or gone."""
    if type(fact) not in _REMOVALS:
        return []  # no change takes it away, so an altered one would be a second
    removal = [_REMOVALS[type(fact)](fact)]
    members = structs.asdict(fact)
    ((outer, value), *others) = members.items()
    row = value if isinstance(value, msgspec.Struct) and not others else fact
    numbers = [
        name
        for name, member in structs.asdict(row).items()
        if type(member) is int and member < 1 << 62
    ]
    if not numbers or number % 5 == 0:
        return list(removal)
    name = numbers[number % len(numbers)]
    changed = structs.replace(row, **{name: getattr(row, name) ^ (1 + number % 7)})
    whole = changed if row is fact else structs.replace(fact, **{outer: changed})
    return [*removal, whole]  # type: ignore[list-item]  # a fact is a change


@settings(deadline=None, max_examples=60)
@given(steps=HISTORIES, choice=st.integers(0, 10_000), number=st.integers(1, 10_000))
def test_any_altered_row_is_found(
    steps: list[tuple[str, str, int]], choice: int, number: int
) -> None:
    """Whatever table, whatever column: nobody had to think of it."""
    store = _lived([("write", "/a", 5), ("compliance", "/a", 5), *steps])
    facts = [fact for fact in store.metadata.facts() if not is_of_this_database(fact)]
    edit = _altered(facts[choice % len(facts)], number)
    if not edit:
        return
    store.metadata.apply(edit)
    store.metadata.commit(store.metadata.position())
    if list(store.metadata.facts()) == facts:
        return

    assert verified(store).count
