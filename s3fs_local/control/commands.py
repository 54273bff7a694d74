"""Every command, and which function carries it out.

The daemon and a command on an unmounted store go through this one table.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from s3fs_local import errors
from s3fs_local.control import (
    activity,
    administration,
    browsing,
    classing,
    encryption,
    events_below,
    keys,
    lifecycle,
    locking,
    looking_back,
    object_lock,
    over_time,
    replicating,
    requests,
    restoring,
    tagging,
    verifying,
    zoning,
)
from s3fs_local.control.context import Context
from s3fs_local.control.requests import Request
from s3fs_local.rules.ledger_notes import Commanded

log = logging.getLogger(__name__)

Handler = Callable[[Any, Context], Awaitable[msgspec.Struct]]

_READING: Final[dict[type, Handler]] = {
    requests.Verify: verifying.verify,
    requests.ExportLedger: verifying.export_ledger,
    requests.ListVersions: looking_back.list_versions,
    requests.ListEvents: looking_back.list_events,
    requests.ReadVersion: looking_back.read_version,
    requests.ListDirectory: browsing.list_directory,
    requests.ListChanges: browsing.list_changes,
    requests.ListEventsBelow: events_below.list_events_below,
    requests.DescribeTimeline: browsing.describe_timeline,
    requests.DescribeClassHistory: over_time.describe_class_history,
    requests.ListLockEnds: over_time.list_lock_ends,
    requests.DescribeRetention: locking.describe_retention,
    requests.ListLegalHolds: locking.list_legal_holds,
    requests.Explain: locking.explain,
    requests.DescribeClass: classing.describe_class,
    requests.DescribeStatus: administration.describe_status,
    requests.DescribeStatistics: administration.describe_statistics,
    requests.DescribeActivity: activity.describe_activity,
    requests.DescribeSettings: administration.describe_settings,
    requests.DescribeVersioning: administration.describe_versioning,
    requests.DescribeObjectLock: object_lock.describe_object_lock,
    requests.DescribeEncryption: encryption.describe_encryption,
    requests.ListKeys: keys.list_keys,
    requests.DescribeLifecycle: lifecycle.describe_lifecycle,
    requests.PlanLifecycle: lifecycle.plan_lifecycle,
    requests.DescribeTags: tagging.describe_tags,
    requests.ListZones: zoning.list_zones,
    requests.DescribeReplication: replicating.describe_replication,
    requests.DescribeReplicationStatus: replicating.describe_replication_status,
    requests.AwaitReplication: replicating.await_replication,
    requests.Resync: replicating.resync,
}
_CHANGING: Final[dict[type, Handler]] = {
    requests.Restore: restoring.restore,
    requests.Undelete: restoring.undelete,
    requests.Purge: restoring.purge,
    requests.SetRetention: locking.set_retention,
    requests.ClearRetention: locking.clear_retention,
    requests.SetLegalHold: locking.set_legal_hold,
    requests.ClearLegalHold: locking.clear_legal_hold,
    requests.SetAppendOnly: locking.set_append_only,
    requests.Protect: locking.protect,
    requests.ChangeClass: classing.change_class,
    requests.Retrieve: classing.retrieve,
    requests.CollectGarbage: administration.collect_garbage,
    requests.ChangeSetting: administration.change_setting,
    requests.ChangeVersioning: administration.change_versioning,
    requests.ChangeObjectLock: object_lock.change_object_lock,
    requests.ChangeEncryption: encryption.change_encryption,
    requests.AddKey: keys.add_key,
    requests.RotateKey: keys.rotate_key,
    requests.SetKeyState: keys.set_key_state,
    requests.RewrapKeys: keys.rewrap_keys,
    requests.ChangeSecret: keys.change_secret,
    requests.ChangeLifecycle: lifecycle.change_lifecycle,
    requests.RemoveLifecycle: lifecycle.remove_lifecycle,
    requests.RunLifecycle: lifecycle.run_lifecycle,
    requests.ChangeTags: tagging.change_tags,
    requests.ChangeReplication: replicating.change_replication,
    requests.RemoveReplication: replicating.remove_replication,
    requests.SyncReplication: replicating.sync_replication,
    requests.Promote: replicating.promote,
    requests.AddZone: zoning.add_zone,
    requests.RemoveZone: zoning.remove_zone,
    requests.RepairZone: zoning.repair_zone,
    requests.Scrub: zoning.scrub,
}


_OF_A_REPLICA: Final = (
    *(requests.CollectGarbage, requests.ChangeSetting, requests.ChangeLifecycle),
    *(requests.RemoveLifecycle, requests.RunLifecycle, requests.Promote, requests.Retrieve),
    *(requests.AddKey, requests.RotateKey, requests.SetKeyState, requests.RewrapKeys),
    *(requests.ChangeSecret, requests.ChangeEncryption, requests.AddZone, requests.RemoveZone),
    *(requests.RepairZone, requests.Scrub, requests.RemoveReplication),
)
"""Requests about the store itself, not its files: a replica takes them, too."""


def _only_looks(request: Request) -> bool:
    """Whether a request that may change the store does not, as it was made."""
    return isinstance(request, requests.Scrub) and not request.mends


async def carry_out(request: Request, context: Context) -> object:
    """What came of the request, as msgpack can hold it; what it changed is durable.

    Raises:
        S3fsLocalError: whatever it met.
    """
    try:
        return await _carry_out(request, context)
    except errors.LockError as refusal:
        context.filesystem.refusals.note(refusal, context.caller)
        raise


async def _carry_out(request: Request, context: Context) -> object:
    reading = _READING.get(type(request))
    if reading is not None:
        return msgspec.to_builtins(await reading(request, context))
    changing = _CHANGING.get(type(request))
    if changing is None:
        raise errors.Unsupported("only the daemon of a mounted store can do this")
    if context.filesystem.volume.keeps_nothing and not _only_looks(request):
        raise errors.StoreReadOnly(context.filesystem.volume.keeps_nothing)
    if not isinstance(request, _OF_A_REPLICA):
        context.filesystem.replica.check_writable()
    caller = context.caller
    log.info("%s by user %d, process %d", type(request).__name__, caller.uid, caller.pid)
    volume = context.filesystem.volume
    command = str(request.__struct_config__.tag)
    volume.note(Commanded(volume.now_ns(), context.actor(), command))
    result = await changing(request, context)
    await context.filesystem.volume.durability.flush(durable=True, only_facts=True)
    return msgspec.to_builtins(result)
