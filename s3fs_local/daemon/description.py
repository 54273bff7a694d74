"""What `status` tells of an open store."""

from pathlib import Path

from s3fs_local.control.lifecycle import lifecycle_status
from s3fs_local.control.replicating import replication_status
from s3fs_local.control.results.store import FindingRow, Status, UnsavedRow
from s3fs_local.control.results.zones import ZoneRow
from s3fs_local.daemon.assembly import OpenStore
from s3fs_local.engine.unsaved import Unsaved
from s3fs_local.objects.zone import Zone
from s3fs_local.rules.findings import health_of


def describe(
    store: OpenStore, *, mount_point: Path | None = None, daemon_pid: int | None = None
) -> Status:
    """How the store is now."""
    volume = store.filesystem.volume
    findings = volume.inspections.findings()
    store.zones.look_at_space()
    return Status(
        lifecycle=lifecycle_status(store.filesystem.lifecycle),
        replication=replication_status(store.filesystem),
        store=str(store.path),
        store_id=store.record.store_id,
        health=health_of(findings),
        findings=[
            FindingRow(
                severity=finding.severity,
                subject=finding.subject,
                sentence=finding.sentence,
                advice=finding.advice,
            )
            for finding in findings
        ],
        mount_point=None if mount_point is None else str(mount_point),
        daemon_pid=daemon_pid,
        versioning=volume.settings.versioning.value,
        object_lock=volume.settings.object_lock,
        read_only=bool(volume.read_only_reason) or volume.durability.failure is not None,
        zones=[_zone_row(zone) for zone in store.zones.zones],
        unsaved=unsaved_row(volume.durability.unsaved()),
    )


def unsaved_row(unsaved: Unsaved) -> UnsavedRow | None:
    """None where there is nothing."""
    return UnsavedRow(unsaved.inodes, unsaved.size_bytes, str(unsaved)) if unsaved else None


def _zone_row(zone: Zone) -> ZoneRow:
    if not zone.is_well or zone.store is None:
        return ZoneRow(zone.url, f"{zone.state.value}: {zone.reason}")
    free_bytes, total_bytes = zone.space
    return ZoneRow(zone.url, zone.state.value, free_bytes, total_bytes)
