"""Commands status, stats, config, and bucket versioning: the store as a whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import trio

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
from s3fs_local.control.results.documents import Versioning
from s3fs_local.control.results.store import (
    Collection,
    Done,
    SettingListing,
    SettingRow,
    Statistics,
    Status,
)
from s3fs_local.engine import compaction
from s3fs_local.engine.pack_coding import Formed
from s3fs_local.engine.volume import Volume
from s3fs_local.metadata.changes import Change, PutSetting
from s3fs_local.rules import settings
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.retention import Operation, Semantics
from s3fs_local.rules.settings import GovernanceBypass, Settings
from s3fs_local.rules.storage_classes import check_zones_suffice
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
    garbage = await compaction.collect_garbage(context.filesystem, dry_run=request.dry_run)
    coding = context.filesystem.pack_coding
    formed = Formed()
    waiting = ""
    try:
        if not request.dry_run:
            volume = context.filesystem.volume
            await volume.durability.wait_blocking(volume.zones.sweep)
            formed = await coding.run(at_once=True)
            waiting = coding.waiting
    except errors.StorageError as error:  # what was freed is free all the same
        waiting = str(error)
    return Collection(
        packs=garbage.packs,
        freed_bytes=garbage.bytes,
        moved_bytes=garbage.moved_bytes,
        coded_packs=formed.coded,
        restored_packs=formed.restored,
        waiting=waiting,
        dry_run=request.dry_run,
    )


async def describe_settings(_: DescribeSettings, context: Context) -> SettingListing:
    """Every setting, with its default and meaning."""
    lines = settings.describe(context.filesystem.volume.settings)
    return SettingListing(
        [msgspec.convert(line, SettingRow, from_attributes=True) for line in lines]
    )


async def change_setting(request: ChangeSetting, context: Context) -> Done:
    """One setting has another value, from now on."""
    value = settings.parse_setting(request.name, request.value)
    volume = context.filesystem.volume
    before = volume.settings.storage_classes
    change_settings(context, {request.name: value})
    if volume.settings.storage_classes != before:
        with trio.CancelScope(shield=True):  # packs that were left grow no more
            await volume.durability.wait_blocking(volume.durability.packs.sync)
    return Done()


async def describe_versioning(_: DescribeVersioning, context: Context) -> Versioning:
    """S3's document."""
    return Versioning(status=context.filesystem.volume.settings.versioning.value or None)


async def change_versioning(request: ChangeVersioning, context: Context) -> Done:
    """As S3's document says."""
    wanted = parse_versioning(request.document)
    change_settings(context, {VERSIONING: msgspec.json.encode(wanted).decode()})
    return Done()


def change_settings(context: Context, values: dict[str, str]) -> None:
    """The settings have these JSON values from now on, all or none.

    Raises:
        NotPermitted: the caller does not administer the store.
        InvalidSetting, VersioningRequired, ObjectLockDisabled: S3 would not allow the change.
        Protected: it would weaken what locks mean for files that are locked.
    """
    context.check_may_administer()
    volume = context.filesystem.volume
    locks = context.filesystem.locks
    present = volume.settings
    wanted = _with(present, values)
    replicates = context.filesystem.replication.in_force is not None
    _check_transition(present, wanted, replicates=replicates)
    if wanted.object_lock and context.filesystem.presentation.writeback_cache:
        raise errors.InvalidSetting(
            "Object Lock needs a kernel that writes at once: unmount the store, and mount it"
            " without writeback_cache"
        )
    changes: list[Change] = [PutSetting(name, value) for name, value in values.items()]
    moves = wanted.storage_classes != present.storage_classes
    if moves:
        stay = [zone for zone in volume.zones.zones if not zone.leaves]
        check_zones_suffice(wanted.storage_classes, len(stay))
        changes.append(volume.former_placements.superseded(present.storage_classes))
    if present.lock_semantics is Semantics.FILE and wanted.lock_semantics is Semantics.S3:
        # Files locked in place would become removable: asked of the root, which marks them all.
        locks.check(Operation.WEAKEN_SEMANTICS, volume.inode(ROOT_INO))
    with _quorum(volume, wanted):
        volume.apply(changes)
    volume.settings = wanted
    if moves:
        volume.former_placements.note_superseded(present.storage_classes, wanted.storage_classes)
    locks.marks.forget_unminded()
    if (present.versioning, present.lock_semantics) != (wanted.versioning, wanted.lock_semantics):
        context.filesystem.lifecycle.rules.look_at_all()  # it means something else now


@contextmanager
def _quorum(volume: Volume, wanted: Settings) -> Iterator[None]:
    """What is acknowledged from now on is so by the wanted quorum, or (on an error) by the present.

    From before the change: one that fewer zones suffice for can be made when there are no more.
    """
    members = volume.zones.members
    members.want_quorum(wanted.write_quorum)
    try:
        yield
    except BaseException:
        members.want_quorum(volume.settings.write_quorum)
        raise


def _with(present: Settings, values: dict[str, str]) -> Settings:
    fields: dict[str, object] = msgspec.to_builtins(present)
    changed = {name: msgspec.json.decode(value) for name, value in values.items()}
    return msgspec.convert({**fields, **changed}, Settings)


def _check_transition(present: Settings, wanted: Settings, *, replicates: bool) -> None:
    """What S3 allows to change in the state that the store is in.

    Raises:
        InvalidSetting: Object Lock is never switched off, a bypass that was given up never comes
            back.
        ObjectLockDisabled: there is no Object Lock for the default retention.
        VersioningRequired: versioning is Suspended beside Object Lock, or replication.
    """
    if present.object_lock and not wanted.object_lock:
        raise errors.InvalidSetting("Object Lock, once enabled, is never switched off")
    if wanted.default_retention is not None and not wanted.object_lock:
        raise errors.ObjectLockDisabled(
            "InvalidRequest: Bucket is missing Object Lock Configuration"
        )
    final = GovernanceBypass.PERMANENTLY_DISABLED
    if present.governance_bypass is final and wanted.governance_bypass is not final:
        raise errors.InvalidSetting(
            "governance-bypass is permanently-disabled, and that is never taken back"
        )
    if wanted.object_lock and wanted.versioning is not VersioningState.ENABLED:
        check_state_change(present.versioning, wanted.versioning, object_lock_enabled=True)
    check_state_change(
        present.versioning,
        wanted.versioning,
        object_lock_enabled=present.object_lock,
        replicates=replicates,
    )
