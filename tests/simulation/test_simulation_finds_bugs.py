"""The simulation can fail: bugs that are put into the engine are found within a few histories."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import pytest

from s3fs_local.engine import classes, healing, opening, replication_naming, retrieving
from s3fs_local.engine.agenda import Agenda
from s3fs_local.engine.durability import Durability
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.habit import Habit
from s3fs_local.engine.locks import Locks
from s3fs_local.engine.pack_images import Image, good_image
from s3fs_local.engine.pending_locks import PendingLocks
from s3fs_local.engine.protection_marks import ProtectionMarks
from s3fs_local.engine.replica_receiving import Receiver
from s3fs_local.engine.replica_versions import ReplicaVersions
from s3fs_local.engine.replication_messages import Settled
from s3fs_local.engine.replication_naming import Naming
from s3fs_local.engine.zone_care import ZoneCare
from s3fs_local.engine.zone_turnover import ZoneTurnover
from s3fs_local.errors import JournalDamaged
from s3fs_local.objects.membership import Membership
from s3fs_local.objects.mirrored import MirroredAppender
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.pack_store import PackStore
from s3fs_local.packs.segment_copies import SegmentCopies
from s3fs_local.rules import lifecycle, retention
from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import Caller, Inode
from s3fs_local.rules.lifecycle import Calendar
from s3fs_local.rules.namespace import Ending, Entry
from s3fs_local.rules.placement import Homes
from s3fs_local.rules.replica_names import is_end_told
from s3fs_local.rules.retrieval import DAY_NS, retrieved
from s3fs_local.rules.versioning import Version
from s3fs_local.system.clock import TrustedClock
from tests.simulation.operations import Operation
from tests.simulation.pair import go_through
from tests.simulation.walk import (
    LOCKS_AND_AGE,
    history,
    history_of_a_removal,
    history_of_locks,
    history_of_names,
    history_of_regions,
    history_of_turnover,
    history_without_versioning,
)

SEEDS = 400
FOUND_BY: Final = {
    "lifecycle_is_told": 302,
    "packs_are_begun_where_copies_leave": 9,
    "packs_go_before_a_crash_is_done_with_them": 90,
    "openings_leave_zones_uneven": 28,
    "directories_take_locked_files_along": 43,
    "directories_do_not_go_along": 160,
    "taking_write_permission_locks_nothing": 20,
    "restores_save_what_is_being_written": 50,
    "a_later_access_time_extends_no_lock": 80,
}
"""By this seed, once it was found, so that a search begins near it."""


def packs_go_before_a_crash_is_done_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Garbage collection frees what a crash brings back."""

    async def release_nothing(_: Durability) -> None:
        pass

    monkeypatch.setattr(Durability, "release_blocks", release_nothing)


def zones_miss_things_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes down which zone lacks something."""
    monkeypatch.setattr(Membership, "record_changes", lambda _: None)


def openings_leave_zones_uneven(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process did not tell a zone it is never told."""

    def append_to(
        zones: ZoneSet,
        name: str,
        _: Homes | None = None,
        *,
        spread: int = 0,
        missing: object = None,
    ) -> MirroredAppender:
        del spread, missing
        lengths = zones.lengths_of(name)
        if not lengths:
            raise KeyError(name)
        longest = max(lengths.values())
        homes = [zone for zone in lengths if lengths[zone] == longest]
        appender = zones._appender(name, homes)  # noqa: SLF001 - as it once was
        appender.open(length=longest)
        zones.members.remember(appender)
        return appender

    monkeypatch.setattr(ZoneSet, "append_to", append_to)
    monkeypatch.setattr(opening, "even_out_packs", lambda *_: None)
    monkeypatch.setattr(SegmentCopies, "make_even", lambda *_: None)


def returning_zones_miss_what_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zone counts again although journal and ledger do not grow in it."""

    async def join_nothing(_care: ZoneCare, _zone: Zone) -> int:
        return 0

    monkeypatch.setattr(ZoneCare, "_join_growing", join_nothing)


def copies_end_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zone is given a pack without its last byte."""

    def short_image(
        packs: PackStore, pack_id: int, blocks: list[Block], zone: Zone
    ) -> Image | None:
        image = good_image(packs, pack_id, blocks, zone)
        return None if image is None else Image(image.data[:-1], image.lost)

    monkeypatch.setattr(healing, "good_image", short_image)


