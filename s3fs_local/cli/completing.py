"""What the shell is told to offer for paths, versions and times.

Asked at every press of a key, so only the daemon of a mounted store is asked, never a store opened;
and whatever goes wrong, the answer is that there is nothing to offer.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
import msgspec
from click.shell_completion import CompletionItem
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.control.client import connect
from s3fs_local.control.mount_table import Place, place_of, read_mounts
from s3fs_local.control.requests import ListVersions
from s3fs_local.control.results.versions import MarkerRow, VersionListing, VersionRow
from s3fs_local.rules.instants import format_file_time, parse_instant
from s3fs_local.rules.namespace import OPEN_NS

Offered = list[CompletionItem]
_MILLISECOND_NS: Final = 1_000_000
_AGO: Final = (("1h", "an hour ago"), ("1d", "a day ago"), ("1w", "a week ago"))
_LATEST: Final = (("latest", "the newest version"), ("previous", "the one before"))


class _Told(Struct, frozen=True):
    """A row of the listing, whichever kind."""

    version_id: str
    time: str
    what: str  # for the eye


def offer_versions(context: click.Context, _: click.Parameter, incomplete: str) -> Offered:
    """The versions of the path that was typed before, the newest first."""
    return _offer(incomplete, lambda: [(row.version_id, row.what) for row in _rows(context)])


def offer_versions_and_words(
    context: click.Context, _: click.Parameter, incomplete: str
) -> Offered:
    """As `offer_versions`, and the words that mean one."""
    return _offer(
        incomplete, lambda: [*_LATEST, *((row.version_id, row.what) for row in _rows(context))]
    )


def offer_times(context: click.Context, _: click.Parameter, incomplete: str) -> Offered:
    """Instants just after each change of the path that was typed before, the newest first."""
    return _offer(
        incomplete,
        lambda: [*((_just_after(row.time), row.what) for row in _rows(context)), *_AGO],
    )


def offer_paths(_: click.Context, __: click.Parameter, incomplete: str) -> Offered:
    """What is there; where nothing begins so, what was deleted."""
    deleted = () if _is_there(incomplete) else tuple(_deleted(incomplete))
    return [CompletionItem(name, help="deleted") for name in deleted] or _files(incomplete)


def offer_deleted_paths(_: click.Context, __: click.Parameter, incomplete: str) -> Offered:
    """What was deleted; where nothing begins so, the directories to look into."""
    deleted = tuple(_deleted(incomplete))
    return [CompletionItem(name, help="deleted") for name in deleted] or _files(incomplete)


def _offer(incomplete: str, candidates: Callable[[], list[tuple[str, str]]]) -> Offered:
    with suppress(errors.S3fsLocalError, OSError, msgspec.MsgspecError):
        return [
            CompletionItem(value, help=text)
            for value, text in candidates()
            if value.startswith(incomplete)
        ]
    return []


def _files(incomplete: str) -> Offered:
    return [CompletionItem(incomplete, type="file")]


def _rows(context: click.Context) -> list[_Told]:
    path = _typed_path(context)
    if path is None:
        return []
    where = place_of(path, read_mounts())
    listing = _listing(where)
    rows: list[VersionRow | MarkerRow] = [*listing.versions, *listing.delete_markers]
    rows.sort(key=lambda row: row.last_modified, reverse=True)
    return [
        _Told(
            row.version_id,
            row.last_modified,
            f"{row.last_modified[:19]}, {row.size} bytes"
            if isinstance(row, VersionRow)
            else f"{row.last_modified[:19]}, deleted",
        )
        for row in rows
    ]


def _typed_path(context: click.Context) -> str | None:
    # Where the last word is an option that lacks its value, click has parsed nothing yet.
    words = [context.params.get("path"), *context.args]
    return next((str(word) for word in words if word and not str(word).startswith("-")), None)


def _listing(where: Place) -> VersionListing:
    client = connect(where.store)
    if client is None:
        return VersionListing([], [])
    with client:
        answer = client.ask(ListVersions(where.path))
    return msgspec.convert(answer, VersionListing)


def _just_after(time: str) -> str:
    """A TIME that shows what was made at `time`; without colons, at which bash breaks words."""
    at_ns = parse_instant(time, now_ns=OPEN_NS)
    return format_file_time(-(-at_ns // _MILLISECOND_NS) * _MILLISECOND_NS)


def _is_there(incomplete: str) -> bool:
    folder, name = os.path.split(incomplete)
    with suppress(OSError):
        return any(entry.startswith(name) for entry in os.listdir(folder or "."))  # noqa: PTH208  names
    return False


def _deleted(incomplete: str) -> Iterator[str]:
    """Paths that begin so, of names that are no more but have a history."""
    folder, name = os.path.split(incomplete)
    # In a mount with another `snapdirname` nothing is offered; the commands know all the same.
    versions = Path(folder or ".") / ".versions"
    with suppress(OSError):
        present = set(os.listdir(folder or "."))  # noqa: PTH208  names
        for entry in sorted(os.listdir(versions)):  # noqa: PTH208  names
            named = entry[1:] if entry.startswith("@@") else entry
            if named.startswith(name) and named not in present:
                yield os.path.join(folder, named)  # noqa: PTH118  "./" must stay as typed
