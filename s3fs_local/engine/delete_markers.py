"""Delete markers: entries of a name that say that it was removed, as S3 has them."""

import msgspec

from s3fs_local.engine.volume import Volume
from s3fs_local.metadata.changes import Change, CloseEntry, OpenEntry, RemoveEntry
from s3fs_local.rules.inode import Caller
from s3fs_local.rules.namespace import OPEN_NS, Ending, Entry
from s3fs_local.rules.versioning import VersioningState


def new_marker(
    volume: Volume,
    parent: int,
    name: bytes,
    stamp_ns: int,
    caller: Caller,
    *,
    of_file: bool = True,
) -> Entry:
    """A marker of that instant; null while versioning is not Enabled.

    Only that of a file: a symlink or directory that goes takes the place of no version `null`.
    """
    return Entry(
        parent,
        name,
        stamp_ns,
        0,
        salt=volume.salt(stamp_ns),
        is_null=of_file and volume.settings.versioning is not VersioningState.ENABLED,
        uid=caller.uid,
    )


def supersede_marker(
    volume: Volume, marker: Entry | None, stamp_ns: int, caller: Caller
) -> list[Change]:
    """The open delete marker, if there is one, ends, for the name is used again.

    S3: while versioning is not Enabled a new null version takes the place of a null marker.
    """
    if marker is None:
        return []
    if marker.is_null and volume.settings.versioning is not VersioningState.ENABLED:
        return [RemoveEntry(marker.parent, marker.name, marker.from_ns)]
    return [
        CloseEntry(
            marker.parent, marker.name, marker.from_ns, stamp_ns, Ending.SUPERSEDED, caller.uid
        )
    ]


def reopen_marker(marker: Entry) -> list[Change]:
    """What came after the delete marker is gone, so it lies on top again."""
    reopened = msgspec.structs.replace(marker, to_ns=OPEN_NS, ending=Ending.LIVE, ended_by=0)
    return [RemoveEntry(marker.parent, marker.name, marker.from_ns), OpenEntry(reopened)]
