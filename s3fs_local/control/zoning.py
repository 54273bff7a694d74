"""Commands zone and scrub: where bytes are kept, and whether they are what they were."""

from functools import partial
from typing import Final

import msgspec

from s3fs_local import errors
from s3fs_local.control.context import Context
from s3fs_local.control.requests import AddZone, ListZones, RemoveZone, RepairZone, Scrub
from s3fs_local.control.results.zones import PieceRow, ScrubResult, ZoneDescription, ZoneListing
from s3fs_local.control.zone_access import Zoning
from s3fs_local.engine.durability import run_in_thread
from s3fs_local.engine.healing import Piece
from s3fs_local.engine.scrubbing import Findings
from s3fs_local.errors import StorageError
from s3fs_local.objects.reading import lengths_in
from s3fs_local.objects.zone import Zone
from s3fs_local.packs.shares import share_of
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.retention import Operation

READ_LATELY_NS: Final = 86_400 * SECOND_NS
"""Before a zone goes, copies that were read since then are taken for what they were."""
_UNHURRIED: Final = 1 << 40  # bytes a second: a person waits for it


async def list_zones(_: ListZones, context: Context) -> ZoneListing:
    """Every zone."""
    zones = context.filesystem.volume.zones
    await run_in_thread(zones.look_at_space)
    rows = [await _describe(zone) for zone in zones.zones]
    return ZoneListing(zones=rows, write_quorum=zones.members.quorum)


async def add_zone(request: AddZone, context: Context) -> ZoneDescription:
    """One more."""
    zoning = _zoning(context)
    zone = await zoning.changes.add(request.url, zoning.care)
    return await _describe(zone)


async def remove_zone(request: RemoveZone, context: Context) -> ZoneDescription:
    """One less."""
    zoning = _zoning(context)
    zone = zoning.changes.zone_of(request.url, request.seen_from)
    described = await _describe(zone)
    volume = context.filesystem.volume
    context.filesystem.locks.check(Operation.REMOVE_ZONE, volume.inode(ROOT_INO))
    if not request.dry_run:
        await zoning.changes.remove(
            zone.url,
            zoning.care,
            read_copies=partial(_read_copies, context, not_for_ns=READ_LATELY_NS),
            report=lambda _: None,
        )
    return described


async def repair_zone(request: RepairZone, context: Context) -> ScrubResult:
    """As it should be, every copy in it read."""
    zoning = _zoning(context)
    named = zoning.changes.zone_of(request.url, request.seen_from)
    zone = await zoning.changes.repair(named.url, zoning.care)
    findings = await zoning.scrubbing.run(
        before_ns=context.filesystem.volume.now_ns(),
        rate_bytes=_UNHURRIED,
        only=zone,
        with_growing=True,
    )
    return _result(findings)


async def scrub(request: Scrub, context: Context) -> ScrubResult:
    """All copies in all zones."""
    zoning = _zoning(context)
    findings = await _read_copies(context, mends=request.mends)
    wrong = zoning.check_metadata() if request.checks_metadata else []
    return msgspec.structs.replace(_result(findings), metadata=wrong)


def _zoning(context: Context) -> Zoning:
    context.check_may_administer()
    if context.zoning is None:
        raise errors.Unsupported("the zones of this store cannot be changed from here")
    return context.zoning


async def _read_copies(context: Context, *, not_for_ns: int = 0, mends: bool = True) -> Findings:
    """Every copy that nobody read for so long was read, and mended from the others (if `mends`)."""

    async def report(findings: Findings) -> None:
        await context.outlet.progress("reading", done=findings.copies, total=findings.total_copies)

    return await _zoning(context).scrubbing.run(
        before_ns=context.filesystem.volume.now_ns() - not_for_ns,
        rate_bytes=_UNHURRIED,
        with_growing=True,
        mends=mends,
        report=report,
    )


def _result(findings: Findings) -> ScrubResult:
    rows = [_row(piece) for piece in findings.pieces]
    return ScrubResult(copies=findings.copies, bytes=findings.bytes, damaged=rows)


def _row(piece: Piece) -> PieceRow:
    return PieceRow(zone=piece.zone, name=piece.name, repaired=piece.repaired)


async def _describe(zone: Zone) -> ZoneDescription:
    held = shares = 0
    if zone.takes_new:
        try:
            lengths = await run_in_thread(partial(lengths_in, [zone], ""))
            held = sum(lengths[zone].values())
            shares = sum(n for name, n in lengths[zone].items() if share_of(name) is not None)
        except StorageError:
            held = shares = 0
    free_bytes, total_bytes = zone.space
    return ZoneDescription(
        url=zone.url,
        zone_id=zone.zone_id,
        kind=zone.kind,
        state=zone.state.value,
        reason=zone.reason,
        missing_bytes=zone.missing_bytes,
        free_bytes=free_bytes,
        total_bytes=total_bytes,
        bytes=held,
        share_bytes=shares,
    )
