"""Restoring: first what it will do, then one click, then how to take it back."""

from collections import Counter
from contextlib import aclosing
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from s3fs_local.browse.site import Site, crumbs_of, parameter, path_of, site_of
from s3fs_local.control.requests import ListDirectory, Restore
from s3fs_local.control.results import DirectoryListing, Restoration
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
    return await _page(site, "restore.html", wanted, "Restore")


async def carry_out(request: Request) -> Response:
    """It is done; nothing is lost by it."""
    site, path = site_of(request), path_of(request)
    form = await _form(request)
    # A change has an instant of its own: what was just before this one is before what we do.
    before_ns = parse_instant((await _instant(site, None)).at, now_ns=0) - 1
    wanted = Restore(path, version=form.get("version"), at=form.get("at"))
    return await _page(site, "restored.html", wanted, "Restored", before=format_rfc3339(before_ns))


async def _instant(site: Site, at: str | None) -> DirectoryListing:
    return await site.answers.ask(ListDirectory(b"", at=at, limit=1), DirectoryListing)


async def _page(
    site: Site, template: str, wanted: Restore, title: str, before: str = ""
) -> Response:
    found = await site.answers.ask(wanted, Restoration)
    refused = [row for row in found.changes if row.reason]
    done = [row for row in found.changes if not row.reason]
    key = wanted.path.decode("utf-8", "backslashreplace")
    return site.page(
        template,
        title=title,
        section="tree",
        path=wanted.path,
        crumbs=crumbs_of(wanted.path),
        parent=wanted.path.rpartition(b"/")[0],
        version=wanted.version,
        at=wanted.at,
        counts=sorted(Counter(row.action for row in done).items()),
        rows=found.changes[:ROWS_MAX],
        left_out=max(len(found.changes) - ROWS_MAX, 0),
        done=len(done),
        refused=refused,
        was_missing=any(row.key == key and row.action == "make" for row in done),
        before=before,
    )


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
