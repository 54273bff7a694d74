"""Restoring: first what it will do, then one click, then how to take it back."""

from contextlib import aclosing
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from s3fs_local.browse.site import (
    Site,
    crumbs_of,
    number_parameter,
    parameter,
    path_of,
    site_of,
)
from s3fs_local.browse.templating import with_query
from s3fs_local.control.requests import ListDirectory, Restore
from s3fs_local.control.results.browsing import DirectoryListing
from s3fs_local.control.results.versions import Restoration, printed_key
from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.instants import format_rfc3339, parse_instant

ROWS_MAX: Final = 200
_FORM_BYTES_MAX: Final = 8192


async def preview(request: Request) -> Response:
    """What a restore would do; nothing is changed."""
    site, path = site_of(request), path_of(request)
    version, at = parameter(request, "version"), parameter(request, "at")
    if at is not None:
        at = (await _instant(site, at)).at
    wanted = Restore(path, version=version, at=at, dry_run=True)
    found = await site.answers.ask(wanted, Restoration)
    refused = sum(1 for row in found.changes if row.reason)
    return site.page(
        "restore.html",
        title="Restore",
        section="tree",
        path=path,
        crumbs=crumbs_of(path),
        version=version,
        at=at,
        rows=found.changes[:ROWS_MAX],
        left_out=max(len(found.changes) - ROWS_MAX, 0),
        done=len(found.changes) - refused,
        refused=refused,
    )


async def carry_out(request: Request) -> Response:
    """It is done; nothing is lost by it. The browser goes on to a page that tells so.

    Loading that page again, or coming back to it, does nothing once more.
    """
    site, path = site_of(request), path_of(request)
    form = await _form(request)
    # A change has an instant of its own: what was just before this one is before what we do.
    before_ns = parse_instant((await _instant(site, None)).at, now_ns=0) - 1
    wanted = Restore(path, version=form.get("version"), at=form.get("at"))
    found = await site.answers.ask(wanted, Restoration)
    key = printed_key(path)
    done = [row for row in found.changes if not row.reason]
    url = with_query(
        site.address("restored", path),
        before=format_rfc3339(before_ns),
        done=len(done),
        refused=len(found.changes) - len(done),
        made="1" if any((row.key, row.action) == (key, "make") for row in done) else None,
    )
    return RedirectResponse(url, status_code=303)


async def restored(request: Request) -> Response:
    """What came of a restore, and the way back from it."""
    site, path = site_of(request), path_of(request)
    # What was not there before goes with its directory: see `Restore`.
    parent = path.rpartition(b"/")[0]
    undone = parent if parameter(request, "made") else path
    return site.page(
        "restored.html",
        title="Restored",
        section="tree",
        path=path,
        crumbs=crumbs_of(path),
        parent=parent,
        undone=undone,
        before=parameter(request, "before") or "",
        done=number_parameter(request, "done"),
        refused=number_parameter(request, "refused"),
    )


async def _instant(site: Site, at: str | None) -> DirectoryListing:
    return await site.answers.ask(ListDirectory(b"", at=at, limit=1), DirectoryListing)


async def _form(request: Request) -> dict[str, str]:
    """Raises InvalidArgument for what is not one of our small forms."""
    body = b""
    async with aclosing(request.stream()) as stream:
        async for piece in stream:
            body += piece
            if len(body) > _FORM_BYTES_MAX:
                raise InvalidArgument("the form is too large")
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=10)
    except ValueError as error:
        raise InvalidArgument("the form makes no sense") from error
    return {name: values[0] for name, values in fields.items()}
