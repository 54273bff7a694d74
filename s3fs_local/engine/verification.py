"""Verification: the ledger is read from its beginning and compared with all there is.

    records   each follows the one before it, is signed, and is the same in every zone
    law       no change in them weakens a protection or alters what a version holds
    facts     the database says what the records, applied to an empty engine, say
    bytes     the blocks of locked versions (or of all) are in every zone as they were sealed

A store in use goes on meanwhile: what is compared is the state right after everything settled once,
and not before the zones that a quorum did not wait for have it, too.
The ledger's facts grow in a scratch engine, so memory does not grow with the store.
"""

from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import Final

import trio
from msgspec import Struct, structs

from s3fs_local.engine.discrepancies import Discrepancies, Discrepancy, Kind
from s3fs_local.engine.draft_records import ChangeBatch
from s3fs_local.engine.ledger import decode_body, decode_clock, is_of_this_database
from s3fs_local.engine.ledger_reading import (
    SignedHead,
    check_head_is_ours,
    read_records,
    zones_left_out,
)
from s3fs_local.engine.sealed_bytes import SealedBytes
from s3fs_local.engine.told_names import TOLD_KINDS, ToldNames
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import JournalDamaged, MetadataDamaged
from s3fs_local.metadata.changes import (
    Change,
    Fact,
    PlaceBlock,
    PutInode,
    PutSetting,
    PutVersion,
    RemoveVersion,
    fact_key,
)
from s3fs_local.metadata.interface import Counters, Metadata
from s3fs_local.packs.ledger import LedgerHead, LedgerRecord
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.lawfulness import (
    is_kept,
    judge_block,
    judge_inode,
    judge_removal,
    judge_setting,
    judge_version,
)
from s3fs_local.rules.ledger_notes import ClockShown

SLICE_SECONDS: Final = 0.005
"""How long the loop is kept from other work."""
COMMIT_CHANGES: Final = 20_000
"""So many changes wait in memory before the scratch engine commits."""
_SLICE_CHANGES: Final = 100

Progress = Callable[[str, int, int], Awaitable[None]]
"""Told what is done, how much of it and of how much (0: unknown); a cancellation point."""


class Verified(Struct, frozen=True):
    """What was looked at, and what was not as it should be."""

    head: LedgerHead
    records: int
    facts: int
    versions: int  # whose bytes were read
    bytes: int  # of these, in all zones together
    left_out: list[str]  # zones that are known to lack something, and were not read
    count: int
    found: list[Discrepancy]  # the first of them


