"""Commands verify and ledger export: proof that nothing was altered."""

from typing import Final

import msgspec
import trio
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.control.context import Context
from s3fs_local.control.requests import ExportLedger, Verify
from s3fs_local.control.results.store import Done
from s3fs_local.control.results.verification import DiscrepancyRow, LedgerHeadRow, Verification
from s3fs_local.control.results.versions import printed_key
from s3fs_local.engine import verification
from s3fs_local.engine.discrepancies import Discrepancy
from s3fs_local.engine.ledger_events import events
from s3fs_local.engine.ledger_reading import SignedHead
from s3fs_local.engine.volume import Volume
from s3fs_local.packs.ledger import LedgerHead
from s3fs_local.rules.instants import format_rfc3339, parse_instant

CHUNK_BYTES: Final = 1 << 18


class HeadLine(Struct, frozen=True, rename="pascal"):
    """The last line of an export."""

    head: LedgerHeadRow


async def verify(request: Verify, context: Context) -> Verification:
    """The whole store was compared with its ledger."""
    context.check_may_administer()
    volume = context.filesystem.volume
    signed = parse_head(request.head) if request.head else None

    async def progress(what: str, done: int, total: int) -> None:
        await context.outlet.progress(what, done=done, total=total)

    run = verification.Verification(volume, progress, reads_all=request.reads_all)
    verified = await run.run(signed)
    return Verification(
        intact=not verified.count,
        records=verified.records,
        facts=verified.facts,
        versions=verified.versions,
        bytes=verified.bytes,
        zones_left_out=verified.left_out,
        discrepancy_count=verified.count,
        discrepancies=[_row(discrepancy) for discrepancy in verified.found],
        head=_head_row(volume, verified.head),
    )


async def export_ledger(request: ExportLedger, context: Context) -> Done:
    """Everything that happened, one line a record, and the signed head."""
    context.check_may_administer()
    volume = context.filesystem.volume
    head = await volume.durability.settled(lambda: volume.durability.ledger.head)
    pending = bytearray()
    if not request.only_head:
        with volume.make_scratch() as told:
            for row in events(volume.durability.ledger.ledger, told, until=head.number):
                await trio.lowlevel.checkpoint()
                pending += msgspec.json.encode(row) + b"\n"
                if len(pending) >= CHUNK_BYTES:
                    await context.outlet.data(bytes(pending))
                    pending.clear()
    pending += msgspec.json.encode(HeadLine(_head_row(volume, head))) + b"\n"
    await context.outlet.data(bytes(pending))
    return Done()


def parse_head(line: bytes) -> SignedHead:
    """The head in the last line of an export.

    Raises:
        InvalidArgument: there is none.
    """
    try:
        row = msgspec.json.decode(line, type=HeadLine).head
        return SignedHead(
            store_id=bytes.fromhex(row.store_id),
            head=LedgerHead(row.record, bytes.fromhex(row.digest)),
            at_ns=parse_instant(row.time, now_ns=0),
            signature=bytes.fromhex(row.signature),
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, errors.InvalidTime) as error:
        raise errors.InvalidArgument(
            "the last line of the head file is not what `ledger export` printed"
        ) from error


def _head_row(volume: Volume, head: LedgerHead) -> LedgerHeadRow:
    ledger = volume.durability.ledger.ledger
    return LedgerHeadRow(
        store_id=ledger.store_id.hex(),
        record=head.number,
        time=format_rfc3339(volume.now_ns()),
        digest=head.digest.hex(),
        signature=ledger.sign(head).hex(),
        public_key=ledger.public_key.hex(),
    )


def _row(found: Discrepancy) -> DiscrepancyRow:
    return DiscrepancyRow(
        kind=found.kind.value,
        sentence=found.sentence,
        key=None if found.path is None else printed_key(found.path),
        version_id=found.version or None,
        time=format_rfc3339(found.at_ns) if found.at_ns else None,
        zone=found.zone or None,
    )
