"""The tree at any instant, with a timeline of the store above it."""

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from s3fs_local.browse.site import (
    Site,
    bytes_parameter,
    crumbs_of,
    parameter,
    path_of,
    site_of,
)
from s3fs_local.browse.templating import with_query
from s3fs_local.control.requests import DescribeTimeline, ListDirectory
from s3fs_local.control.results.browsing import DirectoryListing, Timeline, TimelineStep
from s3fs_local.errors import NoSuchName, NotADirectory
from s3fs_local.rules.instants import SECOND_NS, format_rfc3339, parse_instant

_STEPS: Final = 48  # as many as a finger can tell apart on a phone
_DAY_NS: Final = 86_400 * SECOND_NS
WINDOWS_NS: Final = {
    "day": _DAY_NS,
    "week": 7 * _DAY_NS,
    "month": 30 * _DAY_NS,
    "year": 365 * _DAY_NS,
}
"""How much of the past the timeline shows, around the instant that is looked at."""


async def tree(request: Request) -> Response:
    """A directory at an instant; a file has a page of its own."""
    site, path = site_of(request), path_of(request)
    at, window = parameter(request, "at"), parameter(request, "window")
    question = ListDirectory(
        path, at=at, after=bytes_parameter(request, "after"), with_neighbours=True
    )
    listing: DirectoryListing | None = None
    try:
        listing = await site.answers.ask(question, DirectoryListing)
    except NotADirectory:
        return RedirectResponse(with_query(site.address("file", path), at=at), status_code=303)
    except NoSuchName:
        if not path:
            raise
    timeline = await _timeline(site, at, window)
    return site.page(
        "tree.html",
        title=crumbs_of(path)[-1].name or "Files",
        section="tree",
        status=404 if listing is None else 200,
        path=path,
        crumbs=crumbs_of(path),
        at=at,
        at_shown=_resolved(at, timeline.now),
        listing=listing,
        timeline=timeline,
        window=window if window in WINDOWS_NS else None,
        windows=list(WINDOWS_NS),
        most=max((step.saved + step.removed for step in timeline.steps), default=0),
        chosen_step=_chosen(timeline, at),
        is_continued=bool(question.after),
    )


def _resolved(at: str | None, now: str) -> str:
    if at is None:
        return now
    now_ns = parse_instant(now, now_ns=0)
    return format_rfc3339(min(parse_instant(at, now_ns=now_ns), now_ns))


async def _timeline(site: Site, at: str | None, window: str | None) -> Timeline:
    length_ns = WINDOWS_NS.get(window or "")
    if length_ns is None:
        return await site.answers.ask(DescribeTimeline(steps=_STEPS), Timeline)
    short = await site.answers.ask(DescribeTimeline(since="0s", steps=1), Timeline)
    now_ns = parse_instant(short.now, now_ns=0)
    at_ns = min(parse_instant(at, now_ns=now_ns), now_ns) if at else now_ns
    until_ns = min(at_ns + length_ns // 2, now_ns)
    question = DescribeTimeline(
        since=format_rfc3339(max(until_ns - length_ns, 0)),
        until=format_rfc3339(until_ns),
        steps=_STEPS,
    )
    return await site.answers.ask(question, Timeline)


def _chosen(timeline: Timeline, at: str | None) -> TimelineStep | None:
    """The step that ends with what is looked at."""
    now_ns = parse_instant(timeline.now, now_ns=0)
    at_ns = min(parse_instant(at, now_ns=now_ns), now_ns) if at else now_ns
    for step in timeline.steps:
        start_ns, end_ns = (parse_instant(text, now_ns=0) for text in (step.start, step.end))
        if start_ns < at_ns <= end_ns:
            return step
    return None
