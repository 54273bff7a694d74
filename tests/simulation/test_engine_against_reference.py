"""The filesystem and a plain model of it go through the same histories and must never differ.

S3FS_LOCAL_EXAMPLES=10000 makes the long run; a failing history shrinks to the steps that matter.
"""

import os
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3fs_local.errors import S3fsLocalError
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.instants import SECOND_NS
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE
from tests.simulation.driven_store import START_S, DrivenStore
from tests.simulation.operations import Call, Kind, Operation, System, call_of
from tests.simulation.reference import DIRECTORY, FILE, ROOT, Reference, Refused

EXAMPLES: Final = int(os.environ.get("S3FS_LOCAL_EXAMPLES", "300"))
NUMBERS: Final = st.integers(0, 11)
OPERATIONS: Final = st.builds(Operation, st.sampled_from(Kind), NUMBERS, NUMBERS, NUMBERS)

# Lists of lists are longer than lists, and shrink as well.
HISTORIES: Final = st.lists(st.lists(OPERATIONS, max_size=20), max_size=20).map(
    lambda parts: [operation for part in parts for operation in part]
)


class Pair:
    """The store and its reference, step by step side by side."""

    def __init__(self) -> None:
        self.driven = DrivenStore()
        self.reference = Reference(START_S)
        self.former: dict[int, int] = {}  # inodes of what was forgotten
        self.contents: dict[tuple[int, int], bytes] = {}

    def step(self, operation: Operation) -> None:
        """Both do it, to the same effect."""
        if operation.kind is Kind.LOOK_BACK:
            times = self.reference.facts.times
            self.compare_past(times[operation.second % len(times)])
            return
        call = call_of(operation, self.reference)
        if call is None:
            return
        self.driven.store.tick()
        self.reference.now += 1
        sealed = self.driven.sealed_early()
        self.reference.note_sealed({n for n, ino in self.driven.inos.items() if ino in sealed})
        expected = _outcome(call, self.reference)
        found = _outcome(call, self.driven)
        assert found == expected
        self.reference.note_moment()
        self.compare_now()

    def compare_past(self, time: int) -> None:
        """All that could be seen at the end of that second is the same."""
        found, expected = self.driven.look_back(time), self.reference.look_back(time)
        unknown = {row[0] for row in expected if row[1] is None}
        assert [_without_mtime(row, unknown) for row in found] == [
            _without_mtime(row, unknown) for row in expected
        ]

    def compare_now(self) -> None:
        """The live tree is the same, and so is every version of every file that ever was."""
        facts = self.reference.facts
        for number in [n for n in self.driven.inos if n not in facts.nodes]:
            self.former[number] = self.driven.inos.pop(number)
        root = self.driven.store.stat("/")
        self._compare_node(ROOT, root)
        for number in facts.nodes.keys() & self.former.keys():  # a crash undid its removal
            self.driven.inos.setdefault(number, self.former.pop(number))
        for number, ino in self.driven.inos.items():
            expected = [version.content for version in facts.nodes[number].versions]
            assert self._versions(ino) == expected

    def _versions(self, ino: int) -> list[bytes]:
        fs = self.driven.store.fs
        found = []
        for version in fs.volume.metadata.versions(ino)[::-1]:
            key = (ino, version.stamp_ns)
            if key not in self.contents:
                layouts = fs.reading.layouts(ino, version.stamp_ns)
                self.contents[key] = fs.reading.read_blocking(layouts, 0, version.size)
            found.append(self.contents[key])
        return found

    def _compare_node(self, number: int, shown: Inode) -> None:
        node = self.reference.facts.nodes[number]
        known = self.driven.inos.setdefault(number, shown.ino)
        assert shown.ino == known, "a name came to mean another inode"
        content, mtime = self.reference.shown(node)
        assert shown.mode & 0o7777 == node.mode
        if node.mtime_is_known:
            assert shown.mtime_ns // SECOND_NS == mtime
        assert {key.decode(): value for key, value in shown.xattrs.items()} == node.xattrs
        if node.kind == DIRECTORY:
            self._compare_directory(number, shown)
            return
        assert shown.nlink == self.reference.links(number)
        if node.kind == FILE:
            assert shown.size == len(content)
            assert self.driven.store.fs.read_current(shown.ino, 0, len(content) + 1) == content
        else:
            assert shown.target.decode() == node.target

    def _compare_directory(self, number: int, shown: Inode) -> None:
        node = self.reference.facts.nodes[number]
        fs = self.driven.store.fs
        handle = self.driven.store.fs.opendir(shown.ino, ALICE)
        entries = {name.decode(): inode for name, inode, _ in fs.readdir(handle, 0)}
        fs.releasedir(handle)
        assert entries.keys() == node.entries.keys()
        for name, child in node.entries.items():
            self._compare_node(child, entries[name])


def _without_mtime(row: tuple[object, ...], unknown: set[object]) -> tuple[object, ...]:
    return (row[0], *row[2:]) if row[0] in unknown else row


def _outcome(call: Call, system: System) -> object:
    try:
        return call(system)
    except Refused as refusal:
        return f"refused: {refusal}"
    except S3fsLocalError as error:
        return f"refused: {type(error).__name__}"


def go_through(operations: list[Operation]) -> None:
    """Contents, attributes, listings, errors, versions, and the past at every step are the same."""
    pair = Pair()
    for operation in operations:
        pair.step(operation)
    facts = pair.reference.facts
    for time in facts.times[:: max(len(facts.times) // 4, 1)]:
        pair.compare_past(time)
    check_invariants(pair.driven.store)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(HISTORIES)
def test_no_history_tells_the_store_from_its_reference(operations: list[Operation]) -> None:
    """Contents, attributes, listings, errors, versions, and the past at every step."""
    go_through(operations)
