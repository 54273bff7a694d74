"""A file: its versions, what is in one, and how two differ."""

from contextlib import suppress
from itertools import pairwise
from typing import Final, Self

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from s3fs_local.browse.previews import (
    HEAD_BYTES,
    PICTURE_BYTES_MAX,
    TEXT_BYTES_MAX,
    is_text,
    picture_type,
    shown_text,
)
from s3fs_local.browse.site import Site, crumbs_of, number_parameter, parameter, path_of, site_of
from s3fs_local.browse.templating import with_query
from s3fs_local.browse.text_differences import TEXT_BYTES_MAX as DIFFERENCE_BYTES_MAX
from s3fs_local.browse.text_differences import TextDifference, text_difference
from s3fs_local.charts.drawing import can_draw
from s3fs_local.control.requests import ListDirectory, ListVersions, ReadVersion
from s3fs_local.control.results.browsing import DirectoryListing
from s3fs_local.control.results.versions import (
    Content,
    MarkerRow,
    VersionListing,
    VersionRow,
    printed_key,
)
from s3fs_local.errors import (
    InvalidArgument,
    NoSuchName,
    NotADirectory,
    S3fsLocalError,
    Unsupported,
)

_ROWS: Final = 100
_PIECE_BYTES: Final = 1 << 20
_SANDBOX: Final = {"Content-Security-Policy": "sandbox; default-src 'none'"}


class Shown(Struct, frozen=True, kw_only=True):
    """A content, as a page shows it."""

    content: Content
    kind: str  # "text", "picture", "empty", "large" or "other"
    text: str = ""
    offset: int = 0
    next_offset: int | None = None


async def _check_not_special(site: Site, path: bytes, at: str | None) -> None:
    """Raises Unsupported for what is neither a file nor a directory: it has no page."""
    with suppress(NoSuchName):  # the page of the tree says so
        try:
            await site.answers.ask(ListDirectory(path, at=at, limit=1), DirectoryListing)
        except NotADirectory:
            name = printed_key(path)
            raise Unsupported(
                f"{name} is a link or a special file: it has no versions, and nothing to show"
            ) from None


async def file(request: Request) -> Response:
    """The history of a file, and the version that is looked at."""
    site, path = site_of(request), path_of(request)
    version, at = parameter(request, "version"), parameter(request, "at")
    listing = await site.answers.ask(ListVersions(path), VersionListing)
    rows: list[VersionRow | MarkerRow] = [*listing.versions, *listing.delete_markers]
    key = printed_key(path)
    if not all(row.key == key for row in rows) or not rows:  # those of the names in a directory
        await _check_not_special(site, path, at)
        return RedirectResponse(with_query(site.address("tree", path), at=at), status_code=303)
    rows.sort(key=lambda row: row.last_modified, reverse=True)
    rows.sort(key=lambda row: row.is_latest, reverse=True)
    skipped, offset = number_parameter(request, "skip"), number_parameter(request, "offset")
    shown: Shown | None = None
    trouble: S3fsLocalError | None = None
    try:
        choice = ReadVersion(path, version=version, at=at)
        shown = await _shown(site, choice, offset=offset)
    except S3fsLocalError as error:
        trouble = error
    return site.page(
        "file.html",
        title=crumbs_of(path)[-1].name,
        section="tree",
        path=path,
        crumbs=crumbs_of(path),
        at=at,
        rows=rows[skipped : skipped + _ROWS],
        older=_older_ids(rows),
        count=len(rows),
        skipped=skipped,
        more=skipped + _ROWS if skipped + _ROWS < len(rows) else None,
        shown=shown,
        trouble=trouble,
        drawn=can_draw(),
        is_chosen=version is not None or at is not None,
    )


def _older_ids(rows: list[VersionRow | MarkerRow]) -> dict[str, str]:
    """The content before each, by version id."""
    versions = [row.version_id for row in rows if isinstance(row, VersionRow)]
    return dict(pairwise(versions))


