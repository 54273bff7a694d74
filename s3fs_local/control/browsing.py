"""What the page of `browse` asks: a directory at an instant, what changed, and when.

A store may be of any size, so each answer is a page with a place to go on from, and everything is
looked through in small steps.
"""

import stat
from typing import Final
from urllib.parse import quote_from_bytes

import trio

from s3fs_local.control.context import Context
from s3fs_local.control.looking_back import public_id
from s3fs_local.control.requests import DescribeTimeline, ListChanges, ListDirectory
from s3fs_local.control.results.browsing import (
    ChangeListing,
    ChangeRow,
    DirectoryListing,
    NameRow,
    Timeline,
    TimelineStep,
)
from s3fs_local.control.results.versions import printed_key
from s3fs_local.control.tree_walk import Instants, Pair, TreeWalk
from s3fs_local.engine.directory_steps import NamesAt
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.errors import InvalidArgument, NoSuchName, NotADirectory
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.inode import ROOT_INO, Inode
from s3fs_local.rules.instants import SECOND_NS, format_rfc3339, parse_instant
from s3fs_local.rules.namespace import OPEN_NS, Entry
from s3fs_local.rules.retention import format_until
from s3fs_local.rules.timelines import Counted, span_of
from s3fs_local.rules.tree_changes import State, change_between
from s3fs_local.rules.versioning import Version

ROWS_MAX: Final = 1000
"""Of one page."""
LOOKED_AT_MAX: Final = 50_000
"""Names that one page of changes looks at; whoever wants more goes on from there."""
NEIGHBOURS_AMONG_MAX: Final = 2000
"""In a directory with more intervals of names, nobody looks for its last change and its next."""
KINDS: Final = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "symlink"}


def instant_of(text: str | None, context: Context) -> int:
    """The instant that the text names, never one that lies ahead; None: now.

    Raises:
        InvalidTime: it names none.
    """
    now_ns = context.filesystem.volume.now_ns()
    return now_ns if text is None else min(parse_instant(text, now_ns=now_ns), now_ns)


def inode_then(filesystem: FileSystem, path: bytes, at_ns: int) -> Inode:
    """What the path meant at the instant.

    Raises:
        NoSuchName: nothing.
    """
    metadata = filesystem.volume.metadata
    inode: Inode | None = filesystem.volume.inode(ROOT_INO)
    for name in path.split(b"/") if path else ():
        entry = None if inode is None else metadata.entry_at(inode.ino, name, at_ns)
        inode = None if entry is None else metadata.inode(entry.ino)
    if inode is None:
        when = format_rfc3339(at_ns)
        raise NoSuchName(f"{printed_key(path)} was not there at {when}")
    return inode


async def list_directory(request: ListDirectory, context: Context) -> DirectoryListing:
    """Raises NotADirectory where it was something else."""
    check_limit(request.limit)
    filesystem = context.filesystem
    metadata = filesystem.volume.metadata
    at_ns = instant_of(request.at, context)
    directory = inode_then(filesystem, request.path, at_ns)
    if not directory.is_directory:
        raise NotADirectory(f"{printed_key(request.path)} is no directory")
    names = NamesAt(metadata, directory.ino, at_ns, after=request.after)
    rows: list[NameRow] = []
    last = b""
    while len(rows) < request.limit and (entry := await names.pop()) is not None:
        row = _name_row(metadata, entry, at_ns)
        if row is not None:
            rows.append(row)
        last = entry.name
    is_more = len(rows) == request.limit and await names.peek() is not None
    neighbours = None
    if request.with_neighbours:
        neighbours = _neighbours(metadata, directory.ino, at_ns)
    earlier, later = neighbours or (None, None)
    return DirectoryListing(
        key=printed_key(request.path),
        at=format_rfc3339(at_ns),
        names=rows,
        next=quote_from_bytes(last, safe="") if is_more else None,
        neighbours_known=neighbours is not None,
        earlier=None if earlier is None else format_rfc3339(earlier - 1),
        later=None if later is None else format_rfc3339(later),
    )


