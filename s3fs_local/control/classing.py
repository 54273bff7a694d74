"""Commands class and retrieve: storage classes of versions, and archived ones for a while."""

from typing import Final

from s3fs_local.control.context import Context
from s3fs_local.control.looking_back import chosen_version, live_inode, public_id
from s3fs_local.control.requests import ChangeClass, DescribeClass, Retrieve
from s3fs_local.control.results.classes import ClassRow
from s3fs_local.control.results.versions import printed_key
from s3fs_local.engine.pace import Pace
from s3fs_local.errors import InvalidArgument, IsADirectory, NoSuchName
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.retrieval import format_retrieval, parse_tier
from s3fs_local.rules.storage_classes import parse_class
from s3fs_local.rules.versioning import Version

INHERIT: Final = "inherit"
"""In place of a class, for a directory: as in the one above it."""


async def describe_class(request: DescribeClass, context: Context) -> ClassRow:
    """Of a version, or of the files that will be made in a directory."""
    directory = _directory(context, request.path, request.version)
    if directory is not None:
        return _directory_row(context, request.path, directory)
    return _row(request.path, _version(context, request.path, request.version))


async def change_class(request: ChangeClass, context: Context) -> ClassRow:
    """In place: the same version id. Its bytes are where they belong when the command ends."""
    filesystem = context.filesystem
    directory = _directory(context, request.path, request.version)
    if directory is not None:
        wanted = None
        if request.storage_class != INHERIT:
            wanted = parse_class(request.storage_class)
        filesystem.classes.set_of_new_files(directory.ino, wanted, context.caller)
        return _directory_row(context, request.path, filesystem.volume.inode(directory.ino))
    storage_class = parse_class(request.storage_class)
    version = _version(context, request.path, request.version)
    filesystem.classes.set_by(version.ino, version.stamp_ns, storage_class, context.caller)
    with filesystem.volume.yielding.waited_for():
        await filesystem.settling.settle(version.ino, _reporting(context, version))
    return _row(request.path, _present(context, version))


async def retrieve(request: Retrieve, context: Context) -> ClassRow:
    """A readable copy for some days; when its delay is over already, it is there at the end."""
    filesystem = context.filesystem
    if _directory(context, request.path, request.version) is not None:
        raise IsADirectory("name a file: files are retrieved one by one")
    version = filesystem.retrieving.request(
        *_key(_version(context, request.path, request.version)),
        days=request.days,
        tier=parse_tier(request.tier),
        caller=context.caller,
    )
    with filesystem.volume.yielding.waited_for():
        await filesystem.retrieving.advance(*_key(version), _reporting(context, version))
    return _row(request.path, _present(context, version))


def _directory(context: Context, path: bytes, version: str | None) -> Inode | None:
    """The directory, if the path is one now and no version of it is meant."""
    if version is not None:
        return None
    try:
        inode = live_inode(context.filesystem, path)
    except NoSuchName:
        return None
    return inode if inode.is_directory else None


def _version(context: Context, path: bytes, version: str | None) -> Version:
    if version is None:
        inode = live_inode(context.filesystem, path)
        if inode.is_file:
            context.filesystem.lock_attributes.settle_draft(inode.ino)
            current = context.filesystem.volume.inode(inode.ino).version_ns
            found = context.filesystem.volume.metadata.version(inode.ino, current)
            if found is not None:
                return found
        raise InvalidArgument(f"{printed_key(path)} has no content, so it has no storage class")
    return chosen_version(context.filesystem, path, version=version, at=None)


def _key(version: Version) -> tuple[int, int]:
    return version.ino, version.stamp_ns


def _present(context: Context, version: Version) -> Version:
    return context.filesystem.volume.metadata.version(*_key(version)) or version


def _row(path: bytes, version: Version) -> ClassRow:
    return ClassRow(
        key=printed_key(path),
        version_id=public_id(version),
        storage_class=version.storage_class,
        access_tier=version.tier or None,
        restore=format_retrieval(version.retrieval) if version.retrieval else None,
    )


def _directory_row(context: Context, path: bytes, directory: Inode) -> ClassRow:
    return ClassRow(
        key=printed_key(path),
        storage_class=context.filesystem.classes.of_new_files(directory.ino),
        is_inherited=not directory.storage_class,
    )


def _reporting(context: Context, version: Version) -> Pace:
    """As fast as it goes; the client hears how far the bytes of the version are."""
    done = 0

    async def report(size_bytes: int) -> None:
        nonlocal done
        done += size_bytes
        await context.outlet.progress("moving", done=done, total=version.size)

    return Pace(report=report)
