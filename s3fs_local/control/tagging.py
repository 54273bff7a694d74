"""Commands tag get and set: the tags of a file's current version."""

from s3fs_local import errors
from s3fs_local.control.context import Context
from s3fs_local.control.looking_back import live_inode, public_id
from s3fs_local.control.requests import ChangeTags, DescribeTags
from s3fs_local.control.results.documents import Tagging, TagRow
from s3fs_local.rules.tags import check_tags


async def describe_tags(request: DescribeTags, context: Context) -> Tagging:
    """As get-object-tagging prints them."""
    return _tagging(request.path, context)


async def change_tags(request: ChangeTags, context: Context) -> Tagging:
    """Tags that are not named are gone (S3: put-object-tagging replaces them all)."""
    check_tags(request.tags)
    inode = live_inode(context.filesystem, request.path)
    context.filesystem.lock_attributes.set_tags(inode.ino, request.tags, context.caller)
    return _tagging(request.path, context)


def _tagging(path: bytes, context: Context) -> Tagging:
    inode = live_inode(context.filesystem, path)
    metadata = context.filesystem.volume.metadata
    version = metadata.version(inode.ino, inode.version_ns) if inode.is_file else None
    if version is None:
        raise errors.InvalidArgument("only files with a committed version have tags")
    return Tagging(public_id(version), [TagRow(*pair) for pair in sorted(version.tags.items())])
