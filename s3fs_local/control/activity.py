"""Command top: what the mount is doing."""

from s3fs_local.control.context import Context
from s3fs_local.control.requests import DescribeActivity
from s3fs_local.control.results.activity import ActivitySample, KindRow, RunningRow
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.operation_log import Paths


async def describe_activity(_: DescribeActivity, context: Context) -> ActivitySample:
    """As it is now."""
    return sample_of(context.filesystem)


def sample_of(filesystem: FileSystem) -> ActivitySample:
    """What the mount has done so far, and what it does now."""
    activity = filesystem.activity
    volume = filesystem.volume
    uptime_ns = activity.uptime_ns()
    paths = Paths(volume.metadata)
    return ActivitySample(
        uptime_ns=uptime_ns,
        kinds=[
            KindRow(kind, count, activity.took_ns[kind], activity.bytes_by_kind[kind])
            for kind, count in sorted(activity.counts.items())
        ],
        failures=dict(activity.failures),
        running=[
            RunningRow(
                kind=operation.kind,
                path=paths.of(operation),
                for_ns=uptime_ns - operation.started_ns,
                uid=operation.uid,
                pid=operation.pid,
            )
            for operation in activity.running()
        ],
        open_files=len(filesystem.open_files),
        dirty_bytes=sum(draft.dirty_bytes for draft in volume.drafts.values()),
        journal_bytes=volume.durability.segment_bytes,
        fsyncs=volume.durability.fsyncs,
    )