def check_order(since_ns: int, until_ns: int) -> None:
    """Raises InvalidArgument for what is no span of time."""
    if since_ns > until_ns:
        raise InvalidArgument("the first instant must be the earlier one")


def check_limit(limit: int) -> None:
    """Raises InvalidArgument for what is no page."""
    if not 0 < limit <= ROWS_MAX:
        raise InvalidArgument(f"a page has 1 to {ROWS_MAX} rows, not {limit}")


def _name_row(metadata: Metadata, entry: Entry, at_ns: int) -> NameRow | None:
    """None for a file that had no content yet."""
    inode = metadata.inode(entry.ino)
    if inode is None:
        return None
    name, encoded = printed_key(entry.name), quote_from_bytes(entry.name, safe="")
    kind = KINDS.get(stat.S_IFMT(inode.mode), "other")
    if not inode.is_file:
        target = printed_key(inode.target) if kind == "symlink" else None
        return NameRow(name=name, encoded_name=encoded, kind=kind, target=target)
    version = metadata.version_at(inode.ino, at_ns)
    if version is None:
        return None
    retention = None if version.lock is None else version.lock.retention
    return NameRow(
        name=name,
        encoded_name=encoded,
        kind=kind,
        size=version.size,
        last_modified=format_rfc3339(version.stamp_ns),
        version_id=public_id(version),
        storage_class=version.storage_class,
        archived=version.is_archived,
        object_lock_mode=None if retention is None else retention.mode,
        object_lock_retain_until_date=None
        if retention is None
        else format_until(retention.until_ns),
        object_lock_legal_hold_status="ON" if version.lock and version.lock.holds else None,
        append_only=bool(inode.append_only),
    )


def _neighbours(
    metadata: Metadata, directory: int, at_ns: int
) -> tuple[int | None, int | None] | None:
    """The directory's last change until the instant, and its next; None where it is too large."""
    entries = metadata.entries_after(directory, b"", 0, NEIGHBOURS_AMONG_MAX + 1)
    if len(entries) > NEIGHBOURS_AMONG_MAX:
        return None
    changes: set[int] = set()
    for entry in entries:
        if entry.is_marker:
            continue
        changes.add(entry.to_ns)
        inode = metadata.inode(entry.ino)
        is_file = inode is not None and inode.is_file
        if not is_file or metadata.version_at(entry.ino, entry.from_ns) is not None:
            changes.add(entry.from_ns)  # else it shows with its first content
        version = metadata.version_at(entry.ino, min(at_ns, entry.to_ns - 1))
        if version is not None and version.stamp_ns >= entry.from_ns:
            changes.add(version.stamp_ns)
        after_ns = max(at_ns, entry.from_ns)
        for ino, stamp_ns, _ in metadata.commits_after(entry.ino, after_ns, 1):
            if ino == entry.ino and stamp_ns < entry.to_ns:
                changes.add(stamp_ns)
    changes.discard(OPEN_NS)
    earlier = max((at for at in changes if at <= at_ns), default=None)
    return earlier, min((at for at in changes if at > at_ns), default=None)


async def list_changes(request: ListChanges, context: Context) -> ChangeListing:
    """By path, a directory before what is in it."""
    check_limit(request.limit)
    metadata = context.filesystem.volume.metadata
    instants = Instants(instant_of(request.since, context), instant_of(request.until, context))
    check_order(instants.since_ns, instants.until_ns)
    walk = TreeWalk(metadata, instants)
    before, after = (
        _directory_then(context.filesystem, request.path, at_ns)
        for at_ns in (instants.since_ns, instants.until_ns)
    )
    if not before and not after:
        raise NoSuchName(f"{printed_key(request.path)} was no directory at either instant")
    if request.after:
        names = request.after.removeprefix(request.path).strip(b"/").split(b"/")
        walk.resume(request.path, before, after, behind=names)
    else:
        walk.enter(request.path, before, after)
    rows: list[ChangeRow] = []
    last: bytes | None = request.after
    while len(rows) < request.limit and walk.looked_at < LOOKED_AT_MAX:
        pair = await walk.next()
        last = None if pair is None else pair.path
        if pair is None:
            break
        row = _change_row(metadata, pair, instants)
        if row is not None:
            rows.append(row)
    return ChangeListing(
        key=printed_key(request.path),
        since=format_rfc3339(instants.since_ns),
        until=format_rfc3339(instants.until_ns),
        changes=rows,
        names_looked_at=walk.looked_at,
        next=None if last is None else quote_from_bytes(last, safe=""),
    )


