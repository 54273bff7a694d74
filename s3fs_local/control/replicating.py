"""Commands bucket replication, replication status and sync, promote, and resync."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.control.client import Client, connect
from s3fs_local.control.context import Context
from s3fs_local.control.requests import (
    AwaitReplication,
    ChangeReplication,
    DescribeReplication,
    DescribeReplicationStatus,
    MakeRoom,
    Promote,
    RemoveReplication,
    Resync,
    SyncReplication,
)
from s3fs_local.control.results.replication import (
    Promotion,
    ReplicaStatus,
    ReplicationDestination,
    ReplicationFailure,
    ReplicationLag,
    ReplicationStatus,
    ReplicationSync,
    ResyncDestination,
    ResyncListing,
    ResyncRow,
)
from s3fs_local.control.results.store import Done
from s3fs_local.control.results.versions import printed_key
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.replica_arrivals import Arrivals
from s3fs_local.engine.replication import Progress, Replication
from s3fs_local.engine.replication_following import Following
from s3fs_local.engine.replication_inventory import Differences, compare
from s3fs_local.errors import S3fsLocalError
from s3fs_local.rules.identifiers import version_id
from s3fs_local.rules.instants import SECOND_NS, format_rfc3339
from s3fs_local.rules.remotes import Remote
from s3fs_local.rules.replication import ATTRIBUTES, UNDECIDED, Task
from s3fs_local.rules.replication_documents import ID_BITS, ReplicationDocument
from s3fs_local.rules.replication_validation import read_replication

LOOK_SECONDS: Final = 0.2
ROOM_SECONDS_MAX: Final = 60.0


async def describe_replication(_: DescribeReplication, context: Context) -> ReplicationDocument:
    """As get-bucket-replication prints it.

    Raises:
        NoSuchConfiguration: there is none.
    """
    in_force = context.filesystem.replication.in_force
    if in_force is None:
        raise errors.NoSuchConfiguration(
            "ReplicationConfigurationNotFoundError: The replication configuration was not found"
        )
    return in_force.document


async def change_replication(request: ChangeReplication, context: Context) -> Done:
    """The document takes the place of the one before, for what is committed from now on."""
    context.check_may_administer()
    volume = context.filesystem.volume
    context.filesystem.replica.check_writable()
    document = read_replication(request.document, new_id=lambda: volume.randomness.bits(ID_BITS))
    stores: dict[str, str] = {}
    for rule in document.rules:
        name = rule.destination.remote
        remote = volume.settings.remotes.get(name)
        if remote is None:
            raise errors.InvalidDocument(
                f"InvalidRequest: Destination bucket must exist. There is no remote {name!r}:"
                f" `config set STORE remotes {name}=/path/of/its/store`"
            )
        stores[name] = await _check_destination(remote, _following(context))
    replication = context.filesystem.replication
    while replication.decide():  # by the rules that were in force then
        await trio.lowlevel.checkpoint()
    context.filesystem.replica.check_writable()  # the other store may have put a rule meanwhile
    replication.put(document, stores)
    await _abandon(context)
    return Done()


async def _abandon(context: Context) -> None:
    """What no rule wants any more is forgotten, step by step; killed here, the worker does it."""
    done = 0
    while removed := context.filesystem.replication.abandon():
        done += removed
        await context.outlet.progress("forgetting what was to be told", done=done)
        await trio.lowlevel.checkpoint()


async def _check_destination(remote: Remote, following: Following) -> str:
    """The destination takes what it will be told; the id of its store."""
    try:
        return await following.greet(remote)
    except errors.DestinationUnreachable as error:
        if not Path(remote.path).parent.exists() or isinstance(error.__cause__, errors.NotAStore):
            raise errors.InvalidDocument(
                f"InvalidRequest: Destination bucket must exist. {error}"
            ) from error
        raise
    except errors.DestinationRefused as error:
        raise errors.InvalidDocument(f"InvalidRequest: {error}") from error


async def remove_replication(_: RemoveReplication, context: Context) -> Done:
    """No rules, as before the first; S3: also where there were none."""
    context.check_may_administer()
    if context.filesystem.replication.in_force is not None:
        context.filesystem.replication.delete()
        await _abandon(context)
    return Done()


async def describe_replication_status(
    request: DescribeReplicationStatus, context: Context
) -> ReplicationStatus:
    """How far each destination is, and what failed."""
    filesystem = context.filesystem
    failures = filesystem.volume.metadata.failed_tasks(request.failures_max)
    status = replication_status(filesystem) or ReplicationStatus([], [], [], 0)
    return ReplicationStatus(
        status.rules,
        status.destinations,
        [_failure(filesystem.replication, filesystem, task) for task in failures],
        status.undecided,
        status.replica,
    )


def _failure(replication: Replication, filesystem: FileSystem, task: Task) -> ReplicationFailure:
    metadata = filesystem.volume.metadata
    inode = metadata.inode(task.ino)
    keys = [] if inode is None else replication.keys_of(inode, with_past=False)
    version = None
    if task.stamp_ns != ATTRIBUTES:
        version = metadata.version(task.ino, task.stamp_ns)
    return ReplicationFailure(
        key=printed_key(keys[0]) if keys else "-",
        version_id=None if version is None else version_id(version.stamp_ns, version.salt),
        destination=task.destination,
        rule=task.rule,
        reason=task.reason,
    )


def replication_status(filesystem: FileSystem) -> ReplicationStatus | None:
    """What `status` says of replication; None for a store that has nothing to do with it."""
    replication = filesystem.replication
    replica = _replica_status(filesystem)
    if replication.in_force is None and replica is None:
        return None
    now_ns = filesystem.volume.now_ns()
    rows = filesystem.volume.metadata.backlog()
    undecided = sum(row.operations for row in rows if row.destination == UNDECIDED)
    pending = {(r.destination, r.rule): r for r in rows if not r.failed}
    failed = {(r.destination, r.rule): r.operations for r in rows if r.failed}
    known = [(rule.destination, rule.rule_id) for rule in replication.rules]
    named = dict.fromkeys([*known, *(k for k in (*pending, *failed) if k[0] != UNDECIDED)])
    lags = []
    for destination, rule in named:
        row = pending.get((destination, rule))
        lags.append(
            ReplicationLag(
                rule=rule,
                destination=destination,
                bytes_pending=0 if row is None else row.size,
                operations_pending=0 if row is None else row.operations,
                latency_seconds=0.0 if row is None else round(row.lag_ns(now_ns) / SECOND_NS, 3),
                operations_failed=failed.get((destination, rule), 0),
                threshold_missed=(destination, rule) in replication.missed,
            )
        )
    destinations = [_destination(filesystem, name) for name in replication.destinations]
    return ReplicationStatus(lags, destinations, [], undecided, replica)


def _destination(filesystem: FileSystem, name: str) -> ReplicationDestination:
    remote = filesystem.volume.settings.remotes.get(name)
    progress = filesystem.replication.progress.get(name) or Progress()
    return ReplicationDestination(
        name=name,
        path="" if remote is None else remote.path,
        state=progress.state,
        message=progress.message,
        operations=progress.operations,
        bytes=progress.bytes,
        replicated_after_threshold=progress.late,
        last=format_rfc3339(progress.last_ns) if progress.last_ns else None,
    )


def _replica_status(filesystem: FileSystem) -> ReplicaStatus | None:
    role = filesystem.replica.role
    if role is None:
        return None
    return ReplicaStatus(
        source=role.source,
        path=role.path,
        host=role.host,
        since=format_rfc3339(role.since_ns),
        promoted=format_rfc3339(role.promoted_ns) if role.promoted_ns else None,
        connected=filesystem.replica.connections > 0,
    )


async def sync_replication(_: SyncReplication, context: Context) -> ReplicationSync:
    """What rules want is at every destination that answers: S3's Batch Replication.

    Raises:
        DestinationUnreachable, DestinationRefused: of one for which something is pending still.
    """
    context.check_may_administer()
    replication = context.filesystem.replication
    last, versions, looked_at = 0, 0, 0
    while True:
        last, added = replication.request_all(last)
        versions += added
        looked_at += 1
        await context.outlet.progress("looking", done=versions)
        if not last:
            break
    await _drain(context, waits=False)
    return ReplicationSync(versions, _failed(context))


async def await_replication(_: AwaitReplication, context: Context) -> ReplicationSync:
    """Everything that is pending was told; waits for destinations that are away."""
    await _drain(context, waits=True)
    return ReplicationSync(0, _failed(context))


def _failed(context: Context) -> int:
    rows = context.filesystem.volume.metadata.backlog()
    return sum(row.operations for row in rows if row.failed)


async def _drain(context: Context, *, waits: bool) -> None:
    """Where a worker follows, it is waited for; else this command does it.

    Unless it `waits` for them, destinations that take nothing end it when the rest was told.
    """
    following = _following(context)
    progress = context.filesystem.replication.progress
    answered: dict[str, int] = {}  # destinations that failed so often, and answered since
    if not following.is_running:
        await following.drain()
        return
    following.wake()
    while True:
        rows = context.filesystem.volume.metadata.backlog()
        pending = sum(row.operations for row in rows if not row.failed)
        if not pending:
            return
        waiting = {row.destination for row in rows if not row.failed}
        failures = {each: progress[each].failures for each in waiting & progress.keys()}
        if not waits and all(failures.get(each) for each in waiting):
            for destination in sorted(waiting):
                if answered.get(destination) != failures[destination]:
                    await following.check_answers(destination)
                    answered[destination] = failures[destination]
        await context.outlet.progress("replicating; still to be told", done=pending)
        await trio.sleep(LOOK_SECONDS)


def _following(context: Context) -> Following:
    if context.following is None:
        raise errors.Unsupported("this process does not replicate")
    return context.following


async def promote(request: Promote, context: Context) -> Promotion:
    """The replica is a store of its own, and takes nothing from its source any more.

    With `dry_run` it would be; nothing is changed.
    """
    context.check_may_administer()
    replica = context.filesystem.replica
    signs = await trio.to_thread.run_sync(_signs_of_source, context.filesystem)
    if request.dry_run:
        role = replica.promotable(source_is_alive=signs.alive, force=request.force)
    else:
        replica.promotable(source_is_alive=signs.alive, force=request.force)
        arrivals = Arrivals(context.filesystem.volume)
        await arrivals.release_all()  # killed after the promotion, nobody would come back for it
        role = replica.promote(source_is_alive=signs.alive, force=request.force)
        await arrivals.release_all()  # of a source that spoke until now
    return Promotion(
        source=f"{role.host}:{role.path}",
        promoted=format_rfc3339(role.promoted_ns) if role.promoted_ns else None,
        checked=signs.alive or signs.checked,
        dry_run=request.dry_run,
    )


class _Signs(Struct, frozen=True):
    """What can be seen of a source from here."""

    alive: str = ""  # how it is known that it is in use; empty where nothing shows it
    checked: str = ""  # what was looked at, or could not be


def _signs_of_source(filesystem: FileSystem) -> _Signs:
    role = filesystem.replica.role
    if role is None:
        return _Signs()
    source, here = f"the source {role.path}", socket.gethostname()
    if role.host != here:
        return _Signs(
            checked=f"nobody speaks to this store now, but {source} is on the host {role.host}:"
            f" whether it is in use cannot be seen from {here}. Make sure that it is not"
        )
    try:
        client = connect(Path(role.path))
    except errors.NotAStore:
        return _Signs(checked=f"{source} is not there; if its disk comes back, do not mount it")
    except (S3fsLocalError, OSError) as error:
        return _Signs(
            checked=f"{source} could not be looked at ({error}): make sure that it is not in use"
        )
    return _signs_of_process(source, client)


def _signs_of_process(source: str, client: Client | None) -> _Signs:
    if client is not None:
        with client:
            process = client.daemon_pid()
            if not _makes_room(client):
                return _Signs(alive=f"{source} is open in process {process}")
    return _Signs(checked=f"nobody has {source} open on this machine")


def _makes_room(client: Client) -> bool:
    """Whether the process only had the store open for another region, as for `resync`. Blocks."""
    try:
        return client.ask_to_end(MakeRoom(), seconds_max=ROOM_SECONDS_MAX).has_ended
    except S3fsLocalError:
        return False


async def resync(request: Resync, context: Context) -> ResyncListing:
    """What this store and the other regions have that the other lacks; nothing is changed."""
    context.check_may_administer()
    filesystem = context.filesystem
    following = _following(context)
    regions = []
    async for path, remote in _others(filesystem):
        await context.outlet.progress(f"comparing with {path}", done=0)
        async with following.listing(remote) as listing:
            found = await compare(filesystem, following.origins, listing, request.rows_max)
        regions.append(_differences(path, found))
    if not regions:
        raise errors.NotAReplica("the store has neither destinations nor a source")
    return ResyncListing(regions)


async def _others(filesystem: FileSystem) -> AsyncIterator[tuple[str, Remote]]:
    settings = filesystem.volume.settings
    paths: dict[str, Remote] = {}
    for name in filesystem.replication.destinations:
        remote = settings.remotes.get(name)
        if remote is not None:
            paths[remote.path] = remote
    role = filesystem.replica.role
    if role is not None and role.path not in paths:
        known = {remote.path: remote for remote in settings.remotes.values()}
        paths[role.path] = known.get(role.path) or Remote(role.path)
    for path, remote in paths.items():
        yield path, remote


def _differences(path: str, found: Differences) -> ResyncDestination:
    rows = [
        ResyncRow(side, printed_key(one.key), version_id(one.stamp_ns, one.salt), one.size)
        for side, ones in (("here", found.only_here), ("there", found.only_there))
        for one in ones
    ]
    return ResyncDestination(path, found.both, found.here_count, found.there_count, rows)
