"""The filesystem itself, driven by the same calls as its reference."""

import json
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from random import Random  # noqa: TID251 - repeatable on purpose
from threading import Thread
from typing import Final

import trio
from msgspec import structs
from trio.testing import MockClock

from s3fs_local.crypto.sealing import digest
from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.draft_records import FLOOR_SETTING
from s3fs_local.engine.durability import RunBlocking
from s3fs_local.engine.healing import Healing, Streams
from s3fs_local.engine.lifecycle import Outcome
from s3fs_local.engine.lifecycle_keys import Key
from s3fs_local.engine.lifecycle_runs import Run, Turns
from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.engine.purging import purge
from s3fs_local.engine.restoring import Restoring, Step
from s3fs_local.engine.scrubbing import Scrubbing
from s3fs_local.engine.share_care import ShareCare
from s3fs_local.engine.verified_copies import VerifiedCopies
from s3fs_local.engine.zone_care import ZoneCare
from s3fs_local.engine.zone_turnover import ZoneTurnover
from s3fs_local.errors import Archived, StorageError
from s3fs_local.metadata.changes import PutSetting
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.objects.zone import Zone
from s3fs_local.packs.journal import Journal
from s3fs_local.packs.ledger import Ledger
from s3fs_local.packs.pack_store import pack_name
from s3fs_local.rules.history import HistoryItem
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, ROOT_INO, Caller, Inode
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.ledger_notes import ClockNoted
from s3fs_local.rules.lifecycle_validation import read_lifecycle
from s3fs_local.rules.namespace import Entry
from s3fs_local.rules.retention import Bypass, DirectoryPolicy, LegalHold, Retention
from s3fs_local.rules.retrieval import RetrievalTier
from s3fs_local.rules.storage_classes import StorageClass
from s3fs_local.rules.versioning import Origin, VersioningState
from s3fs_local.system.clock import TrustedClock
from tests.engine.memory_store import ALICE, ROOT, START_NS, STORE_ID, MemoryStore, at_once
from tests.engine.verified import verified
from tests.pretended_machine import PretendedMachine
from tests.simulation.background import Background, Work
from tests.simulation.lagging_metadata import LaggingMetadata
from tests.simulation.reference.ageing import Rule
from tests.simulation.reference.locks import Bypass as Asked
from tests.simulation.reference.locks import Demand
from tests.simulation.reference.restoring import ARCHIVED
from tests.simulation.region import Region
from tests.simulation.zones import HOT, ROSTER_NAME, SimulatedZones

START_S = START_NS // SECOND_NS
DAY_NS = 86_400 * SECOND_NS
ZONES_MAX: Final = 5
COPIES: Final = 3
"""Of packs of all classes but STANDARD, of which every zone has one."""
DRAFT_MEMORY_BYTES = 9000  # so that drafts are sealed early often


class NothingToCheckpoint:
    """The metadata engine in memory keeps its commits by itself."""

    wal_bytes = 0

    def checkpoint(self) -> None:
        """It is durable already."""


class SimulatedRoster:
    """See `Roster`."""

    def __init__(self, zones: SimulatedZones, run_blocking: RunBlocking) -> None:
        self._zones = zones
        self._run_blocking = run_blocking

    async def write(self, zones: Sequence[Zone]) -> None:
        """See `Roster`."""
        await self._run_blocking(partial(self._zones.write, zones))

    async def tell(self) -> None:
        """See `Roster`."""
        with suppress(StorageError):  # who cannot be told now is told later
            await self._run_blocking(self._zones.tell)