def _directory_then(filesystem: FileSystem, path: bytes, at_ns: int) -> int:
    """Its number; 0 where there was none."""
    try:
        inode = inode_then(filesystem, path, at_ns)
    except NoSuchName:
        return 0
    return inode.ino if inode.is_directory else 0


def _change_row(metadata: Metadata, pair: Pair, instants: Instants) -> ChangeRow | None:
    sides: list[tuple[State, Version | None] | None] = []
    for inode, at_ns in ((pair.before, instants.since_ns), (pair.after, instants.until_ns)):
        sides.append(None if inode is None else _state(metadata, inode, at_ns))
    before, after = sides
    change = change_between(before and before[0], after and after[0])
    if change is None:
        return None
    shown = after or before
    assert shown is not None
    return ChangeRow(
        key=printed_key(pair.path),
        encoded_key=quote_from_bytes(pair.path),
        kind=KINDS.get(shown[0].kind, "other"),
        change=change.value,
        size_before=before[1].size if before and before[1] else None,
        size_after=after[1].size if after and after[1] else None,
    )


def _state(metadata: Metadata, inode: Inode, at_ns: int) -> tuple[State, Version | None] | None:
    """None for a file without content then."""
    version = metadata.version_at(inode.ino, at_ns) if inode.is_file else None
    if inode.is_file and version is None:
        return None
    kept = metadata.attributes_at(inode.ino, at_ns) or inode
    attributes = (kept.mode, kept.uid, kept.gid, kept.xattrs, inode.target)
    etag = b"" if version is None else version.etag
    return State(stat.S_IFMT(inode.mode), etag, attributes), version


async def describe_timeline(request: DescribeTimeline, context: Context) -> Timeline:
    """Of the whole store."""
    if not 0 < request.steps <= ROWS_MAX:
        raise InvalidArgument(f"a timeline has 1 to {ROWS_MAX} steps, not {request.steps}")
    volume = context.filesystem.volume
    created_ns = volume.inode(ROOT_INO).btime_ns
    since_ns = (
        min(created_ns, volume.now_ns())
        if request.since is None
        else instant_of(request.since, context)
    )
    until_ns = instant_of(request.until, context)
    check_order(since_ns, until_ns)
    span = span_of(since_ns, until_ns, steps_max=request.steps)
    steps = [await _counted(volume.metadata, *bounds) for bounds in span.steps()]
    starts = [span.from_ns, *span.bounds()]
    return Timeline(
        created=format_rfc3339(created_ns),
        now=format_rfc3339(volume.now_ns()),
        step_seconds=span.step_ns / SECOND_NS,
        steps=[
            TimelineStep(
                start=format_rfc3339(start),
                end=format_rfc3339(min(end, OPEN_NS)),
                saved=step.saved,
                saved_bytes=step.saved_bytes,
                removed=step.removed,
            )
            for start, end, step in zip(starts, starts[1:], steps, strict=False)
        ],
    )


async def _counted(metadata: Metadata, from_ns: int, to_ns: int) -> Counted:
    """What happened in [from_ns, to_ns); others are served between two of these."""
    await trio.lowlevel.checkpoint()
    commits = metadata.count_commits(from_ns, to_ns)
    return Counted(
        saved=sum(versions for _, versions, _ in commits),
        saved_bytes=sum(size for _, _, size in commits),
        removed=metadata.count_removals(from_ns, to_ns),
    )
