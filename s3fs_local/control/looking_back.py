"""Commands versions, log and cat: what a path was."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

import trio
from msgspec import Struct

from s3fs_local.control.context import Context
from s3fs_local.control.requests import ListEvents, ListVersions, ReadVersion
from s3fs_local.control.results.versions import (
    Content,
    EventListing,
    EventRow,
    MarkerRow,
    Owner,
    VersionListing,
    VersionRow,
    printed_key,
)
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.open_files import Handle
from s3fs_local.engine.yielding import gathered
from s3fs_local.errors import (
    InvalidArgument,
    IsADirectory,
    NoSuchName,
    NoSuchVersion,
    NotADirectory,
)
from s3fs_local.rules import identifiers
from s3fs_local.rules.history import Event, HistoryItem, find_version
from s3fs_local.rules.inode import ROOT_INO, Inode
from s3fs_local.rules.instants import format_rfc3339, parse_past
from s3fs_local.rules.retention import format_until
from s3fs_local.rules.versioning import NULL_ID, Version

LATEST: Final = "latest"
PREVIOUS: Final = "previous"
CHUNK_BYTES: Final = 1 << 20


class Spot(Struct, frozen=True):
    """A name in a directory; both may be deleted."""

    directory: int
    name: bytes


def spot_of(filesystem: FileSystem, path: bytes) -> Spot:
    """Where the path stands; directories on the way may be deleted.

    Raises:
        IsADirectory: the path is the root, which has no name.
        NoSuchName: a directory on the way never was.
        NotADirectory: something on the way never was a directory.
    """
    *folders, name = path.split(b"/")
    if not name:
        raise IsADirectory("the root of the store has no history of its own; name a file")
    directory = ROOT_INO
    for folder in folders:
        directory = _directory_named(filesystem, directory, folder)
    return Spot(directory, name)


def _directory_named(filesystem: FileSystem, directory: int, name: bytes) -> int:
    live = filesystem.volume.metadata.lookup(directory, name)
    if live is not None and live.is_directory:
        return live.ino
    for entry in filesystem.histories.intervals(directory, name):
        inode = filesystem.volume.metadata.inode(entry.ino)
        if inode is not None and inode.is_directory:
            return inode.ino
    if live is not None or filesystem.histories.has_history(directory, name):
        raise NotADirectory(f"{printed_key(name)} never was a directory")
    raise _nothing(filesystem, directory, name, f"there never was a directory {printed_key(name)}")


def _nothing(
    filesystem: FileSystem, directory: int, name: bytes, problem: str
) -> NoSuchName | InvalidArgument:
    """The error where a name means nothing: a view is no file of the store."""
    if filesystem.namespace.is_reserved(directory, name):
        return InvalidArgument(f"{printed_key(name)} is no part of the path: name the file itself")
    return NoSuchName(problem)


def spot_with_history(filesystem: FileSystem, path: bytes) -> Spot:
    """As `spot_of`, for a name that meant something some time.

    Raises:
        NoSuchName: nothing ever had it.
    """
    spot = spot_of(filesystem, path)
    if not filesystem.histories.has_history(spot.directory, spot.name):
        raise _nothing(
            filesystem, spot.directory, spot.name, f"nothing ever was called {printed_key(path)}"
        )
    return spot


def items_at(filesystem: FileSystem, path: bytes) -> Iterator[HistoryItem]:
    """The history of the path, newest first, looked up when it is asked for.

    Raises:
        NoSuchName: nothing ever had it.
    """
    spot = spot_with_history(filesystem, path)
    return filesystem.histories.items(spot.directory, spot.name)


def live_inode(filesystem: FileSystem, path: bytes) -> Inode:
    """What the path means now.

    Raises:
        NoSuchName: nothing.
    """
    inode = filesystem.volume.inode(ROOT_INO)
    for name in path.split(b"/") if path else ():
        found = filesystem.volume.metadata.lookup(inode.ino, name)
        if found is None:
            raise _nothing(filesystem, inode.ino, name, f"there is no {printed_key(path)}")
        inode = found
    return inode


def chosen_version(
    filesystem: FileSystem, path: bytes, *, version: str | None, at: str | None
) -> Version:
    """The version that a command means; neither text given: the latest.

    Raises:
        NoSuchVersion, AmbiguousVersion: of the id.
        NoSuchName: the path held no file then, or ever.
        InvalidTime: `at` is no instant, or one that lies ahead.
    """
    if at is not None:
        return version_at(filesystem, path, at)
    items = (item for item in items_at(filesystem, path) if item.version is not None)
    try:
        found = item_named(items, version or LATEST, path=path).version
    except NoSuchVersion:
        if _live_directory(filesystem, path) is not None:
            raise IsADirectory(f"{printed_key(path)} is a directory: name a file in it") from None
        raise
    assert found is not None
    return found


def item_named(items: Iterable[HistoryItem], name: str, *, path: bytes) -> HistoryItem:
    """The version or delete marker of an id; `latest` and `previous` are always versions.

    Raises:
        NoSuchVersion, AmbiguousVersion: of the name.
    """
    if name not in {LATEST, PREVIOUS}:
        return find_version(items, name)
    versions = (item for item in items if item.version is not None)
    found = next(islice(versions, 1 if name == PREVIOUS else 0, None), None)
    if found is None:
        raise NoSuchVersion(f"{printed_key(path)} has no {name} version")
    return found


def version_at(filesystem: FileSystem, path: bytes, at: str) -> Version:
    """The version that the path had at an instant given as text. Raises as `chosen_version`."""
    at_ns = parse_past(at, now_ns=filesystem.volume.now_ns())
    spot = spot_of(filesystem, path)
    histories = filesystem.histories
    try:
        directory = histories.directory_at(spot.directory, at_ns)
        inode = histories.child_at(directory, spot.name, at_ns)
    except NoSuchName:
        when = format_rfc3339(at_ns)
        raise NoSuchName(f"{printed_key(path)} was not there at {when}") from None
    version = filesystem.volume.metadata.version(inode.ino, inode.version_ns)
    if version is None:
        raise IsADirectory(f"{printed_key(path)} was no file then")
    return version


def public_id(version: Version) -> str:
    """The version id that S3 would show."""
    if version.is_null:
        return NULL_ID
    return identifiers.version_id(version.stamp_ns, version.salt)


def printed_etag(version: Version) -> str:
    """The ETag in its quotes, as S3 has it."""
    return f'"{version.etag.hex()}"'


async def list_versions(request: ListVersions, context: Context) -> VersionListing:
    """Of a file, or of each name in a directory."""
    filesystem = context.filesystem
    listing = VersionListing(versions=[], delete_markers=[])
    status_of = filesystem.replication.status_of
    directory = _live_directory(filesystem, request.path)
    if directory is None:
        items = items_at(filesystem, request.path)
        await _add_rows(listing, request.path, items, status_of)
        return listing
    for done, name in enumerate(filesystem.histories.listed_names(directory)):
        path = b"/".join(part for part in (request.path, name) if part)
        await _add_rows(listing, path, filesystem.histories.items(directory, name), status_of)
        await context.outlet.progress("names", done=done + 1, total=0)
    return listing


def _live_directory(filesystem: FileSystem, path: bytes) -> int | None:
    try:
        inode = live_inode(filesystem, path)
    except NoSuchName:
        return None
    return inode.ino if inode.is_directory else None


async def _add_rows(
    listing: VersionListing,
    path: bytes,
    items: Iterable[HistoryItem],
    status_of: Callable[[Version], str],
) -> None:
    key = printed_key(path)

    def row_of(item: HistoryItem) -> MarkerRow | VersionRow:
        if item.version is None:
            return _marker_row(key, item)
        return _version_row(key, item, item.version, status_of(item.version))

    for row in await gathered(map(row_of, items)):
        if isinstance(row, MarkerRow):
            listing.delete_markers.append(row)
        else:
            listing.versions.append(row)


def _marker_row(key: str, item: HistoryItem) -> MarkerRow:
    return MarkerRow(
        key=key,
        version_id=item.version_id,
        is_latest=item.is_latest,
        last_modified=format_rfc3339(item.stamp_ns),
        owner=Owner(str(item.uid)),
    )


def _version_row(
    key: str, item: HistoryItem, version: Version, replication_status: str
) -> VersionRow:
    lock = version.lock
    retention = None if lock is None else lock.retention
    return VersionRow(
        key=key,
        version_id=item.version_id,
        is_latest=item.is_latest,
        last_modified=format_rfc3339(item.stamp_ns),
        etag=printed_etag(version),
        size=version.size,
        storage_class=version.storage_class,
        owner=Owner(str(version.uid)),
        object_lock_mode=None if retention is None else retention.mode,
        object_lock_retain_until_date=None
        if retention is None
        else format_until(retention.until_ns),
        object_lock_legal_hold_status="ON" if lock is not None and lock.holds else None,
        replication_status=replication_status or None,
    )


async def list_events(request: ListEvents, context: Context) -> EventListing:
    """Oldest first."""
    filesystem = context.filesystem
    spot = spot_with_history(filesystem, request.path)
    events = await filesystem.histories.events(spot.directory, spot.name)
    rows = await gathered(map(_event_row, events))
    return EventListing(printed_key(request.path), rows)


def _event_row(event: Event) -> EventRow:
    return EventRow(
        time=format_rfc3339(event.time_ns),
        event=event.kind.value,
        version_id=event.version_id or None,
        size=event.size,
        owner=Owner(str(event.uid)),
    )


async def read_version(request: ReadVersion, context: Context) -> Content:
    """Its bytes go out as data; the result says which version they were."""
    filesystem = context.filesystem
    version = chosen_version(filesystem, request.path, version=request.version, at=request.at)
    filesystem.classes.opened_version(version)
    start = min(max(request.offset, 0), version.size)
    end = version.size if request.length is None else min(start + request.length, version.size)
    handle = Handle(version.ino, caller=context.caller, writable=False)
    handle.at_ns = version.stamp_ns
    number = filesystem.open_files.add(handle)
    try:
        for offset in range(start, end, CHUNK_BYTES):
            length = min(CHUNK_BYTES, end - offset)
            await context.outlet.data(await filesystem.read(number, offset, length))
            await trio.lowlevel.checkpoint()
    finally:
        filesystem.open_files.remove(number)
    return Content(
        key=printed_key(request.path),
        version_id=public_id(version),
        size=version.size,
        etag=printed_etag(version),
    )