class DrivenStore:
    """See `operations.System`. Knows by which inode number each of the reference's numbers goes.

    With a `background` whatever waits is an awaitable, and tasks of the store stop where they wait.
    """

    def __init__(
        self, background: Background | None = None, *, zones: int = 1, object_lock: bool = True
    ) -> None:
        self.background = background
        self.zones = SimulatedZones(zones)
        self.machine = PretendedMachine()
        self._false_days = 0
        self.metadata = LaggingMetadata()
        self.random = Random(zones)  # noqa: S311 - repeatable on purpose
        self.store = MemoryStore(
            metadata=self.metadata,
            make_zones=self.zones.open_set,
            run_blocking=background.run_blocking if background else at_once,
            make_clock=lambda start: TrustedClock(
                floor_ns=start.floor_ns, state=start.state, machine=self.machine
            ),
            object_lock="true" if object_lock else "false",
        )
        self.metadata.checkpoint()
        self.inos: dict[int, int] = {ROOT_INO: ROOT_INO}
        self.handles: dict[int, int] = {}
        self.last_handle = 0
        self.on_journal: Callable[[str], None] = lambda _: (
            None
        )  # told "appending", "append", "sync"
        self.before_pass: Callable[[], None] = lambda: None
        self.on_pass: Callable[[Outcome, int], None] = lambda *_: None
        self.region: Region | None = None
        self._torn: tuple[int, bytes] | None = None
        self.torn_append_counts = False
        self.disturbances = 0  # of zones
        self._opened()
        volume = self.store.fs.volume
        volume.note(ClockNoted(volume.now_ns(), "the ledger knows the time from here on"))
        trio_apart(self.store.settle)

    @property
    def failing(self) -> FailingObjects:
        """The first zone."""
        return self.zones.failing[0]

    def _opened(self) -> None:
        volume = self.store.fs.volume
        volume.settings = structs.replace(volume.settings, draft_memory_bytes=DRAFT_MEMORY_BYTES)
        durability = volume.durability
        healing = Healing(volume, durability.packs, VerifiedCopies())
        packs = durability.packs
        shares = ShareCare(volume, packs)
        streams = Streams(self._best_copy, self._is_blank, self._small_files)
        self.zones.packs = self._pack_names
        self.turnover = ZoneTurnover(volume, SimulatedRoster(self.zones, durability.run_blocking))
        self.care = ZoneCare(
            volume, packs, healing, shares, reopen=self.zones.reopen, streams=streams
        )
        self.scrubbing = Scrubbing(volume.zones, packs, healing, shares, streams=streams)
        self._watch_lifecycle()
        journal = durability.journal
        append, sync = journal.append, journal.sync

        def watched_append(payloads: Sequence[bytes]) -> int:
            if not self.zones.process.is_over:
                self._torn = (journal.position, payloads[-1])
                self.on_journal("appending")
            position = append(payloads)
            self._torn = None
            self.on_journal("append")
            return position

        def watched_sync() -> None:
            sync()
            self.on_journal("sync")

        journal.append = watched_append  # type: ignore[method-assign]
        journal.sync = watched_sync  # type: ignore[method-assign]

    def _best_copy(self, name: str, copies: Sequence[ObjectCopy]) -> ObjectCopy | None:
        return self._keeper(name).best_copy(name, copies)

    def _is_blank(self, name: str, copies: Sequence[ObjectCopy]) -> bool:
        return self._keeper(name).is_blank(name, copies)

    def _small_files(self) -> dict[str, bytes]:
        return {ROSTER_NAME: self.zones.roster}

    def _pack_names(self) -> set[str]:
        volume = self.store.fs.volume
        drafts = volume.drafts.values()
        of_drafts = {block.pack_id for draft in drafts for block in draft.blocks.values()}
        return {pack_name(each) for each in of_drafts | volume.metadata.pack_placements().keys()}

    def _keeper(self, name: str) -> Journal | Ledger:
        durability = self.store.fs.volume.durability
        return durability.journal if name.startswith("journal/") else durability.ledger.ledger

    def _run(self, work: Work) -> object:
        """It was done; with a background, an awaitable that does it."""
        if self.background is None:
            return trio.run(work)
        return self.background.beside(work)

    def journaled_drafts(self) -> set[int]:
        """The inodes whose drafts are in the journal as they are."""
        drafts = self.store.fs.volume.drafts.values()
        return {draft.ino for draft in drafts if draft.journaled and not draft.needs_journal}

    def sealed_early(self) -> set[int]:
        """The inodes whose drafts have cells in packs."""
        return {ino for ino, draft in self.store.fs.volume.drafts.items() if draft.sealed}

    def _place(self, path: str) -> tuple[int, bytes]:
        return self.store.place(path)

    def ino(self, path: str) -> int:
        """The inode number of a path; "" is the root."""
        return self.store.stat(path or "/").ino

    def _add_handle(self, number: int) -> int:
        self.last_handle += 1
        self.handles[self.last_handle] = number
        return self.last_handle

    def create(self, path: str, mode: int) -> int:
        """See `Reference.create`."""
        opened, _ = self.store.fs.create(*self._place(path), 0o100000 | mode, os.O_RDWR, ALICE)
        return self._add_handle(opened.handle)

    def mknod(self, path: str, mode: int) -> None:
        """See `Reference.mknod`."""
        self.store.fs.mknod(*self._place(path), 0o100000 | mode, 0, ALICE)

    def mkdir(self, path: str, mode: int) -> None:
        """See `Reference.mkdir`."""
        self.store.fs.mkdir(*self._place(path), 0o040000 | mode, ALICE)

    def symlink(self, path: str, target: str) -> None:
        """See `Reference.symlink`."""
        self.store.fs.symlink(*self._place(path), target.encode(), ALICE)

    def link(self, old: str, new: str) -> None:
        """See `Reference.link`."""
        self.store.fs.link(self.ino(old), *self._place(new), ALICE)

    def unlink(self, path: str) -> None:
        """See `Reference.unlink`."""
        self.store.fs.unlink(*self._place(path), ALICE)

    def rmdir(self, path: str) -> None:
        """See `Reference.rmdir`."""
        self.store.fs.rmdir(*self._place(path), ALICE)

    def rename(self, old: str, new: str, flags: int) -> None:
        """See `Reference.rename`."""
        self.store.fs.rename(*self._place(old), *self._place(new), flags, ALICE)

    def open(self, path: str, *, writable: bool, truncate: bool) -> int:
        """See `Reference.open`."""
        flags = (os.O_RDWR if writable else os.O_RDONLY) | (os.O_TRUNC if truncate else 0)
        return self._add_handle(self.store.fs.open(self.ino(path), flags, ALICE).handle)

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """See `Reference.write`."""
        self.store.fs.write(self.handles[handle], offset, data)

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """See `Reference.read`."""
        content = self.store.fs.read_nowait(self.handles[handle], offset, size)
        assert content is not None
        return content

    def truncate_handle(self, handle: int, size: int) -> None:
        """See `Reference.truncate_handle`."""
        number = self.handles[handle]
        ino = self.store.fs.open_files.get(number).ino
        self.store.fs.setattr(ino, AttributeChange(size=size), number, ALICE)

    def truncate(self, path: str, size: int) -> None:
        """See `Reference.truncate`."""
        self.store.fs.setattr(self.ino(path), AttributeChange(size=size), None, ALICE)

    def close_duplicate(self, handle: int) -> None:
        """See `Reference.close_duplicate`."""
        self.store.fs.flush(self.handles[handle])

    def close(self, handle: int) -> None:
        """See `Reference.close`."""
        number = self.handles.pop(handle)
        self.store.fs.flush(number)
        self.store.fs.release(number)

    def chmod(self, path: str, mode: int) -> object:
        """See `Reference.chmod`."""
        fs, ino, change = self.store.fs, self.ino(path), AttributeChange(mode=mode)
        if fs.locks_by_habit(ino, change):
            return self._patiently(lambda: self._lock_by_habit(ino, change))
        fs.setattr(ino, change, None, ALICE)
        return None

    async def _lock_by_habit(self, ino: int, change: AttributeChange) -> None:
        await self.store.fs.lock_by_habit(ino, change, ALICE)

    def touch(self, path: str, atime: float) -> None:
        """See `Reference.touch`."""
        change = AttributeChange(atime_ns=int(atime * 2) * SECOND_NS // 2)
        self.store.fs.setattr(self.ino(path), change, None, ALICE)

    def lock_quiet(self) -> None:
        """See `Reference.lock_quiet`."""
        while self.store.fs.locks.pending.lock_due():
            pass

    def utimes(self, path: str, mtime: int) -> None:
        """See `Reference.utimes`."""
        change = AttributeChange(mtime_ns=mtime * SECOND_NS)
        self.store.fs.setattr(self.ino(path), change, None, ALICE)

    def setxattr(self, path: str, name: str, value: bytes) -> None:
        """See `Reference.setxattr`."""
        self.store.fs.setxattr(self.ino(path), name.encode(), value, ALICE)

    def removexattr(self, path: str, name: str) -> None:
        """See `Reference.removexattr`."""
        self.store.fs.removexattr(self.ino(path), name.encode(), ALICE)

    def fsync(self, handle: int) -> object:
        """See `Reference.fsync`."""
        fs, number = self.store.fs, self.handles[handle]
        if fs.fsync_nowait(number):
            return None
        return self._run(lambda: fs.fsync(number, False))  # noqa: FBT003 - as fsync(2)

    def flush(self) -> object:
        """See `Reference.flush`."""
        return self._run(lambda: self.store.fs.volume.durability.flush(durable=False))

    def settle(self) -> object:
        """See `Reference.settle`."""
        return self._run(self.store.fs.volume.durability.settle)

    def leave_segment(self) -> object:
        """See `Reference.leave_segment`."""
        durability = self.store.fs.volume.durability
        return self._run(lambda: durability.leave_segment_behind(self.metadata))

    def checkpoint(self, path: str) -> None:
        """See `Reference.checkpoint`."""
        self.store.fs.writing.commit(self.ino(path), origin=Origin.CHECKPOINT)

    def purge(self, number: int, position: int, bypass: Asked | None = None) -> None:
        """See `Reference.purge`."""
        ino = self.inos[number]
        version = self.store.fs.volume.metadata.versions(ino)[::-1][position]
        through = Entry(ROOT_INO, b"", 0, ino)
        item = HistoryItem(entry=through, version=version, since_ns=0)
        purge(self.store.fs, item, caller=ALICE, bypass=_bypass(bypass))

    def restore(self, path: str, time: int) -> None:
        """See `Reference.restore`; a dry run before it must tell the same steps."""
        at_ns = end_of(time)
        told = self._restoring(path, at_ns, dry_run=True)
        done = self._restoring(path, at_ns, dry_run=False)
        assert told == done

    def _restoring(self, path: str, at_ns: int, *, dry_run: bool) -> list[Step]:
        walk = Restoring(self.store.fs, ALICE, at_ns=at_ns, dry_run=dry_run)
        if not path:
            was = self.store.fs.histories.inode_at(ROOT_INO, at_ns)
            assert was is not None
            return list(walk.restore_root(ROOT_INO, was, b""))
        *above, last = path.split("/")[1:]
        number = ROOT_INO
        for name in above:
            number = self.store.fs.histories.child_at(number, name.encode(), at_ns).ino
        was = self.store.fs.histories.child_at(number, last.encode(), at_ns)
        return list(walk.restore(*self._place(path), was, path.encode()))

    def look_back(self, time: int) -> list[tuple[object, ...]]:
        """See `Reference.look_back`; through `.versions/@…` of the root, as a person would."""
        versions = self.store.fs.lookup(ROOT_INO, b".versions")
        name = b"@%d.5" % time
        root = self.store.fs.lookup(versions.ino, name)
        found: list[tuple[object, ...]] = []
        self._look_back(root, "", found)
        self.store.fs.forget(root.ino, 1)
        self.store.fs.forget(versions.ino, 1)
        assert not len(self.store.fs.views), "nodes of views are kept for ever"
        return sorted(found, key=lambda row: str(row[0]))

    def _content(self, inode: Inode) -> bytes:
        try:
            handle = self.store.fs.open(inode.ino, os.O_RDONLY, ALICE).handle
        except Archived:
            return ARCHIVED
        content = self.store.fs.read_nowait(handle, 0, 1 << 30)
        self.store.fs.release(handle)
        assert content is not None
        return content

    def _look_back(self, inode: Inode, path: str, found: list[tuple[object, ...]]) -> None:
        fs = self.store.fs
        kind = "directory" if inode.is_directory else "symlink" if inode.is_symlink else "file"
        content = self._content(inode) if inode.is_file else b""
        target = fs.readlink(inode.ino).decode() if inode.is_symlink else ""
        mode = inode.mode & 0o555
        mtime = inode.mtime_ns // SECOND_NS
        xattrs = tuple(sorted((k.decode(), v) for k, v in inode.xattrs.items()))
        found.append((path, mtime, kind, mode, target, xattrs, content))
        if not inode.is_directory:
            return
        handle = fs.opendir(inode.ino, ALICE)
        entries = list(fs.readdir(handle, 0))
        fs.releasedir(handle)
        for name, child, _ in entries:
            assert child.ino >= FIRST_VIRTUAL_INO
            self._look_back(child, f"{path}/{name.decode()}", found)
            fs.forget(child.ino, 1)

    def set_versioning(self, *, is_suspended: bool) -> None:
        """See `Reference.set_versioning`."""
        wanted = VersioningState.SUSPENDED if is_suspended else VersioningState.ENABLED
        volume = self.store.fs.volume
        volume.apply([PutSetting("versioning", json.dumps(wanted.value))])
        volume.settings = structs.replace(volume.settings, versioning=wanted)

    # Time, of which the date is only what somebody set.

    def pass_time(self, seconds: int) -> None:
        """All clocks of the machine go on."""
        self.machine.pass_time(seconds * SECOND_NS)

    def set_date(self, days: int) -> None:
        """See `Reference.set_date`."""
        self.machine.wall += (days - self._false_days) * DAY_NS
        self._false_days = days

    def crash(self, *, power: bool, seconds_off: int = 0) -> None:
        """See `Reference.crash`; whatever the store did by itself was ended before."""
        if power:
            self.zones.power_cut()
            self.metadata.power_cut(self.random)
            self.set_date(0)
            self.machine.reboot()
            self.machine.wall += seconds_off * SECOND_NS
        self.handles.clear()
        self.store.crash()
        self.torn_append_counts = self._has_torn_append()
        self._opened()
        trio_apart(self.store.settle)
        trio_apart(self._check_verified)

    def _has_torn_append(self) -> bool:
        """Whether what the process died in the middle of appending is in the journal that counts.

        Nobody was told of it, so either is right.
        """
        torn, self._torn = self._torn, None
        if torn is None:
            return False
        last = self.store.fs.volume.durability.journal.position
        floor = int(self.metadata.setting(FLOOR_SETTING) or 0)
        journal = Journal(self.zones.set, self.store.ring.subkey("journal"), STORE_ID)
        records = list(journal.replay(floor))
        return any(torn[0] < at <= last and payload == torn[1] for at, payload in records)

    def _check_verified(self) -> None:
        """Ledger, law, facts and bytes agree, but for the bytes of zones that were harmed."""
        whole = {f"zone {number}" for number in self.zones.whole()}
        found = [each for each in verified(self.store).found if not each.zone or each.zone in whole]
        assert found == [], found

    # What the store does by itself.

    def set_class(self, path: str, wanted: str) -> None:
        """See `Reference.set_class`."""
        inode = self.store.stat(path)
        self.store.fs.classes.set_by(inode.ino, inode.version_ns, StorageClass(wanted), ALICE)

    def set_tags(self, path: str, tag: str) -> None:
        """See `Reference.set_tags`."""
        tags = {"key": tag} if tag else {}
        self.store.fs.lock_attributes.set_tags(self.ino(path), tags, ALICE)

    # Locks.

    def set_retention(
        self, path: str, mode: str, until: int, bypass: Asked | None, *, cut_writers: bool
    ) -> object:
        """See `Reference.set_retention`."""
        wanted, ino = Retention(mode, until * SECOND_NS), self.ino(path)
        set_it = self.store.fs.lock_attributes.set_retention
        asked = _bypass(bypass)
        return self._patiently(
            lambda: set_it(ino, wanted, ALICE, bypass=asked, cut_writers=cut_writers)
        )

    def clear_retention(self, path: str, bypass: Asked | None) -> None:
        """See `Reference.clear_retention`."""
        locks = self.store.fs.locks
        locks.set_retention(self.ino(path), None, caller=ALICE, bypass=_bypass(bypass))

    def hold(self, path: str, case: str, who: int, *, cut_writers: bool) -> object:
        """See `Reference.hold`."""
        hold = LegalHold(case, "it matters", who, self.store.fs.volume.now_ns())
        ino, set_it = self.ino(path), self.store.fs.lock_attributes.set_legal_hold
        return self._patiently(lambda: set_it(ino, hold, _caller(who), cut_writers=cut_writers))

    def lift_hold(self, path: str, case: str, who: int) -> None:
        """See `Reference.lift_hold`."""
        self.store.fs.locks.clear_legal_hold(self.ino(path), case, caller=_caller(who))

    def set_append_only(self, path: str) -> None:
        """See `Reference.set_append_only`."""
        ino = self.ino(path)
        self.store.fs.lock_attributes.settle_draft(ino)
        self.store.fs.locks.set_append_only(ino, caller=ALICE)

    def protect(self, path: str, semantics: str, demand: Demand) -> None:
        """See `Reference.protect`."""
        period_ns = int(demand.period * 2) * SECOND_NS // 2
        quiet_ns = int(demand.quiet * 2) * SECOND_NS // 2
        policy = DirectoryPolicy(
            demand.mode,
            period_ns,
            semantics=semantics,
            commit=demand.commit,
            quiet_ns=quiet_ns,
        )
        self.store.fs.locks.set_policy(self.ino(path), policy, caller=ALICE)

    def _patiently(self, work: Work) -> object:
        """It was done, and whoever it waits for did not come; as `_run`."""
        if self.background is None:
            return trio.run(work, clock=MockClock(autojump_threshold=0))
        return self.background.patiently(work)

    def put_lifecycle(self, rules: tuple[Rule, ...]) -> None:
        """See `Reference.put_lifecycle`."""
        in_store = self.store.fs.lifecycle.rules
        if not rules:
            in_store.delete()
            return
        data = json.dumps({"Rules": rules}).encode()
        document, _ = read_lifecycle(data, minimum=None, new_id=count(1).__next__)
        in_store.put(document)

    async def run_lifecycle(self) -> Run:
        """What is due is done."""
        return await self.store.fs.lifecycle.run(Turns(self.store.fs.volume))

    def _watch_lifecycle(self) -> None:
        """Whoever drives the simulation hears of each pass over a name."""
        rules = self.store.fs.lifecycle.rules
        carry_out = rules.carry_out

        def watched(key: Key, now_ns: int) -> Outcome:
            self.before_pass()
            outcome = carry_out(key, now_ns)
            self.on_pass(outcome, now_ns)
            return outcome

        rules.carry_out = watched  # type: ignore[method-assign]

    def retrieve(self, path: str, tier: str, days: int) -> None:
        """See `Reference.retrieve`."""
        inode = self.store.stat(path)
        self.store.fs.retrieving.request(
            inode.ino, inode.version_ns, days=days, tier=RetrievalTier(tier), caller=ALICE
        )

    async def advance_retrievals(self) -> None:
        """Copies that were asked for are there, and those whose days are over are gone."""
        await self.store.fs.retrieving.advance_all(AT_ONCE)

    def follow(self, region: Region) -> None:
        """The other region is told of everything from now on."""
        self.region = region
        region.follow(self.store.fs)
        trio_apart(self.store.settle)

    async def tell(self) -> None:
        """The other region was told, as far as the way held."""
        if self.region is not None:
            await self.region.tell(self.store.fs)

    async def upkeep(self) -> None:
        """What happened is flushed, and settled."""
        durability = self.store.fs.volume.durability
        await durability.flush(durable=False)
        await durability.settle()

    async def settle_classes(self) -> None:
        """What nobody reads grows colder, and blocks lie where they belong."""
        classes = self.store.fs.classes
        classes.apply_reads()
        while classes.move_tiers():
            pass
        await self.store.fs.settling.settle_all(AT_ONCE)

    async def collect_garbage(self) -> None:
        """No pack is mostly dead."""
        await collect_garbage(self.store.fs, dry_run=False)

    async def rotate_keys(self) -> None:
        """A new version of the key wraps every data key, and the old ones are destroyed."""
        keys = self.store.fs.key_administration
        await keys.change(lambda ring: ring.add_version("store"))
        await keys.rewrap(None, forget_old=True, dry_run=False, on_progress=_turn)

    async def scrub(self) -> None:
        """Every copy was read and mended; unless zones were harmed meanwhile, all are whole.

        But for zones that came back meanwhile, and packs that were begun: they may have been passed
        already.
        """
        before, volume = self.disturbances, self.store.fs.volume
        read = {zone: zone.store for zone in self.zones.set.well}
        packs = set(volume.metadata.pack_placements())
        await self.scrubbing.run(
            before_ns=volume.now_ns() + 1, rate_bytes=1 << 40, with_growing=True
        )
        if self.disturbances == before:
            self.zones.rotten -= {
                number
                for number in self.zones.rotten
                if (zone := self._zone(number)) in read
                and zone.is_well
                and zone.store is read[zone]
            }
            is_same = read == {zone: zone.store for zone in self.zones.set.well}
            self.check_copies(complete=packs if is_same else ())

    async def bring_back(self, number: int) -> None:
        """The zone is told what it missed."""
        await self.care.notice()
        zone = self._zone(number)
        if zone is None:
            return  # it was removed meanwhile
        if not zone.is_well:
            await self.care.bring_back(zone)
        self._note_if_well(number)

    def _note_if_well(self, number: int) -> None:
        zone = self._zone(number)
        if zone is not None and zone.is_well and number not in self.zones.gone:
            self.zones.emptied.discard(number)
            if number in self.zones.flickers:
                self.zones.come(number)
            self.check_copies()

    async def add_zone(self, kind: str = HOT) -> None:
        """The store has one zone more, and that has everything that it should."""
        async with self.turnover.mutex:
            if len(self.zones.numbers) >= ZONES_MAX or not self.zones.may_grow():
                return
            zone = self.zones.make(kind)
            self.zones.is_growing = True
            try:
                await self.turnover.take_in(zone)
            finally:
                self.zones.is_growing = False
            await self.care.bring_back(zone)
            self._note_if_well(self.zones.numbers[-1])

    async def remove_zone(self, number: int) -> None:
        """The zone is none of the store's, unless it has what no other zone has."""
        async with self.turnover.mutex:
            zone = self._zone(number)
            if zone is None or len(self.zones.numbers) == 1 or not self.zones.may_leave(number):
                return
            before, are_whole = self.disturbances, self._are_whole
            await self.turnover.remove(zone, self.care, report=lambda _: None)
            self.zones.throw_away(zone)
            are_complete = are_whole and self._are_whole and self.disturbances == before
            packs = self.store.fs.volume.metadata.pack_placements()
            self.check_copies(complete=packs if are_complete else ())

    @property
    def _are_whole(self) -> bool:
        return self.zones.whole() == set(self.zones.numbers)

    async def mend(self) -> None:
        """What readers found damaged is whole again."""
        while self.scrubbing_suspects:
            await self.scrubbing.mend(self.scrubbing_suspects.pop())

    @property
    def scrubbing_suspects(self) -> set[int]:
        """Packs that somebody found damaged in a zone."""
        return self.store.fs.volume.durability.packs.suspects

    def _zone(self, number: int) -> Zone | None:
        numbers = self.zones.numbers
        return self.zones.set.zones[numbers.index(number)] if number in numbers else None

    def check_copies(self, *, complete: Collection[int] = ()) -> None:
        """Every block lies as it was sealed wherever its pack lies and nobody harmed it.

        Those in packs that are `complete`, in as many zones as they should.
        """
        metadata = self.store.fs.volume.metadata
        for pack_id, placement in metadata.pack_placements().items():
            blocks = metadata.blocks_in_pack(pack_id)
            holders = self._holders(pack_name(pack_id)) if blocks else set()
            for block in blocks:
                for number in holders - self.zones.rotten:
                    disk = self.zones.disks[number]
                    sealed = disk.read(pack_name(pack_id), block.pack_offset, block.sealed_length)
                    assert digest(sealed) == block.digest, f"zone {number} has not {block}"
            if blocks:
                least = self._copies_wanted(placement, is_complete=pack_id in complete)
                assert len(holders) >= least, f"{pack_id:x} lies in {holders} only"

    def _copies_wanted(self, placement: str, *, is_complete: bool) -> int:
        """So many of the zones that are well have each pack: at once, or in the end."""
        there = self.zones.there()
        hot = {number for number in there if self.zones.kinds[number] == HOT}
        if placement == "STANDARD":
            return len(hot)
        if is_complete or len(self.zones.known) <= COPIES:
            return min(COPIES, len(there))
        return 1

    def _holders(self, name: str) -> set[int]:
        disks = self.zones.disks
        return {number for number in self.zones.there() if name in set(disks[number].list(name))}


def _bypass(asked: Asked | None) -> Bypass | None:
    return None if asked is None else Bypass(asked.is_entitled, asked.reason)


def _caller(who: int) -> Caller:
    return ALICE if who else ROOT


async def _turn(_done: int, _total: int) -> None:
    await trio.lowlevel.checkpoint()


def trio_apart(work: Callable[[], object]) -> None:
    """It is done in a thread of its own: it may run a loop, whether or not one runs here."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again where it belongs
            raised.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def end_of(time: int) -> int:
    """An instant after everything that happened in that second."""
    return time * SECOND_NS + SECOND_NS // 2
