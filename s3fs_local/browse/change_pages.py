"""What changed between two instants, and what happened one after another."""

from starlette.requests import Request
from starlette.responses import Response

from s3fs_local.browse.site import bytes_parameter, crumbs_of, parameter, path_of, site_of
from s3fs_local.control.requests import ListChanges, ListEventsBelow
from s3fs_local.control.results.browsing import ChangeListing, EventsBelow


async def changes(request: Request) -> Response:
    """Below a directory; the last day if nothing else is asked."""
    site, path = site_of(request), path_of(request)
    since, until = parameter(request, "since") or "1d", parameter(request, "until")
    question = ListChanges(path, since=since, until=until, after=bytes_parameter(request, "after"))
    return site.page(
        "changes.html",
        title="What changed",
        section="changes",
        path=path,
        crumbs=crumbs_of(path),
        since=since,
        until=until,
        listing=await site.answers.ask(question, ChangeListing),
    )


async def events(request: Request) -> Response:
    """Below a directory, newest first."""
    site, path = site_of(request), path_of(request)
    since, until = parameter(request, "since"), parameter(request, "until")
    question = ListEventsBelow(path, since=since, until=until)
    return site.page(
        "events.html",
        title="What happened",
        section="changes",
        path=path,
        crumbs=crumbs_of(path),
        since=since,
        until=until,
        listing=await site.answers.ask(question, EventsBelow),
    )