def zones_that_stay_get_other_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What grows in them is left behind when one goes."""
    leave_out = ZoneTurnover._leave_out  # noqa: SLF001 - as it is

    async def leave_out_by_other_lanes(
        turnover: ZoneTurnover, zone: Zone, left: list[Zone]
    ) -> None:
        for each in left:
            each.renew_lanes()
        await leave_out(turnover, zone, left)

    monkeypatch.setattr(ZoneTurnover, "_leave_out", leave_out_by_other_lanes)


def packs_are_begun_where_copies_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their copy in the zone that goes is counted on, and goes with it."""

    def homes_of(zones: ZoneSet, homes: Homes, *, spread: int = 0) -> Sequence[Zone]:
        return zones._chosen(zones.zones, homes, spread)  # noqa: SLF001 - as it once was

    monkeypatch.setattr(ZoneSet, "homes_of", homes_of)


def nothing_moves_from_a_zone_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had is gone with it."""

    async def move_nothing(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr(ZoneCare, "move_away", move_nothing)


def retentions_shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later decision may end a lock earlier."""
    monkeypatch.setattr(retention, "_weakens", lambda *_: False)


def locks_end_by_the_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps the machine off for a year is rid of them."""
    monkeypatch.setattr(TrustedClock, "expiry_ns", TrustedClock.now_ns)


def purging_asks_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A door without the question."""
    monkeypatch.setattr(Locks, "check_version", lambda *_args, **_kwargs: None)


def logs_are_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """An append-only file takes bytes anywhere."""
    monkeypatch.setattr(FileSystem, "_check_write", lambda *_: 0)


def directories_take_locked_files_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is locked in its place moves with the directory above."""
    monkeypatch.setattr(ProtectionMarks, "until_ns", lambda *_: 0)


def closed_files_take_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its directory asks of a file waits for ever."""
    monkeypatch.setattr(PendingLocks, "lock_closed", lambda *_: None)


def a_crash_forgets_who_waits_for_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was open is free of what its directory asks."""
    monkeypatch.setattr(PendingLocks, "lock_all_closed", lambda _: None)


def quiet_files_take_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long nobody writes to them."""
    monkeypatch.setattr(PendingLocks, "lock_due", lambda _: 0)


def taking_write_permission_locks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chmod is a chmod."""
    monkeypatch.setattr(Habit, "commits", lambda *_: False)


def a_later_access_time_extends_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused, as of any locked file."""
    monkeypatch.setattr(Habit, "extends", lambda *_: False)


def restores_save_what_is_being_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """While versioning is suspended that takes the place of what is to come back."""
    restore = FileSystem.restore_content

    def restore_after_saving(
        filesystem: FileSystem,
        ino: int,
        source: int,
        stamp_ns: int,
        *,
        caller: Caller,
        like: Inode | None,
    ) -> Version:
        filesystem.lock_attributes.settle_draft(ino)
        return restore(filesystem, ino, source, stamp_ns, caller=caller, like=like)

    monkeypatch.setattr(FileSystem, "restore_content", restore_after_saving)


def archives_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether the bytes must be retrieved first."""
    monkeypatch.setattr(classes, "check_readable", lambda _: None)


def copies_stay_a_day_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The days of a retrieved copy are counted from tomorrow."""
    monkeypatch.setattr(
        retrieving, "retrieved", lambda copy, now_ns: retrieved(copy, now_ns + DAY_NS)
    )


def lifecycle_forgets_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody tells the agenda of a change."""
    monkeypatch.setattr(Agenda, "with_rows", lambda _agenda, changes, _now_ns: changes)


def one_version_too_few_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest of those that a rule keeps goes."""
    newer = lifecycle._newer_noncurrent  # noqa: SLF001 - as it is
    monkeypatch.setattr(lifecycle, "_newer_noncurrent", lambda *where: newer(*where) + 1)


