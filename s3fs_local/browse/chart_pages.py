"""Charts on the pages: as pictures, drawn for the page they stand on, and as numbers.

A picture is a request of its own, so a page with charts is there at once and they follow.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import trio
from starlette.requests import Request
from starlette.responses import Response

from s3fs_local.browse.site import Site, parameter, path_of, site_of
from s3fs_local.charts.drawing import Look, can_draw, encoded
from s3fs_local.charts.figures import (
    class_history_chart,
    lock_chart,
    plan_chart,
    versions_chart,
)
from s3fs_local.control.requests import (
    DescribeClassHistory,
    ListLockEnds,
    ListVersions,
    PlanLifecycle,
)
from s3fs_local.control.results.classes import ClassBytes, ClassHistory
from s3fs_local.control.results.lifecycle import LifecyclePlan
from s3fs_local.control.results.locks import LockCalendar
from s3fs_local.control.results.versions import VersionListing
from s3fs_local.errors import NoSuchName, Unsupported
from s3fs_local.rules.printing import human_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLAN_DAYS: Final = 365
NUMBERS_MAX: Final = 400
_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'"

Draw = Callable[[Look], "Figure"]
Table = tuple[list[str], list[list[str]]]  # headings, rows
# matplotlib keeps state of its own between threads.
_drawing: Final = trio.CapacityLimiter(1)


async def chart(request: Request) -> Response:
    """An SVG; `dark` and `narrow` in the query say where it will be seen."""
    if not can_draw():
        raise Unsupported("charts need matplotlib: pip install 's3fs-local[charts]'")
    look = Look(
        dark=parameter(request, "dark") is not None, narrow=parameter(request, "narrow") is not None
    )
    draw, _ = await _found(request)
    svg = await trio.to_thread.run_sync(lambda: encoded(draw(look), ".svg"), limiter=_drawing)
    return Response(svg, media_type="image/svg+xml", headers={"Content-Security-Policy": _POLICY})


async def numbers(request: Request) -> Response:
    """The same as a table."""
    _, table = await _found(request)
    headings, rows = table
    return site_of(request).page(
        "numbers.html",
        title="In numbers",
        section="overview",
        headings=headings,
        rows=rows[-NUMBERS_MAX:],
        left_out=max(len(rows) - NUMBERS_MAX, 0),
    )


async def _found(request: Request) -> tuple[Draw, Table]:
    name, _, path = path_of(request).partition(b"/")
    find = _CHARTS.get(name)
    if find is None:
        raise NoSuchName("there is no such chart")
    return await find(site_of(request), path)


async def _classes(site: Site, _: bytes) -> tuple[Draw, Table]:
    history = await site.answers.ask(DescribeClassHistory(), ClassHistory)
    rows = [(point.time, point.classes) for point in history.points]
    return lambda look: class_history_chart(history, look), _by_class(rows)


async def _plan(site: Site, _: bytes) -> tuple[Draw, Table]:
    request = PlanLifecycle(days=PLAN_DAYS, with_curve=True)
    curve = (await site.answers.ask(request, LifecyclePlan)).curve
    rows = [(point.date, point.classes) for point in curve]
    return lambda look: plan_chart(curve, look), _by_class(rows)


def _by_class(points: list[tuple[str, list[ClassBytes]]]) -> Table:
    names = sorted({one.storage_class for _, classes in points for one in classes})
    rows = []
    for time, classes in points:
        held = {one.storage_class: one.bytes for one in classes}
        rows.append(
            [time[:19].replace("T", " "), *(human_size(held.get(name, 0)) for name in names)]
        )
    return ["Until", *names], rows


async def _locks(site: Site, _: bytes) -> tuple[Draw, Table]:
    calendar = await site.answers.ask(ListLockEnds(), LockCalendar)
    rows = [[row.date, row.mode, str(row.versions), human_size(row.bytes)] for row in calendar.ends]
    if calendar.held_versions:
        size = human_size(calendar.held_bytes)
        rows.append(["without a date", "legal hold", str(calendar.held_versions), size])
    table = [calendar.unit.capitalize(), "Mode", "Versions", "Bytes"], rows
    return lambda look: lock_chart(calendar, look), table


async def _versions(site: Site, path: bytes) -> tuple[Draw, Table]:
    listing = await site.answers.ask(ListVersions(path), VersionListing)
    rows = [
        [row.last_modified[:19].replace("T", " "), human_size(row.size)] for row in listing.versions
    ]
    return lambda look: versions_chart(listing, look), (["Saved", "Size"], rows)


_CHARTS: Final[dict[bytes, Callable[[Site, bytes], Awaitable[tuple[Draw, Table]]]]] = {
    b"classes": _classes,
    b"plan": _plan,
    b"locks": _locks,
    b"versions": _versions,
}
