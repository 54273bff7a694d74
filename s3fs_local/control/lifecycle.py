"""Commands lifecycle plan and run, bucket lifecycle get, put and delete."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from s3fs_local import errors
from s3fs_local.control.context import Context
from s3fs_local.control.requests import (
    ChangeLifecycle,
    DescribeLifecycle,
    PlanLifecycle,
    RemoveLifecycle,
    RunLifecycle,
)
from s3fs_local.control.results.classes import ClassBytes, StorageCosts
from s3fs_local.control.results.lifecycle import (
    HeldRow,
    LifecycleActionRow,
    LifecycleCurvePoint,
    LifecycleDay,
    LifecyclePlan,
    LifecycleRun,
    LifecycleStatus,
)
from s3fs_local.control.results.store import Done
from s3fs_local.control.results.versions import printed_key
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.lifecycle import Outcome
from s3fs_local.engine.lifecycle_keys import KeyStack
from s3fs_local.engine.lifecycle_plans import Holdings, plan
from s3fs_local.engine.lifecycle_runs import LifecycleRuns, Run, Turns
from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.engine.volume import Volume
from s3fs_local.rules.instants import format_rfc3339, parse_instant
from s3fs_local.rules.lifecycle import DAY_NS, Held, Verdict
from s3fs_local.rules.lifecycle_documents import ID_BITS, LifecycleDocument
from s3fs_local.rules.lifecycle_validation import read_lifecycle
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.storage_classes import with_defaults
from s3fs_local.rules.storage_costs import ClassUsage, Prices, disk_bytes, monthly_cost

DAYS_MAX: Final = 3660
KEYS_BETWEEN_REPORTS: Final = 4096


async def describe_lifecycle(_: DescribeLifecycle, context: Context) -> LifecycleDocument:
    """As get-bucket-lifecycle-configuration prints it.

    Raises:
        NoSuchConfiguration: there is none.
    """
    in_force = context.filesystem.lifecycle.rules.in_force
    if in_force is None:
        raise errors.NoSuchConfiguration(
            "NoSuchLifecycleConfiguration: The lifecycle configuration does not exist"
        )
    return in_force.document


async def change_lifecycle(request: ChangeLifecycle, context: Context) -> Done:
    """The document takes the place of the one before; the next run looks at everything."""
    context.check_may_administer()
    filesystem = context.filesystem
    document, _ = read_lifecycle(
        request.document,
        minimum=request.minimum_size,
        new_id=lambda: filesystem.volume.randomness.bits(ID_BITS),
    )
    filesystem.lifecycle.rules.put(document)
    return Done()


async def remove_lifecycle(_: RemoveLifecycle, context: Context) -> Done:
    """No rules, as before the first; S3: also where there were none."""
    context.check_may_administer()
    if context.filesystem.lifecycle.rules.in_force is not None:
        context.filesystem.lifecycle.rules.delete()
    return Done()


async def plan_lifecycle(request: PlanLifecycle, context: Context) -> LifecyclePlan:
    """What the runs of the coming days will do; nothing is changed."""
    volume = context.filesystem.volume
    runs = context.filesystem.lifecycle
    now_ns = volume.expiry_ns()  # as runs do
    first_ns, until_ns = _window(request, now_ns)
    by_day: defaultdict[int, _Day] = defaultdict(_Day)
    looked_at = 0
    async for planned in plan(runs.rules, volume.metadata, now_ns=now_ns, until_ns=until_ns):
        found = planned.found
        by_day[found.at_ns // DAY_NS].add(planned.key, found.verdicts, found.held)
        looked_at += 1
        if looked_at % KEYS_BETWEEN_REPORTS == 0:
            await context.outlet.progress("planning", done=looked_at)
    before = volume.metadata.class_usage()
    holdings = Holdings(before)
    days = []
    curve = [LifecycleCurvePoint(_date(now_ns), _class_bytes(before))]
    for number in range(now_ns // DAY_NS, until_ns // DAY_NS + 1):
        day = by_day.pop(number, None)
        if day is not None:
            holdings.include(day.holdings)
            if number >= first_ns // DAY_NS:
                days.append(day.row(number * DAY_NS))
        curve.append(LifecycleCurvePoint(_date(number * DAY_NS), _class_bytes(holdings.usages())))
    prices = volume.settings.prices
    return LifecyclePlan(
        days=days,
        before=_costs(before, prices, volume),
        after=_costs(holdings.usages(), prices, volume),
        curve=curve if request.with_curve else [],
    )


def _window(request: PlanLifecycle, now_ns: int) -> tuple[int, int]:
    """The first and the last instant that is asked for."""
    if request.at is not None:
        at_ns = parse_instant(request.at, now_ns=now_ns)
        if at_ns // DAY_NS < now_ns // DAY_NS:
            raise errors.InvalidTime(f"{request.at!r} is past: plans are for today and later")
        return at_ns, max(at_ns, now_ns)
    if not 1 <= request.days <= DAYS_MAX:
        raise errors.InvalidArgument(f"a plan is for 1 to {DAYS_MAX} days, not {request.days}")
    return now_ns, now_ns + request.days * DAY_NS


async def run_lifecycle(request: RunLifecycle, context: Context) -> LifecycleRun:
    """Everything that is due now is done, and the space of what was removed is free.

    With `dry_run` it says what it would do.
    """
    context.check_may_administer()
    filesystem = context.filesystem
    now_ns = filesystem.volume.expiry_ns()
    day = _Day()
    if request.dry_run:
        planned = plan(
            filesystem.lifecycle.rules, filesystem.volume.metadata, now_ns=now_ns, until_ns=now_ns
        )
        async for one in planned:
            day.add(one.key, one.found.verdicts, one.found.held)
        return _run_result(day, Run(now_ns), dry_run=True)

    async def tell(outcome: Outcome) -> None:
        day.add(outcome.key, outcome.done, outcome.held)
        if len(day.actions) % KEYS_BETWEEN_REPORTS == 0:
            await context.outlet.progress("acting", done=len(day.actions))

    run = await filesystem.lifecycle.run(Turns(filesystem.volume), tell)
    freed = 0
    if run.moved.items:
        await filesystem.settling.settle_all(AT_ONCE)
    if run.freed:
        freed = (await collect_garbage(filesystem, dry_run=False)).bytes
    return _run_result(day, run, freed=freed, dry_run=False)


class _Day:
    """What happens on one day, as rows: a million keys with their histories would not fit."""

    def __init__(self) -> None:
        self.actions: list[LifecycleActionRow] = []
        self.held: list[HeldRow] = []
        self.holdings: Final = Holdings([])

    def add(self, key: KeyStack, verdicts: Iterable[Verdict], held: Iterable[Held]) -> None:
        """This happens to the key, too."""
        self.holdings.apply(verdicts)
        self.actions += [_action(key, verdict) for verdict in verdicts]
        self.held += [_held(key, found) for found in held]

    def row(self, day_ns: int) -> LifecycleDay:
        """The day, by path."""
        return LifecycleDay(
            date=_date(day_ns),
            actions=sorted(self.actions, key=lambda row: row.path),
            held=sorted(self.held, key=lambda row: row.path),
        )


def _run_result(day: _Day, run: Run, *, freed: int = 0, dry_run: bool) -> LifecycleRun:
    is_empty = not day.actions and not day.held
    return LifecycleRun(
        days=[] if is_empty else [day.row(run.started_ns)],
        keys_looked_at=run.keys,
        postponed=run.postponed,
        errors=list(run.errors),
        error_count=run.error_count,
        freed_bytes=freed,
        dry_run=dry_run,
    )


def _action(key: KeyStack, verdict: Verdict) -> LifecycleActionRow:
    return LifecycleActionRow(
        rule=verdict.rule_id,
        path=printed_key(key.stack.key),
        version_id=_version_id(key, verdict),
        action=verdict.action,
        storage_class=verdict.storage_class or verdict.item.storage_class,
        bytes=verdict.item.size,
    )


def _held(key: KeyStack, held: Held) -> HeldRow:
    verdict = held.verdict
    return HeldRow(
        rule=verdict.rule_id,
        path=printed_key(key.stack.key),
        version_id=_version_id(key, verdict),
        action=verdict.action,
        storage_class=verdict.item.storage_class,
        bytes=verdict.item.size,
        until=None if held.until_ns >= OPEN_NS else format_rfc3339(held.until_ns),
    )


def _version_id(key: KeyStack, verdict: Verdict) -> str | None:
    """None for a delete marker that is not there yet."""
    item = key.items.get(verdict.item.stamp_ns)
    return None if item is None else item.version_id


def _costs(usages: list[ClassUsage], prices: Prices, volume: Volume) -> StorageCosts:
    placements = with_defaults(volume.settings.storage_classes)
    kinds = [zone.kind for zone in volume.zones.zones]
    return StorageCosts(
        versions=sum(usage.versions for usage in usages),
        classes=_class_bytes(usages),
        disk_bytes=disk_bytes(usages, placements, kinds),
        monthly_cost=round(monthly_cost(usages, prices), 6),
        currency=prices.currency,
        prices_as_of=prices.as_of,
    )


def _class_bytes(usages: list[ClassUsage]) -> list[ClassBytes]:
    return [ClassBytes(usage.storage_class, usage.bytes) for usage in usages]


def _date(instant_ns: int) -> str:
    return format_rfc3339(instant_ns)[:10]


def lifecycle_status(runs: LifecycleRuns) -> LifecycleStatus | None:
    """What `status` says of lifecycle; None without rules."""
    in_force = runs.rules.in_force
    if in_force is None:
        return None
    run = runs.present or runs.last
    return LifecycleStatus(
        rules=len(in_force.document.rules),
        running=runs.present is not None,
        due_keys=runs.due_count(),
        looks_at_all=runs.rules.cursor() is not None,
        started=None if run is None else format_rfc3339(run.started_ns),
        ended=None if run is None or not run.ended_ns else format_rfc3339(run.ended_ns),
        keys_looked_at=0 if run is None else run.keys,
        moved_bytes=0 if run is None else run.moved.bytes,
        expired_bytes=0 if run is None else run.expired.bytes,
        held_bytes=0 if run is None else run.held.bytes,
        errors=[] if run is None else list(run.errors),
    )
