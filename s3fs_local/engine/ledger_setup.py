"""The ledger and the clock of a store that is opened: each needs what the other knows."""

from contextlib import suppress
from typing import Final

from msgspec import Struct

from s3fs_local.crypto.key_ring import KeyRing
from s3fs_local.crypto.signing import Signer
from s3fs_local.engine.draft_records import ChangeBatch, encode
from s3fs_local.engine.ledger import LedgerKeeper, entries, open_ledger
from s3fs_local.engine.refusal_notes import RefusalNotes
from s3fs_local.engine.refusals import Refusals
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import StoreFull
from s3fs_local.metadata.changes import PutSetting
from s3fs_local.metadata.interface import Metadata
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.ledger import Ledger
from s3fs_local.rules.compliance_clock import ClockState
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.instants import SECOND_NS, format_duration
from s3fs_local.rules.ledger_notes import ClockNoted
from s3fs_local.system.randomness import Randomness

TEST_CLOCK_SETTING: Final = "fact.test-clock"
"""Set by `init --test-clock`. The ledger must agree: an edited row makes no store a rehearsal."""


class ClockStart(Struct, frozen=True):
    """What the ledger and the facts know of the time, for a clock that is made."""

    floor_ns: int  # the last stamp
    state: ClockState | None  # the clock at the last record of the ledger; None for a new store
    is_rehearsal: bool  # the store was made with `init --test-clock`, as the ledger has it


def ledger_of(zones: ZoneSet, ring: KeyRing, *, store_id: bytes, randomness: Randomness) -> Ledger:
    """The store's ledger, to be opened."""
    return Ledger(
        zones,
        key=ring.subkey("ledger"),
        signer=Signer(ring.subkey("ledger signing")),
        store_id=store_id,
        randomness=randomness,
    )


def open_keeper(
    zones: ZoneSet, ring: KeyRing, metadata: Metadata, *, store_id: bytes, randomness: Randomness
) -> LedgerKeeper:
    """The ledger goes on; one without any record begins with all the facts there are."""
    ledger = ledger_of(zones, ring, store_id=store_id, randomness=randomness)
    opening = open_ledger(ledger, metadata)
    keeper = LedgerKeeper(ledger, opening)
    if opening.last is None and not ledger.head.number:
        _begin(keeper, metadata)
    return keeper


def _begin(keeper: LedgerKeeper, metadata: Metadata) -> None:
    """The ledger begins with all the facts there are, as of when the store was made.

    At once: a store that was used and has no ledger is one whose ledger was taken away.
    """
    root = metadata.inode(ROOT_INO)
    keeper.now_ns = lambda: 0 if root is None else root.btime_ns
    keeper.add(encode(ChangeBatch(list(metadata.facts()), [])))
    with suppress(StoreFull):  # it stays due
        keeper.write(metadata.position())


def set_up_ledger(keeper: LedgerKeeper, volume: Volume, refusals: Refusals) -> None:
    """It has the time, hears of refusals, and says how it was found."""
    keeper.now_ns = volume.now_ns
    keeper.clock_state = lambda: volume.clock.state
    _note_hand_over(volume, keeper.last_clock)
    for note in keeper.note_findings():
        volume.note(note)
    refusals.listeners.append(RefusalNotes(volume.durability).hear)


def clock_start(keeper: LedgerKeeper, metadata: Metadata) -> ClockStart:
    """What a clock of the store begins with."""
    stamp_ns = metadata.counters().stamp_ns
    # The first record of a ledger tells when the store was made, not that its clock showed it.
    floor_ns = stamp_ns if keeper.last_clock is None else max(stamp_ns, keeper.last_ns)
    return ClockStart(floor_ns, keeper.last_clock, is_rehearsal=_is_rehearsal(keeper, metadata))


def _is_rehearsal(keeper: LedgerKeeper, metadata: Metadata) -> bool:
    if metadata.setting(TEST_CLOCK_SETTING) is None or keeper.findings:
        return False
    first = next(entries(keeper.ledger), None)
    if first is None:
        return True
    changes = [change for batch in first.batches for change in batch.changes]
    settings = [change for change in changes if isinstance(change, PutSetting)]
    return any(setting.name == TEST_CLOCK_SETTING for setting in settings)


def _note_hand_over(volume: Volume, before: ClockState | None) -> None:
    """The ledger says so where time passed that nobody measured."""
    now = volume.clock.state
    if before is None or now is None or (before.boot_id, before.host) == (now.boot_id, now.host):
        return
    where = "another boot" if before.host == now.host else f"another machine, {before.host}"
    behind = format_duration(now.behind_ns // SECOND_NS * SECOND_NS)
    finding = f"the clock was handed over from {where}; locks end {behind} after their dates"
    volume.note(ClockNoted(volume.now_ns(), finding))
