"""Commands lifecycle plan and run, bucket lifecycle, and tag."""

from pathlib import Path
from typing import IO, Final

import click

from s3fs_local.charts.drawing import Look, check_can_draw, save
from s3fs_local.charts.figures import plan_chart
from s3fs_local.cli.command_group import CommandGroup
from s3fs_local.cli.options import (
    chart_option,
    dry_run_option,
    json_option,
    path_argument,
    store_argument,
    yes_option,
)
from s3fs_local.cli.output import human_size, print_json, print_line, print_table
from s3fs_local.cli.store_access import ask, confirm_what_would_be, place, store_of
from s3fs_local.cli.store_commands import bucket
from s3fs_local.control.requests import (
    ChangeLifecycle,
    ChangeTags,
    DescribeLifecycle,
    DescribeTags,
    PlanLifecycle,
    RemoveLifecycle,
    RunLifecycle,
)
from s3fs_local.control.results.classes import StorageCosts
from s3fs_local.control.results.documents import Tagging
from s3fs_local.control.results.lifecycle import (
    HeldRow,
    LifecycleActionRow,
    LifecycleDay,
    LifecyclePlan,
    LifecycleRun,
)
from s3fs_local.control.results.store import Done
from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.lifecycle import Action
from s3fs_local.rules.lifecycle_documents import ROOTS, LifecycleDocument
from s3fs_local.rules.s3_documents import DOCUMENT_BYTES_MAX, write_xml

CHART_DAYS: Final = 365
_VERBS: Final = {
    Action.EXPIRE: "removed for good",
    Action.TRANSITION: "moved",
    Action.ADD_MARKER: "get a delete marker",
    Action.REMOVE_MARKER: "delete markers removed",
}


@bucket.group("lifecycle")
def bucket_lifecycle() -> None:
    """Say what happens to versions as they age, as `aws s3api` says it."""


@bucket_lifecycle.command("get")
@store_argument
@click.option("--xml", "as_xml", is_flag=True, help="As it goes over S3's wire.")
@json_option
def get_lifecycle(store: str, *, as_xml: bool, as_json: bool) -> None:
    """Print what `aws s3api get-bucket-lifecycle-configuration` prints."""
    del as_json  # it prints JSON in any case
    document = ask(store_of(store), DescribeLifecycle(), LifecycleDocument, quiet=True)
    if as_xml:
        click.echo(write_xml(document, root=ROOTS[0]).decode(), nl=False)
    else:
        print_json(document)


@bucket_lifecycle.command("put")
@store_argument
@click.argument("file", type=click.File("rb"))
@click.option(
    "--transition-default-minimum-object-size",
    "minimum",
    help="all_storage_classes_128K (the default) or varies_by_storage_class.",
)
@json_option
def put_lifecycle(store: str, file: IO[bytes], minimum: str | None, *, as_json: bool) -> None:
    """Take what `aws s3api put-bucket-lifecycle-configuration` takes, or the XML; FILE may be -.

    Nothing happens at once: `lifecycle plan` shows what will, and the day after it begins.
    """
    document = file.read(DOCUMENT_BYTES_MAX + 1)
    request = ChangeLifecycle(document, minimum)
    done = ask(store_of(store), request, Done, quiet=as_json, about=file.name)
    if as_json:
        print_json(done)


@bucket_lifecycle.command("delete")
@store_argument
@json_option
def delete_lifecycle(store: str, *, as_json: bool) -> None:
    """Drop all rules; nothing that they did is undone."""
    done = ask(store_of(store), RemoveLifecycle(), Done, quiet=as_json)
    if as_json:
        print_json(done)


@click.group(cls=CommandGroup)
def lifecycle() -> None:
    """Show what the rules of `bucket lifecycle` will do, or do it now."""


@lifecycle.command("plan")
@store_argument
@click.option("--at", metavar="DATE", help="What happens on that day only.")
@click.option("--days", type=int, help="What happens in so many days from now; 30 if not given.")
@chart_option("what each class holds over the coming year")
@json_option
def plan_lifecycle(
    store: str, at: str | None, days: int | None, chart: Path | None, *, as_json: bool
) -> None:
    """Show what will happen, on which day, by which rule, and what it saves; nothing is changed."""
    if at is not None and days is not None:
        raise InvalidArgument("give --at or --days, not both")
    where = store_of(store)
    if chart is not None:
        check_can_draw(chart)
        request = PlanLifecycle(days=CHART_DAYS, with_curve=True)
        coming = ask(where, request, LifecyclePlan, quiet=as_json)
        save(plan_chart(coming.curve, Look()), chart)
    request = PlanLifecycle(at=at, days=30 if days is None else days)
    plan = ask(where, request, LifecyclePlan, quiet=as_json)
    if as_json:
        print_json(plan)
        return
    _print_days(plan.days)
    _print_costs(plan.before, plan.after)


