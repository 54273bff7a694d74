"""What was held over time, and when locks will end: what charts are drawn of."""

from collections.abc import Iterator
from typing import Final

import trio

from s3fs_local.control.context import Context
from s3fs_local.control.requests import DescribeClassHistory, ListLockEnds
from s3fs_local.control.results.classes import ClassBytes, ClassHistoryPoint
from s3fs_local.control.results.classes import ClassHistory as ClassHistoryResult
from s3fs_local.control.results.locks import LockCalendar, LockEndRow
from s3fs_local.engine.ledger import LedgerEntry, entries
from s3fs_local.errors import InvalidArgument
from s3fs_local.metadata.changes import PutVersion, RemoveVersion
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.class_history import ClassHistory
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.instants import SECOND_NS, format_rfc3339
from s3fs_local.rules.lock_calendars import date_of, dates_between, unit_for
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.timelines import Span, running, span_of
from s3fs_local.rules.versioning import Version

STEPS_MAX: Final = 1000
_STEP_ROWS: Final = 1000
_HOUR_NS: Final = 3600 * SECOND_NS


async def describe_class_history(
    request: DescribeClassHistory, context: Context
) -> ClassHistoryResult:
    """Since the store was made."""
    if not 0 < request.steps <= STEPS_MAX:
        raise InvalidArgument(f"a history has 1 to {STEPS_MAX} steps, not {request.steps}")
    volume = context.filesystem.volume
    now_ns = volume.now_ns()
    created_ns = min(volume.inode(ROOT_INO).btime_ns, now_ns)
    span = span_of(created_ns, now_ns, steps_max=request.steps)
    if request.purged_too:
        totals = await _read_from_ledger(span, context)
    else:
        totals = await _summed(span, volume.metadata)
    return ClassHistoryResult(
        [
            ClassHistoryPoint(
                format_rfc3339(min(end_ns, now_ns)),
                [ClassBytes(name, held[step]) for name, held in sorted(totals.items())],
            )
            for step, end_ns in enumerate(span.bounds())
        ],
        purged_too=request.purged_too,
    )


async def _summed(span: Span, metadata: Metadata) -> dict[str, list[int]]:
    """By class: what the versions of now held at the end of each step. A sum for each step."""
    added: dict[str, list[int]] = {}
    for step, (from_ns, to_ns) in enumerate(span.steps()):
        await trio.lowlevel.checkpoint()
        for name, _, size in metadata.count_commits(0 if step == 0 else from_ns, to_ns):
            added.setdefault(name, [0] * span.count)[step] += size
    return {name: running(sizes) for name, sizes in added.items()}


async def _read_from_ledger(span: Span, context: Context) -> dict[str, list[int]]:
    """By class: what all versions held at the end of each step. Reads every record."""
    durability = context.filesystem.volume.durability
    head = await durability.settled(lambda: durability.ledger.head)
    history = ClassHistory(span)
    records: Iterator[LedgerEntry] = entries(durability.ledger.ledger)
    while True:
        # Reading and unpacking a record may take a while; what others do goes on beside it.
        entry = await durability.run_blocking(lambda: next(records, None))
        if entry is None or entry.number > head.number:
            return history.totals()
        _tell(history, entry)
        await context.outlet.progress("records read", done=entry.number, total=head.number)


def _tell(history: ClassHistory, entry: LedgerEntry) -> None:
    for batch in entry.batches:
        for change in batch.changes:
            if isinstance(change, PutVersion):
                version = change.version
                history.put(
                    version.ino,
                    version.stamp_ns,
                    size=version.size,
                    storage_class=version.storage_class,
                    at_ns=entry.at_ns,
                )
            elif isinstance(change, RemoveVersion):
                history.remove(change.ino, change.stamp_ns, at_ns=entry.at_ns)


async def list_lock_ends(_: ListLockEnds, context: Context) -> LockCalendar:
    """Of retention that has not ended."""
    volume = context.filesystem.volume
    ends: dict[tuple[str, int], list[int]] = {}
    held = [0, 0]
    position = (0, 0)
    done = 0
    while rows := volume.metadata.locked_versions(position, _STEP_ROWS):
        for version in rows:
            _count(version, ends, held, volume.expiry_ns())
        position = (rows[-1].ino, rows[-1].stamp_ns)
        done += len(rows)
        await context.outlet.progress("locks looked at", done=done)
    return _calendar(ends, held)


def _count(
    version: Version, ends: dict[tuple[str, int], list[int]], held: list[int], now_ns: int
) -> None:
    """`ends` is by mode and the hour in which the retention ends, so that it stays small."""
    lock = version.lock
    if lock is None:
        return
    if lock.holds:
        held[0] += 1
        held[1] += version.size
    retention = lock.retention
    if retention is not None and now_ns < retention.until_ns < OPEN_NS:
        counted = ends.setdefault((retention.mode, retention.until_ns // _HOUR_NS), [0, 0])
        counted[0] += 1
        counted[1] += version.size


def _calendar(ends: dict[tuple[str, int], list[int]], held: list[int]) -> LockCalendar:
    instants = [hour * _HOUR_NS for _, hour in ends]
    first_ns, last_ns = min(instants, default=0), max(instants, default=0)
    unit = unit_for(first_ns, last_ns)
    rows: dict[tuple[str, str], list[int]] = {}
    for (mode, hour), (versions, size) in ends.items():
        counted = rows.setdefault((date_of(hour * _HOUR_NS, unit), mode), [0, 0])
        counted[0] += versions
        counted[1] += size
    return LockCalendar(
        unit=unit.value,
        dates=dates_between(first_ns, last_ns, unit) if ends else [],
        ends=[LockEndRow(*key, *counted) for key, counted in sorted(rows.items())],
        held_versions=held[0],
        held_bytes=held[1],
    )
