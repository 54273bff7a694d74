"""The filesystem and its reference, step by step, and what the store does by itself meanwhile."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from inspect import isawaitable
from typing import Final

import trio
from hypothesis.internal.entropy import deterministic_PRNG
from trio.testing import MockClock

from s3fs_local.engine.lifecycle import Outcome
from s3fs_local.errors import S3fsLocalError, TooFewZones, ZoneUnavailable
from s3fs_local.rules import retrieval as retrieving
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.lifecycle import Action
from s3fs_local.rules.replication import ATTRIBUTES
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE
from tests.simulation.background import Background, Work
from tests.simulation.driven_store import START_S, DrivenStore, trio_apart
from tests.simulation.operations import (
    BACKGROUND,
    BY_ITSELF,
    COPYING_AHEAD,
    KEEPING,
    OF_REGIONS,
    OF_TURNOVER,
    WAITING,
    Call,
    Kind,
    Operation,
    System,
    call_of,
)
from tests.simulation.reference.ageing import MARK, MOVE, REMOVE
from tests.simulation.reference.archives import Retrieval
from tests.simulation.reference.facts import DIRECTORY, FILE, ROOT, Kept, Version
from tests.simulation.reference.locks import OPEN, SEALED
from tests.simulation.reference.refused import Refused
from tests.simulation.reference.whole import Reference
from tests.simulation.region import Region
from tests.simulation.region_comparison import compare_region
from tests.simulation.words import as_lock

ZONES: Final = 3
ZONE_KINDS: Final = ("hot", "cold", "hot", "archive")
DAY_S: Final = 86_400
_WORDS: Final = {
    Action.EXPIRE: REMOVE,
    Action.REMOVE_MARKER: REMOVE,
    Action.TRANSITION: MOVE,
    Action.ADD_MARKER: MARK,
}


class Pair:
    """The store and its reference."""

    def __init__(
        self, background: Background, *, with_region: bool = False, with_locks: bool = True
    ) -> None:
        self.background = background
        self.driven = DrivenStore(background, zones=ZONES, object_lock=with_locks)
        self.reference = Reference(START_S)
        self.former: dict[int, int] = {}  # inodes of what was forgotten
        self.contents: dict[tuple[int, int], bytes] = {}
        self.region = Region(background) if with_region else None
        if self.region is not None:
            self.driven.follow(self.region)
        self.driven.on_journal = self._note_journal
        self.driven.before_pass = self._note_pending
        self.driven.on_pass = self._note_pass
        self._listens = False
        self._is_copied_ahead = False
        self._ahead: list[Kept] = []  # what may be durable, and nobody knows it
        self._has_turnover = False
        self._being_journaled: set[int] = set()  # drafts, while the journal is appended to

    def _note_journal(self, what: str) -> None:
        """The store made something durable when nobody asked for it, or more than was asked for."""
        if not self._listens:
            return
        self._note_what_it_did()
        if what == "sync":
            self._is_copied_ahead = not COPYING_AHEAD.isdisjoint(self.background.running)
            self._ahead.clear()
            self.reference.note_durable()
            return
        clean = self.driven.journaled_drafts()
        numbers = {n for n, ino in self.driven.inos.items() if ino in clean}
        if what == "appending":
            self._being_journaled = numbers
        else:
            self.reference.note_journaled(numbers)
            self._note_ahead()

    def _note_ahead(self) -> None:
        """A zone that is being given the journal may have it up to here."""
        if self._is_copied_ahead:
            self._ahead.append(self.reference.journaled)

    def _note_pending(self) -> None:
        """Which versions and files the other region was not told of yet: in the end none."""
        if self.region is None:
            return
        nodes = self.reference.facts.nodes
        metadata = self.driven.store.fs.volume.metadata
        self.reference.pending = {
            version.key
            for number, ino in self.driven.inos.items()
            if number in nodes
            for version, present in zip(
                nodes[number].versions, metadata.versions(ino)[::-1], strict=True
            )
            if present.replication == "PENDING"
        }
        self.reference.untold = {
            number
            for number, ino in self.driven.inos.items()
            if any(task.stamp_ns == ATTRIBUTES for task in metadata.tasks_of(ino))
        }

    def _note_pass(self, outcome: Outcome, now_ns: int) -> None:
        """Lifecycle looked at a name: the reference does, too, and to the same effect."""
        shown = self.reference.lock_clock.shown // SECOND_NS
        assert now_ns // SECOND_NS <= shown, "what is due is judged by measured time"
        key = outcome.key.key
        (directory,) = [number for number, ino in self._known() if ino == key.parent]
        expected = self.reference.age((directory, key.name.decode()), now_ns)
        self.reference.note_moment()  # the process may die before the step ends
        found = [_WORDS[verdict.action] for verdict in outcome.done]
        assert (None if outcome.postponed and not found else found) == expected

    def _known(self) -> list[tuple[int, int]]:
        return [*self.driven.inos.items(), *self.former.items()]

    async def _midnight(self) -> None:
        """A day begins, and a whole run: nothing that is due is left."""
        self._pass_time(DAY_S - self.reference.now % DAY_S)
        if Kind.RUN_LIFECYCLE in self.background.running:
            return
        driven = self.driven
        await self.background.beside(driven.run_lifecycle)
        run = driven.store.fs.lifecycle.last
        if run is not None and not run.error_count:
            self._note_pending()
            self.reference.check_nothing_is_due(run.started_ns)

    def _note_what_it_did(self) -> None:
        """Facts that the store changed by itself; the reference knows the law for each."""
        facts = self.reference.facts
        if not facts.retrievals:
            return
        for number, ino in self.driven.inos.items():
            node = facts.nodes.get(number)
            if node is None or not any(each.key in facts.retrievals for each in node.versions):
                continue
            found = self.driven.store.fs.volume.metadata.versions(ino)[::-1]
            for version, present in zip(node.versions, found, strict=True):
                if version.key in facts.retrievals:
                    seen = present.retrieval
                    until = None if seen is None else seen.expires_ns // SECOND_NS
                    self.reference.note_retrieval(version, until)

    async def step(self, operation: Operation) -> None:
        """Both do it, to the same effect."""
        kind = operation.kind
        if kind is Kind.LOOK_BACK:
            times = self.reference.facts.times
            self.compare_past(times[operation.second % len(times)])
            return
        if kind in BY_ITSELF:
            self._listens = True
            if not COPYING_AHEAD.isdisjoint((kind, *self.background.running)):
                self._is_copied_ahead = True
            await self._by_itself(operation)
            self._note_what_it_did()
            self._note_ahead()
            self._listens = False
            self.reference.note_moment()
            self.contents.clear()  # bytes may have moved: they are read anew
            self.compare_now()
            return
        call = call_of(operation, self.reference)
        if call is None:
            return
        if kind in (Kind.CRASH, Kind.POWER_CUT):
            await self._die()
        self._pass_time(1)
        sealed = self.driven.sealed_early()
        self.reference.note_sealed({n for n, ino in self.driven.inos.items() if ino in sealed})
        if kind in KEEPING:  # what the store does meanwhile counts up to the moment it did it
            self._listens = True
            found = await _outcome(call, self.driven)
            self._listens = False
            expected = await _outcome(call, self.reference)
        else:
            expected = await _outcome(call, self.reference)
            self._listens = kind in WAITING
            found = await _outcome(call, self.driven)
            self._listens = False
        assert found == expected, f"{kind}: {found} instead of {expected}"
        if kind is Kind.POWER_CUT:
            self._start_anew()
        self._note_ahead()
        self.reference.note_moment()
        self.compare_now()

    def _start_anew(self) -> None:
        """The machine does: the date is right again, and what was withheld for it counts."""
        self._look_at_lock_clock()
        if self._is_copied_ahead:
            self._take_what_came_back()

    def _take_what_came_back(self) -> None:
        """A zone that was being given the journal may have it durably, further than anybody knew.

        Nobody was told of it, so each state of it is right.
        """
        ahead, self._ahead = self._ahead, []
        self._is_copied_ahead = False
        while ahead and not self._is_as_expected():
            self.reference.durable = ahead.pop()
            self.reference.crash(power=True)

    def _is_as_expected(self) -> bool:
        known, former = dict(self.driven.inos), dict(self.former)
        try:
            self.compare_now()
        except AssertionError:
            self.driven.inos.clear()
            self.driven.inos.update(known)
            self.former = former
            return False
        return True

    def _pass_time(self, seconds: int) -> None:
        self.driven.pass_time(seconds)
        self.reference.now += seconds
        self.reference.lock_clock.pass_time(seconds)
        self._look_at_lock_clock()

    def _look_at_lock_clock(self) -> None:
        volume = self.driven.store.fs.volume
        volume.clock.check()  # as the daemon does all the time
        self.reference.lock_clock.show(volume.expiry_ns(), self.reference.now)

    # What the store does by itself

    async def _by_itself(self, operation: Operation) -> None:
        kind = operation.kind
        match kind:
            case Kind.DAYS_GO_BY:
                self._pass_time(DAY_S * (1, 29, 31, 91)[operation.first % 4])
            case Kind.LOCK_QUIET:
                self.driven.lock_quiet()
                self.reference.lock_quiet()
            case Kind.MIDNIGHT:
                await self._midnight()
            case Kind.GO_ON:
                for _ in range(1 + operation.second):
                    await self.background.go_on(operation.first)
            case Kind.GO_ON_AND_DIE:
                await self._go_on_and_die(operation)
            case _ if kind in BACKGROUND:
                await self._begin(kind, self._works(operation)[kind])
            case _ if kind in OF_REGIONS:
                self._region_changes(operation)
            case _:
                self._zone_changes(operation)
        self._check_failures()

    def _picked_zone(self, operation: Operation) -> int:
        numbers = self.driven.zones.numbers
        return numbers[operation.first % len(numbers)]

    def _works(self, operation: Operation) -> dict[Kind, Work]:
        driven, number = self.driven, self._picked_zone(operation)
        return {
            Kind.BRING_BACK: partial(driven.bring_back, number),
            Kind.ADD_ZONE: partial(driven.add_zone, ZONE_KINDS[operation.first % len(ZONE_KINDS)]),
            Kind.REMOVE_ZONE: partial(driven.remove_zone, number),
            Kind.UPKEEP: driven.upkeep,
            Kind.SETTLE_CLASSES: driven.settle_classes,
            Kind.ADVANCE_RETRIEVALS: driven.advance_retrievals,
            Kind.RUN_LIFECYCLE: driven.run_lifecycle,
            Kind.TELL: driven.tell,
            Kind.COLLECT_GARBAGE: driven.collect_garbage,
            Kind.ROTATE_KEYS: driven.rotate_keys,
            Kind.SCRUB: driven.scrub,
            Kind.MEND: driven.mend,
        }

    async def _begin(self, kind: Kind, work: Work) -> None:
        """Unless it goes on already.

        A zone that is behind keeps others from being added or removed, so either may fail.
        """
        if kind in self.background.running:
            return
        if kind in OF_TURNOVER:
            self.driven.disturbances += 1
            self._has_turnover = True
        await self.background.start(kind, work, self.driven.zones.process)

    def _region_changes(self, operation: Operation) -> None:
        if self.region is None:
            return
        if operation.kind is Kind.WAY_BREAKS:
            self.region.break_way(operation.first * 3)
        else:
            self.region.die()

    def _zone_changes(self, operation: Operation) -> None:
        zones, number = self.driven.zones, self._picked_zone(operation)
        self.driven.disturbances += 1
        match operation.kind:
            case Kind.ZONE_COMES:
                zones.come(number)
            case Kind.ZONE_ROTS if zones.may_rot(number):
                zones.rot(number, operation.second)
                self.driven.store.fs.volume.blocks.forget_all()
            case Kind.ZONE_FLICKERS if zones.may_go(number):
                zones.flicker(number)
            case Kind.ZONE_GOES if zones.may_go(number):
                zones.go(number)
            case Kind.ZONE_EMPTIED if zones.may_be_emptied(number):
                zones.empty(number)
            case _:
                pass

    async def _go_on_and_die(self, operation: Operation) -> None:
        """A task goes on, and the process dies at one of its calls to a zone."""
        process = self.driven.zones.process
        process.calls_left = operation.second
        for _ in range(4 * operation.third + 1):
            await self.background.go_on(operation.first)
            if process.is_over:
                break
        process.calls_left = None
        if process.is_over:
            self._listens = False
            await self._die()
            self._pass_time(1)
            self.driven.crash(power=False)
            if self.driven.torn_append_counts:
                self.reference.note_journaled(self._being_journaled)
            self.reference.crash(power=False)
            self.reference.note_moment()

    async def _die(self) -> None:
        await self.background.die(self.driven.zones.process)

    def _check_failures(self) -> None:
        """Only zones that were harmed keep work from being done."""
        for name, error in self.background.failures:
            is_of_zones = isinstance(error, (ZoneUnavailable, TooFewZones))
            if not (is_of_zones and self.driven.disturbances):
                raise AssertionError(f"{name}: {error!r}") from error
        self.background.failures.clear()

    async def end(self) -> None:
        """All zones come back and are told, all work is done: each zone alone has everything."""
        self._listens = True
        await self.background.finish()
        await self._all_zones_come_back()
        if self._has_turnover:
            await self._done(self.driven.add_zone)
            await self._done(partial(self.driven.remove_zone, self.driven.zones.numbers[0]))
            await self._done(self.driven.scrub)
        self._note_what_it_did()
        self.reference.note_moment()
        self._listens = False
        await self._done(self.driven.settle_classes)
        await self._done(self.driven.collect_garbage)
        self.contents.clear()
        self.compare_now()
        if self.region is not None:
            await self._end_region(self.region)

    async def _all_zones_come_back(self) -> None:
        zones = self.driven.zones
        for number in zones.numbers:
            zones.come(number)
        for number in zones.numbers:
            await self._done(partial(self.driven.bring_back, number))
        await self._done(self.driven.scrub)
        assert zones.whole() == set(zones.known), "a zone does not come back"
        assert zones.numbers == zones.known
        packs = self.driven.store.fs.volume.metadata.pack_placements()
        self.driven.check_copies(complete=packs)
        self.driven.disturbances = 0

    async def _end_region(self, region: Region) -> None:
        """Whatever was written is saved, and told: the other region has it all."""
        for handle in list(self.reference.handles):
            self._pass_time(1)
            self.reference.close(handle)
            self.driven.close(handle)
        fs = self.driven.store.fs
        for _ in range(3):  # a way that was to break still does, once
            await self._done(self.driven.tell)
        assert not region.pending(fs), "something is never told"
        assert not fs.volume.metadata.failed_tasks(1), "something was refused"
        compare_region(self.reference, self.driven.inos, fs, region.store.fs)
        trio_apart(lambda: check_invariants(region.store))

    async def _done(self, work: Callable[[], Awaitable[object]]) -> None:
        await self.background.start("at the end", work, self.driven.zones.process)
        await self.background.finish()
        self._check_failures()

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
            node = facts.nodes[number]
            expected = [self._expected(version) for version in node.versions]
            assert self._versions(ino) == expected

            inode = self.driven.store.fs.volume.metadata.inode(ino)
            assert inode is not None
            assert as_lock(inode.lock) == self.reference.lock_of(node)
            assert ("", OPEN, SEALED)[inode.append_only] == node.append_only

    def _expected(self, version: Version) -> tuple[object, ...]:
        facts, key = self.reference.facts, version.key
        retrieval = facts.retrievals.get(key)
        of_class = (facts.class_of(version), retrieval)
        return (*of_class, facts.tags.get(key, ""), facts.lock_of(version), version.content)

    def _versions(self, ino: int) -> list[tuple[object, ...]]:
        fs = self.driven.store.fs
        found: list[tuple[object, ...]] = []
        for version in fs.volume.metadata.versions(ino)[::-1]:
            key = (ino, version.stamp_ns)
            if key not in self.contents:
                layouts = fs.reading.layouts(ino, version.stamp_ns)
                self.contents[key] = fs.reading.read_blocking(layouts, 0, version.size)
            tag = version.tags.get("key", "")
            of_class = (version.storage_class, _as_retrieval(version.retrieval))
            found.append((*of_class, tag, as_lock(version.lock), self.contents[key]))
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


def _as_retrieval(retrieval: retrieving.Retrieval | None) -> Retrieval | None:
    if retrieval is None:
        return None
    until = retrieval.expires_ns // SECOND_NS
    return Retrieval(str(retrieval.tier), retrieval.days, until)


def _without_mtime(row: tuple[object, ...], unknown: set[object]) -> tuple[object, ...]:
    return (row[0], *row[2:]) if row[0] in unknown else row


async def _outcome(call: Call, system: System) -> object:
    try:
        result = call(system)
        return await result if isawaitable(result) else result
    except Refused as refusal:
        return f"refused: {refusal}"
    except S3fsLocalError as error:
        return f"refused: {type(error).__name__}"


async def _go_through(operations: Sequence[Operation], clock: MockClock) -> Exception | None:
    async with trio.open_nursery() as nursery:
        background = Background(nursery, clock)
        with_region = any(operation.kind in OF_REGIONS for operation in operations)
        with_locks = all(operation.kind is not Kind.SET_VERSIONING for operation in operations)
        pair = Pair(background, with_region=with_region, with_locks=with_locks)
        failure = None
        try:
            await _checked(pair, operations)
        except Exception as error:  # noqa: BLE001 - raised outside of the nursery, as it is
            failure = error
        await background.die(pair.driven.zones.process)
    return failure


async def _checked(pair: Pair, operations: Sequence[Operation]) -> None:
    for operation in operations:
        await pair.step(operation)
    await pair.end()
    times = pair.reference.facts.times
    for time in times[:: max(len(times) // 4, 1)]:
        pair.compare_past(time)
    trio_apart(lambda: check_invariants(pair.driven.store))


def go_through(operations: Sequence[Operation]) -> None:
    """Contents, attributes, listings, errors, versions, and the past at every step are the same.

    The same operations are always the same run: the order of tasks is decided, too.
    """
    clock = MockClock()
    with deterministic_PRNG(0):
        failure = trio.run(_go_through, operations, clock, clock=clock)
    if failure is not None:
        raise failure