def days_begin_at_the_hour_of_the_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is due is due a day early."""
    monkeypatch.setattr(
        Calendar, "due_ns", lambda self, since_ns, days: self.midnight_ns(since_ns) + days * DAY_NS
    )


def the_other_region_only_says_it_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was told is not durable there when it says so."""
    settle = Receiver.settle

    async def flush_nothing(*_: object, **__: object) -> None:
        pass

    async def settle_nothing(receiver: Receiver) -> Settled:
        with pytest.MonkeyPatch.context() as meanwhile:
            durability = receiver._volume.durability  # noqa: SLF001 - of the other region
            meanwhile.setattr(durability, "flush", flush_nothing)
            return await settle(receiver)

    monkeypatch.setattr(Receiver, "settle", settle_nothing)


def locks_stay_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is set after a version was told is not told."""
    monkeypatch.setattr(ReplicaVersions, "_update", lambda *_: None)


def removed_names_stay_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of names only moves are told."""
    monkeypatch.setattr(
        replication_naming,
        "is_end_told",
        lambda entry, **_: entry.ending in (Ending.LIVE, Ending.MOVED),
    )


def lifecycle_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it takes away here goes there, too."""

    def is_told_with_lifecycle(entry: Entry, **asked: Any) -> bool:  # noqa: ANN401 - passes on
        return entry.ending in (Ending.EXPIRED, Ending.LAPSED) or is_end_told(entry, **asked)

    monkeypatch.setattr(replication_naming, "is_end_told", is_told_with_lifecycle)


def directories_do_not_go_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was not empty when its removal was told is not told again when it is."""
    monkeypatch.setattr(Naming, "_is_renamed", lambda *_: False)


OF_TURNOVER: Final = (
    zones_that_stay_get_other_lanes,
    nothing_moves_from_a_zone_that_goes,
)
BESIDE_A_REMOVAL: Final = (packs_are_begun_where_copies_leave,)
ACROSS_REGIONS: Final = (
    the_other_region_only_says_it_has_all,
    locks_stay_behind,
    removed_names_stay_behind,
    lifecycle_is_told,
)
OF_NAMES: Final = (directories_do_not_go_along,)
WITHOUT_VERSIONING: Final = (restores_save_what_is_being_written,)
OF_LOCKS: Final = (
    quiet_files_take_no_lock,
    taking_write_permission_locks_nothing,
    a_later_access_time_extends_no_lock,
)
OF_ZONES: Final = (
    packs_go_before_a_crash_is_done_with_them,
    zones_miss_things_in_silence,
    openings_leave_zones_uneven,
    returning_zones_miss_what_grows,
    copies_end_too_early,
)


@pytest.mark.parametrize(
    "put_in",
    [
        *OF_ZONES,
        *OF_TURNOVER,
        *BESIDE_A_REMOVAL,
        *ACROSS_REGIONS,
        *OF_NAMES,
        *OF_LOCKS,
        *WITHOUT_VERSIONING,
        retentions_shrink,
        locks_end_by_the_date,
        purging_asks_no_lock,
        logs_are_overwritten,
        directories_take_locked_files_along,
        closed_files_take_no_lock,
        a_crash_forgets_who_waits_for_a_lock,
        archives_are_read,
        copies_stay_a_day_too_long,
        lifecycle_forgets_what_changed,
        one_version_too_few_is_kept,
        days_begin_at_the_hour_of_the_write,
    ],
    ids=lambda put_in: put_in.__name__,
)
def test_a_bug_is_found(
    put_in: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A simulation that finds nothing must have been able to."""
    put_in(monkeypatch)
    drawn: Callable[[int], list[Operation]] = history
    if put_in in OF_ZONES:
        drawn = partial(history, without=LOCKS_AND_AGE)
    if put_in in OF_TURNOVER:
        drawn = history_of_turnover
    if put_in in BESIDE_A_REMOVAL:
        drawn = history_of_a_removal
    if put_in in ACROSS_REGIONS:
        drawn = history_of_regions
    if put_in in WITHOUT_VERSIONING:
        drawn = history_without_versioning
    if put_in in OF_LOCKS:
        drawn = history_of_locks
    if put_in in OF_NAMES:
        drawn = history_of_names
    with pytest.raises((AssertionError, JournalDamaged)):
        _go_through_some(FOUND_BY.get(put_in.__name__, 0), drawn)


def _go_through_some(first: int, drawn: Callable[[int], list[Operation]]) -> None:
    for seed in range(first, first + SEEDS):
        go_through(drawn(seed))
