"""Commands status, stats, config and bucket versioning: the store as a whole."""

from typing import Final

import msgspec

from s3fs_local import errors
from s3fs_local.control.context import Context
from s3fs_local.control.requests import (
    ChangeSetting,
    ChangeVersioning,
    CollectGarbage,
    DescribeSettings,
    DescribeStatistics,
    DescribeStatus,
    DescribeVersioning,
)
from s3fs_local.control.results import (
    Collection,
    Done,
    SettingListing,
    SettingRow,
    Statistics,
    Status,
    Versioning,
)
from s3fs_local.engine import purging
from s3fs_local.metadata.changes import PutSetting
from s3fs_local.rules import settings
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.retention import Operation, Semantics
from s3fs_local.rules.settings import Settings
from s3fs_local.rules.versioning import (
    VersioningState,
    check_state_change,
    parse_versioning,
)

VERSIONING: Final = "versioning"


async def describe_status(_: DescribeStatus, context: Context) -> Status:
    """How the store is."""
    return context.describe()


async def describe_statistics(_: DescribeStatistics, context: Context) -> Statistics:
    """How much it holds."""
    usage = context.filesystem.volume.metadata.usage()
    return Statistics(
        names=usage.inodes,
        files=usage.files,
        versions=usage.versions,
        blocks=usage.blocks,
        plain_bytes=usage.plain_bytes,
        sealed_bytes=usage.sealed_bytes,
        requests={
            kind: count for kind, count in context.filesystem.activity.counts.items() if count
        },
        fsyncs=context.filesystem.volume.durability.fsyncs,
    )


async def collect_garbage(request: CollectGarbage, context: Context) -> Collection:
    """Space that nothing uses is free, or (dry run) could be."""
    context.check_may_administer()
    garbage = await purging.collect_garbage(context.filesystem, dry_run=request.dry_run)
    return Collection(packs=garbage.packs, freed_bytes=garbage.bytes, dry_run=request.dry_run)


async def describe_settings(_: DescribeSettings, context: Context) -> SettingListing:
    """Every setting, with its default and meaning."""
    lines = settings.describe(context.filesystem.volume.settings)
    return SettingListing(
        [msgspec.convert(line, SettingRow, from_attributes=True) for line in lines]
    )


async def change_setting(request: ChangeSetting, context: Context) -> Done:
    """One setting has another value, from now on."""
    _change(context, request.name, settings.parse_setting(request.name, request.value))
    return Done()


async def describe_versioning(_: DescribeVersioning, context: Context) -> Versioning:
    """S3's document."""
    return Versioning(status=context.filesystem.volume.settings.versioning.value or None)


async def change_versioning(request: ChangeVersioning, context: Context) -> Done:
    """As S3's document says."""
    wanted = parse_versioning(request.document)
    _change(context, VERSIONING, msgspec.json.encode(wanted).decode())
    return Done()


def _change(context: Context, name: str, value: str) -> None:
    context.check_may_administer()
    volume = context.filesystem.volume
    present = volume.settings
    wanted = _with(present, name, value)
    _check_transition(present, wanted)
    if present.lock_semantics is Semantics.FILE and wanted.lock_semantics is Semantics.S3:
        # Files locked in place would become removable: asked of the root, which marks them all.
        filesystem = context.filesystem
        filesystem.locks.check(Operation.MOVE_ANCESTOR, volume.inode(ROOT_INO))
    volume.apply([PutSetting(name, value)])
    volume.settings = wanted


def _with(present: Settings, name: str, value: str) -> Settings:
    fields: dict[str, object] = msgspec.to_builtins(present)
    return msgspec.convert({**fields, name: msgspec.json.decode(value)}, Settings)


def _check_transition(present: Settings, wanted: Settings) -> None:
    """What S3 allows to change in the state that the store is in.

    Raises:
        InvalidSetting: Object Lock is never switched off.
        VersioningRequired: versioning is Suspended beside Object Lock.
    """
    if present.object_lock and not wanted.object_lock:
        raise errors.InvalidSetting("Object Lock, once enabled, is never switched off")
    if wanted.object_lock and wanted.versioning is not VersioningState.ENABLED:
        check_state_change(present.versioning, wanted.versioning, object_lock_enabled=True)
    check_state_change(
        present.versioning, wanted.versioning, object_lock_enabled=present.object_lock
    )