@lifecycle.command("run")
@store_argument
@dry_run_option
@yes_option
@json_option
def run_lifecycle(store: str, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Do now what is due by the rules; a mounted store does so by itself every day."""
    where, request = store_of(store), RunLifecycle(dry_run=dry_run)
    confirm_what_would_be(where, request, LifecycleRun, _warning, yes=yes or dry_run, quiet=as_json)
    run = ask(where, request, LifecycleRun, quiet=as_json)
    if as_json:
        print_json(run)
        return
    _print_days(run.days)
    for error in run.errors:
        print_line(f"not looked at: {error}")
    if run.postponed:
        print_line(f"{run.postponed} keys are in use and wait for tomorrow")
    if run.freed_bytes:
        print_line(f"{human_size(run.freed_bytes)} freed")


def _warning(planned: LifecycleRun) -> str:
    if not planned.days:
        return ""
    actions = [row for day in planned.days for row in day.actions]
    parts = []
    for action, verb in _VERBS.items():
        rows = [row for row in actions if row.action == action]
        if rows:
            parts.append(f"{len(rows)} {verb} ({human_size(sum(row.bytes for row in rows))})")
    return f"By the lifecycle rules: {', '.join(parts) or 'nothing is due'}."


def _print_days(days: list[LifecycleDay]) -> None:
    """A line for each day, rule and kind of action."""
    if not days:
        print_line("nothing is due")
        return
    rows = []
    for day in days:
        groups: dict[tuple[str, str], list[LifecycleActionRow | HeldRow]] = {}
        for action in day.actions:
            target = f" → {action.storage_class}" if action.action == Action.TRANSITION else ""
            groups.setdefault((action.rule, action.action + target), []).append(action)
        for held in day.held:
            until = held.until or "it is lifted"
            groups.setdefault((held.rule, f"held by a lock until {until}"), []).append(held)
        for (rule, what), found in sorted(groups.items()):
            size = human_size(sum(row.bytes for row in found))
            example = found[0].path if len(found) == 1 else f"{found[0].path}, …"
            rows.append([day.date, rule, what, str(len(found)), size, example])
    print_table(["day", "rule", "action", "items", "bytes", "of"], rows)


def _print_costs(before: StorageCosts, after: StorageCosts) -> None:
    classes = {found.storage_class: [found.bytes, 0] for found in before.classes}
    for found in after.classes:
        classes.setdefault(found.storage_class, [0, 0])[1] = found.bytes
    rows = [
        [name, human_size(old), human_size(new)] for name, (old, new) in sorted(classes.items())
    ]
    disks = [human_size(cost.disk_bytes) for cost in (before, after)]
    rows.append(["in all zones", *disks])
    costs = [f"{cost.monthly_cost:.4f} {cost.currency}" for cost in (before, after)]
    print_table(["class", "now", "afterwards"], [*rows, ["cost a month", *costs]])
    print_line(f"at the prices of {before.prices_as_of}: `config set STORE prices …` for others")


@click.group(cls=CommandGroup)
def tag() -> None:
    """Show and set the tags of a file, which lifecycle rules can ask for."""


@tag.command("get")
@path_argument
@json_option
def get_tags(path: str, *, as_json: bool) -> None:
    """List the tags of the current version."""
    where = place(path)
    _print_tags(
        ask(where.store, DescribeTags(where.path), Tagging, quiet=as_json, about=path),
        as_json=as_json,
    )


@tag.command("set")
@path_argument
@click.argument("tags", nargs=-1, metavar="K=V…")
@click.option("--none", "clears", is_flag=True, help="The file has no tags any more.")
@json_option
def set_tags(path: str, tags: tuple[str, ...], *, clears: bool, as_json: bool) -> None:
    """Give the current version exactly these tags."""
    if clears == bool(tags):
        raise InvalidArgument("name the tags as K=V, all that the file shall have, or --none")
    where = place(path)
    request = ChangeTags(where.path, _parsed(tags))
    found = ask(where.store, request, Tagging, quiet=as_json, about=path)
    if as_json:
        print_json(found)


def _parsed(tags: tuple[str, ...]) -> dict[str, str]:
    parsed: dict[str, str] = {}
    for text in tags:
        key, equals, value = text.partition("=")
        if not equals or key in parsed:
            raise InvalidArgument(f"{text!r} is no tag K=V, or its key is given twice")
        parsed[key] = value
    return parsed


def _print_tags(tagging: Tagging, *, as_json: bool) -> None:
    if as_json:
        print_json(tagging)
    else:
        print_table(["tag", "value"], [[found.key, found.value] for found in tagging.tag_set])
