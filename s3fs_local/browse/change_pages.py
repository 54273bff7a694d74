"""What changed between two instants."""

from starlette.requests import Request
from starlette.responses import Response

from s3fs_local.browse.site import bytes_parameter, crumbs_of, parameter, path_of, site_of
from s3fs_local.control.requests import ListChanges
from s3fs_local.control.results import ChangeListing


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
