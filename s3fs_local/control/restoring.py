"""Commands restore, undelete and purge: bringing back, and removing for good."""

from collections.abc import Iterator
from typing import Final

from s3fs_local.control.context import Context
from s3fs_local.control.looking_back import (
    LATEST,
    PREVIOUS,
    Spot,
    chosen_version,
    item_named,
    items_at,
    live_inode,
    spot_of,
)
from s3fs_local.control.removed_trees import last_instant_of_tree
from s3fs_local.control.requests import Purge, Restore, Undelete
from s3fs_local.control.results.versions import Removal, Restoration, RestoredRow, printed_key
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.purging import purge as purge_item
from s3fs_local.engine.restoring import Restoring, Step, deleted_state, state_at
from s3fs_local.errors import (
    InvalidArgument,
    NameTaken,
    NoSuchName,
    NotADirectory,
    NothingToRestore,
)
from s3fs_local.rules.inode import ROOT_INO, Inode
from s3fs_local.rules.instants import parse_past
from s3fs_local.rules.retention import Operation

_STEPS_BETWEEN_REPORTS: Final = 64


async def restore(request: Restore, context: Context) -> Restoration:
    """A file or tree is what it was; nothing is lost by it."""
    if not request.path:
        return await _restore_root(request, context)
    at_ns, was = _state_wanted(request, context)
    target = request.path if request.to is None else request.to
    if was.is_directory and request.to is not None:
        _check_free(context.filesystem, request.to)
    return await _bring_back(context, was, at_ns, target, dry_run=request.dry_run)


def _state_wanted(request: Restore, context: Context) -> tuple[int, Inode]:
    """The instant to go back to, and what the path was then."""
    filesystem = context.filesystem
    if request.at is not None:
        spot = spot_of(filesystem, request.path)
        at_ns = _instant(request.at, context)
        return at_ns, state_at(filesystem, spot.directory, spot.name, at_ns)
    live = _live(filesystem, request.path)
    if live is not None and live.is_directory:
        raise InvalidArgument("a directory is restored to a time: give --at")
    default = LATEST if live is None else PREVIOUS
    wanted = default if request.version is None else request.version
    version = chosen_version(filesystem, request.path, version=wanted, at=None)
    return version.stamp_ns, filesystem.histories.version_as_file(version)


async def _restore_root(request: Restore, context: Context) -> Restoration:
    if request.at is None or request.to is not None:
        raise InvalidArgument("the whole store is restored in place, to a time: give --at")
    at_ns = _instant(request.at, context)
    was = context.filesystem.histories.inode_at(ROOT_INO, at_ns)
    if was is None or was.btime_ns > at_ns:
        raise NothingToRestore("the store did not exist at that instant")
    walk = Restoring(
        context.filesystem, context.caller, at_ns=at_ns, dry_run=request.dry_run
    ).restore_root(ROOT_INO, was, b"")
    return await _walked(walk, context, dry_run=request.dry_run)


def _instant(text: str, context: Context) -> int:
    return parse_past(text, now_ns=context.filesystem.volume.now_ns())


async def undelete(request: Undelete, context: Context) -> Restoration:
    """What was deleted last at the path is there again."""
    spot = spot_of(context.filesystem, request.path)
    was, at_ns = deleted_state(context.filesystem, spot.directory, spot.name)
    if was.is_directory:
        at_ns = last_instant_of_tree(context.filesystem.volume.metadata, was.ino, at_ns)
        was = context.filesystem.histories.inode_at(was.ino, at_ns) or was
    return await _bring_back(context, was, at_ns, request.path, dry_run=request.dry_run)


async def _bring_back(
    context: Context, was: Inode, at_ns: int, path: bytes, *, dry_run: bool
) -> Restoration:
    """The path is again what `was` was."""
    spot = _place_for(context, path, at_ns, dry_run=dry_run)
    walk = Restoring(context.filesystem, context.caller, at_ns=at_ns, dry_run=dry_run).restore(
        spot.directory, spot.name, was, path
    )
    return await _walked(walk, context, dry_run=dry_run)


async def _walked(walk: Iterator[Step], context: Context, *, dry_run: bool) -> Restoration:
    rows = []
    for step in walk:
        rows.append(
            RestoredRow(
                key=printed_key(step.path),
                action=step.action.value,
                size=step.size or None,
                reason=step.reason or None,
            )
        )
        if len(rows) % _STEPS_BETWEEN_REPORTS == 0:
            await context.outlet.progress("names changed", done=len(rows))
    return Restoration(changes=rows, dry_run=dry_run)


def _place_for(context: Context, path: bytes, at_ns: int, *, dry_run: bool) -> Spot:
    """Where the path will stand; directories above that were deleted are made again.

    The directory is 0 in a dry run where it would have to be made.
    """
    filesystem = context.filesystem
    *folders, name = path.split(b"/")
    directory = ROOT_INO
    for depth, folder in enumerate(folders):
        live = filesystem.volume.metadata.lookup(directory, folder)
        if live is None and dry_run:
            return Spot(0, name)
        if live is None:
            live = _remade(context, directory, b"/".join(folders[: depth + 1]), at_ns)
        if not live.is_directory:
            raise NotADirectory(f"{printed_key(folder)} is not a directory now")
        directory = live.ino
    return Spot(directory, name)


def _remade(context: Context, parent: int, path: bytes, at_ns: int) -> Inode:
    """A directory of this path, empty, with the attributes it had."""
    filesystem = context.filesystem
    spot = spot_of(filesystem, path)
    was = state_at(filesystem, spot.directory, spot.name, at_ns)
    made = filesystem.mkdir(parent, spot.name, was.mode, context.caller)
    filesystem.attributes.restore(made.ino, was)
    filesystem.volume.invalidation.entry(parent, spot.name)
    return filesystem.volume.inode(made.ino)


def _live(filesystem: FileSystem, path: bytes) -> Inode | None:
    try:
        return live_inode(filesystem, path)
    except NoSuchName:
        return None


def _check_free(filesystem: FileSystem, path: bytes) -> None:
    if _live(filesystem, path) is not None:
        raise NameTaken(f"{printed_key(path)} is there already; a tree is restored to a free name")


async def purge(request: Purge, context: Context) -> Removal:
    """The version or delete marker is gone, or (dry run) could go."""
    filesystem = context.filesystem
    items = items_at(filesystem, request.path)
    item = item_named(items, request.version, path=request.path)
    bypass = context.bypass(wanted=request.bypass_governance, reason=request.reason)
    if not request.dry_run:
        purge_item(filesystem, item, caller=context.caller, bypass=bypass)
    elif item.version is not None:
        filesystem.locks.check_version(Operation.PURGE_VERSION, item.version, bypass=bypass)
    return Removal(
        key=printed_key(request.path),
        version_id=item.version_id,
        delete_marker=item.is_marker,
        size=item.size,
        dry_run=request.dry_run,
    )