async def _shown(site: Site, choice: ReadVersion, *, offset: int) -> Shown:
    content, head = await _read(site, choice, 0, HEAD_BYTES)
    if not content.size:
        return Shown(content=content, kind="empty")
    if picture_type(head) is not None:
        kind = "picture" if content.size <= PICTURE_BYTES_MAX else "large"
        return Shown(content=content, kind=kind)
    if not is_text(head):
        return Shown(content=content, kind="other")
    _, part = await _read(site, choice, offset, TEXT_BYTES_MAX)
    end = offset + len(part)
    return Shown(
        content=content,
        kind="text",
        text=shown_text(part),
        offset=offset,
        next_offset=end if part and end < content.size else None,
    )


async def _read(site: Site, choice: ReadVersion, offset: int, length: int) -> tuple[Content, bytes]:
    request = ReadVersion(
        choice.path, version=choice.version, at=choice.at, offset=offset, length=length
    )
    return await site.answers.content(request, Content)


async def raw(request: Request) -> Response:
    """The content of a version, to be kept as a file: a browser never shows it as a page."""
    site, path = site_of(request), path_of(request)
    choice = ReadVersion(path, version=parameter(request, "version"))
    content, _ = await _read(site, choice, 0, 0)
    return _streamed(site, path, content, "application/octet-stream")


async def picture(request: Request) -> Response:
    """The content of a version that is a picture, for an <img> of ours."""
    site, path = site_of(request), path_of(request)
    choice = ReadVersion(path, version=parameter(request, "version"))
    content, head = await _read(site, choice, 0, HEAD_BYTES)
    kind = picture_type(head)
    if kind is None or content.size > PICTURE_BYTES_MAX:
        raise InvalidArgument("this is no picture that can be shown")
    return _streamed(site, path, content, kind)


def _streamed(site: Site, path: bytes, content: Content, kind: str) -> Response:
    encoded = site.address("", path).rpartition("/")[2].replace("'", "%27")
    headers = {
        **_SANDBOX,
        "Content-Disposition": f"attachment; filename*=UTF-8''{encoded}",
        "Content-Length": str(content.size),
    }
    return StreamingResponse(_Pieces(site, path, content), media_type=kind, headers=headers)


class _Pieces:
    """One question a piece: no more of a content than that is ever in memory."""

    def __init__(self, site: Site, path: bytes, content: Content) -> None:
        self._site = site
        self._choice = ReadVersion(path, version=content.version_id)
        self._offsets = iter(range(0, content.size, _PIECE_BYTES))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        offset = next(self._offsets, None)
        if offset is None:
            raise StopAsyncIteration
        return (await _read(self._site, self._choice, offset, _PIECE_BYTES))[1]


async def difference(request: Request) -> Response:
    """How two versions of a file differ: the second is the newer one."""
    site, path = site_of(request), path_of(request)
    sides = []
    for name, default in (("older", "previous"), ("newer", "latest")):
        choice = ReadVersion(path, version=parameter(request, name) or default)
        content, head = await _read(site, choice, 0, HEAD_BYTES)
        sides.append((ReadVersion(path, version=content.version_id), content, head))
    (older, before, before_head), (newer, after, after_head) = sides
    kind, found = "other", TextDifference([])
    if before.etag == after.etag:
        kind = "identical"
    elif picture_type(before_head) and picture_type(after_head):
        kind = "picture"
    elif max(before.size, after.size) > DIFFERENCE_BYTES_MAX:
        kind = "large"
    elif all(is_text(head) for head in (before_head, after_head)):
        kind = "text"
        texts = [await _read(site, choice, 0, DIFFERENCE_BYTES_MAX) for choice in (older, newer)]
        found = await text_difference(texts[0][1], texts[1][1])
    return site.page(
        "difference.html",
        title="What changed",
        section="tree",
        path=path,
        crumbs=crumbs_of(path),
        before=before,
        after=after,
        kind=kind,
        found=found,
        limit=DIFFERENCE_BYTES_MAX,
    )