class Verification:
    """One run over one open store."""

    def __init__(self, volume: Volume, progress: Progress, *, reads_all: bool) -> None:
        self._volume = volume
        self._progress = progress
        self._reads_all = reads_all
        self._found = Discrepancies()
        self._turn = volume.yielding.turn()
        self._slice_began = trio.current_time()
        self._facts = 0
        self._waiting = 0

    async def run(self, signed: SignedHead | None = None) -> Verified:
        """Everything was compared once.

        Args:
            signed: a head exported earlier, which the ledger must still contain.

        Raises:
            StorageError: what is needed to begin cannot be read, or nothing can be made durable.
        """
        volume = self._volume
        ledger = volume.durability.ledger
        metadata = volume.metadata
        volume.zones.read_anew()
        head, facts, counters, now_ns = await volume.durability.settled(
            lambda: (ledger.head, metadata.facts(), metadata.counters(), volume.expiry_ns())
        )
        await volume.durability.run_blocking(volume.zones.members.wait_for_lanes)
        for finding in ledger.findings:
            self._found.add(Discrepancy(Kind.RECORD, finding, at_ns=now_ns))
        if signed is not None:
            check_head_is_ours(ledger.ledger, signed, self._found)
        with volume.make_scratch() as told:
            names = ToldNames(told, self._found)
            records = 0
            for item in read_records(ledger.ledger, head, signed, self._found):
                records += 1
                await self._apply(told, item.record, names)
                await self._breathe("reading the ledger", records, head.number)
            told.commit(records)
            await self._compare(told.facts(), facts, names)
            self._compare_counters(told.counters(), counters, now_ns)
            sealed = SealedBytes(volume, told, names, self._found)
            await self._read_bytes(sealed, told, now_ns)
            names.finish()
        return Verified(
            head=head,
            records=records,
            facts=self._facts,
            versions=sealed.versions,
            bytes=sealed.bytes,
            left_out=zones_left_out(volume.zones),
            count=self._found.count,
            found=self._found.kept,
        )

    async def _breathe(self, what: str, done: int, total: int) -> None:
        """Others had a turn, if it was time."""
        if trio.current_time() - self._slice_began > SLICE_SECONDS:
            await self._progress(what, done, total)
            await self._turn.over()
            self._slice_began = trio.current_time()

    async def _apply(self, told: Metadata, record: LedgerRecord, names: ToldNames) -> None:
        try:
            batches = decode_body(record.body)
        except JournalDamaged as error:
            self._found.add(Discrepancy(Kind.RECORD, str(error), at_ns=record.at_ns))
            return
        for batch in batches:
            changes = iter(batch.changes)
            while piece := list(islice(changes, _SLICE_CHANGES)):
                self._apply_piece(told, piece, batch, record, names)
                self._waiting += len(piece)
                await self._breathe("reading the ledger", record.number, 0)
        if self._waiting >= COMMIT_CHANGES:
            await self._volume.durability.run_blocking(lambda: told.commit(record.number))
            self._waiting = 0

    def _apply_piece(
        self,
        told: Metadata,
        piece: list[Change],
        batch: ChangeBatch,
        record: LedgerRecord,
        names: ToldNames,
    ) -> None:
        for change in piece:
            self._judge(told, change, batch, record, names)
            try:
                told.apply([change])
            except MetadataDamaged:
                # Records are missing or were altered; the facts that differ are told later.
                sentence = f"a change in record {record.number} does not fit what came before it"
                names.tell(Kind.RECORD, sentence, change, record.at_ns)

    def _judge(
        self,
        told: Metadata,
        change: Change,
        batch: ChangeBatch,
        record: LedgerRecord,
        names: ToldNames,
    ) -> None:
        clock = decode_clock(record.clock)
        notes = batch.notes
        shown_ns = [note.expiry_ns for note in notes if isinstance(note, ClockShown)]
        at_ns = record.at_ns
        if clock is not None:
            at_ns = min(max([clock.expiry_ns, *shown_ns]), record.at_ns)
        match change:
            case PutInode(after):
                before = told.inode(after.ino)
                verdict = judge_inode(before, after, at_ns=at_ns, notes=notes)
            case PutVersion(version):
                earlier = told.version(version.ino, version.stamp_ns)
                verdict = judge_version(earlier, version, at_ns=at_ns, notes=notes)
            case RemoveVersion(ino, stamp_ns):
                removed = told.version(ino, stamp_ns)
                verdict = judge_removal(removed, at_ns=at_ns, notes=notes)
            case PlaceBlock(block):
                verdict = judge_block(told.block(block.block_id), block)
            case PutSetting(name, value):
                verdict = judge_setting(name, told.setting(name), value)
            case _:
                return
        if verdict:
            sentence = f"{verdict} (record {record.number})"
            names.tell(Kind.LAW, sentence, change, record.at_ns)

    async def _compare(
        self, told: Iterator[Fact], stored: Iterator[Fact], names: ToldNames
    ) -> None:
        """Both in the same order, like the teeth of a zip."""
        left, right = _next(told), _next(stored)
        while left is not None or right is not None:
            left_key = None if left is None else fact_key(left)
            right_key = None if right is None else fact_key(right)
            if right_key is None or (left_key is not None and left_key < right_key):
                assert left is not None
                self._tell_fact("is missing in the database", left, names)
                left = _next(told)
            elif left_key is None or right_key < left_key:
                assert right is not None
                self._tell_fact(
                    "is in the database, and the ledger knows nothing of it", right, names
                )
                right = _next(stored)
            else:
                assert left is not None
                assert right is not None
                if left != right:
                    self._tell_fact(_difference(left, right), left, names)
                left, right = _next(told), _next(stored)
            self._facts += 1
            await self._breathe("comparing the database", self._facts, 0)

    def _compare_counters(self, told: Counters, stored: Counters, now_ns: int) -> None:
        """The highest numbers ever used, of stamps above all: from there the time goes on."""
        if told != stored:
            sentence = f"the last numbers used: {_difference_of(told, stored)}"
            self._found.add(Discrepancy(Kind.STORE, sentence, at_ns=now_ns))

    def _tell_fact(self, what: str, fact: Fact, names: ToldNames) -> None:
        sentence = f"{TOLD_KINDS[type(fact)]} {what}"
        names.tell(Kind.FACT, sentence, fact)

    async def _read_bytes(self, sealed: SealedBytes, told: Metadata, now_ns: int) -> None:
        """Blocks of the versions that are to be read, each once in every zone."""
        for fact in told.facts():
            match fact:
                case PutInode():
                    await self._breathe("looking for locked versions", 0, 0)
                case PutVersion(version):
                    inode = told.inode(version.ino)
                    if self._reads_all or is_kept(
                        version, now_ns=now_ns, append_only=_append_only(inode, version.stamp_ns)
                    ):
                        sealed.want(version)
                        await self._read_wanted(sealed, at_least=1 << 23)
                case _:
                    pass
        await self._read_wanted(sealed, at_least=1)
        sealed.name_damaged()

    async def _read_wanted(self, sealed: SealedBytes, *, at_least: int) -> None:
        while sealed.waiting_bytes >= at_least:
            await self._volume.durability.run_blocking(sealed.read_some)
            sealed.confirm()
            await self._progress("reading packs", sealed.bytes, 0)
            await self._turn.over()
            self._slice_began = trio.current_time()


def _next(facts: Iterator[Fact]) -> Fact | None:
    for fact in facts:
        if not is_of_this_database(fact):
            return fact
    return None


def _append_only(inode: Inode | None, stamp_ns: int) -> int:
    return 0 if inode is None or inode.version_ns != stamp_ns else inode.append_only


def _difference(told: Fact, stored: Fact) -> str:
    """Which members of the row differ, and how."""
    return f"was altered in the database: {_difference_of(_row(told), _row(stored))}"


def _difference_of(told: Struct, stored: Struct) -> str:
    left, right = structs.asdict(told), structs.asdict(stored)
    differing = [name for name in left if left[name] != right[name]]
    return "; ".join(
        f"{name} is {_shown(right[name])}, not {_shown(left[name])}" for name in differing
    )


def _row(fact: Fact) -> Struct:
    (first, *others) = structs.astuple(fact)
    return first if not others and isinstance(first, Struct) else fact


def _shown(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
