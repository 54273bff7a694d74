"""Commands bucket object-lock get|put|delete: the store's default retention."""

import msgspec

from s3fs_local import errors
from s3fs_local.control.administration import change_settings
from s3fs_local.control.context import Context
from s3fs_local.control.requests import ChangeObjectLock, DescribeObjectLock
from s3fs_local.control.results.documents import ObjectLock
from s3fs_local.control.results.store import Done
from s3fs_local.rules.object_lock import object_lock_document, read_object_lock
from s3fs_local.rules.versioning import VersioningState


async def describe_object_lock(_: DescribeObjectLock, context: Context) -> ObjectLock:
    """S3's document."""
    settings = context.filesystem.volume.settings
    if not settings.object_lock:
        raise errors.ObjectLockDisabled(
            "ObjectLockConfigurationNotFoundError:"
            " Object Lock configuration does not exist for this bucket"
        )
    return ObjectLock(object_lock_document(settings.default_retention))


async def change_object_lock(request: ChangeObjectLock, context: Context) -> Done:
    """As S3's document says; what is there already keeps the lock that it has."""
    default = read_object_lock(request.document)
    if context.filesystem.volume.settings.versioning is not VersioningState.ENABLED:
        raise errors.VersioningRequired(
            "InvalidBucketState: Versioning must be 'Enabled' on the bucket"
            " to apply a Object Lock configuration"
        )
    wanted = msgspec.json.encode(default).decode()
    change_settings(context, {"object-lock": "true", "default-retention": wanted})
    return Done()
