"""Where a file lives: how many of its packs each zone has, and when they were last verified."""

from contextlib import suppress

from msgspec import Struct

from s3fs_local.engine.volume import Volume
from s3fs_local.errors import DataDamaged, StorageError
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.reading import answers
from s3fs_local.objects.zone import Zone
from s3fs_local.packs.pack_store import pack_name
from s3fs_local.packs.shares import HEADER_BYTES, claimed_coding, prefix_of
from s3fs_local.rules.extents import blocks_of, decode_layout
from s3fs_local.rules.instants import format_rfc3339

ANSWER_SECONDS_MAX = 0.5
"""A zone that takes longer does not answer: nobody waits long for an attribute."""


def replicas_of(volume: Volume, ino: int, at_ns: int) -> str:
    """One line a zone, as `s3.replicas` shows them: `URL STATE, 3 of 3 packs, verified TIME`.

    Of packs that lie as shares a zone has a part; then `3 of 3 packs (2 in shares of 2+1)`. The
    time is that of the copy that was verified longest ago. Files without bytes have no lines.
    """
    packs = packs_of(volume, ino, at_ns)
    if not packs:
        return ""
    zones = volume.zones.zones
    asked = [zone for zone in zones if zone.takes_new]
    found = answers(asked, lambda store: _held(store, packs), ANSWER_SECONDS_MAX)
    return "\n".join(_line(volume, zone, packs, found.get(zone)) for zone in zones)


def packs_of(volume: Volume, ino: int, at_ns: int) -> list[int]:
    """The packs with bytes of the file as it was then."""
    blocks = {
        block_id
        for _, _, layout in volume.metadata.cells(ino, 0, at_ns)
        for block_id in blocks_of(decode_layout(layout))
    }
    return sorted({volume.blocks.block(block_id).pack_id for block_id in blocks})


class _Held(Struct):
    """What a zone has of the packs that were asked for."""

    packs: list[int] = []
    codings: list[str] = []  # of those that it has a share of


def _held(store: ObjectStore, packs: list[int]) -> _Held:
    held = _Held([], [])
    for pack_id in packs:
        with suppress(KeyError):
            store.length(pack_name(pack_id))
            held.packs.append(pack_id)
            continue
        coding = _coding_of_share(store, pack_id)
        if coding:
            held.packs.append(pack_id)
            held.codings.append(coding)
    return held


def _coding_of_share(store: ObjectStore, pack_id: int) -> str:
    """`2+1` where the zone has such a share of the pack; "" where it has none that makes sense."""
    for name in store.list(prefix_of(pack_id)):
        with suppress(KeyError, DataDamaged):
            return str(claimed_coding(store.read(name, 0, HEADER_BYTES)))
    return ""


def _line(volume: Volume, zone: Zone, packs: list[int], answer: _Held | Exception | None) -> str:
    where = f"{zone.url or zone.zone_id} {zone.state.value}"
    if not isinstance(answer, _Held):
        reason = str(answer) if isinstance(answer, StorageError) else "does not answer"
        return f"{where}, {zone.reason or reason}"
    times = [volume.verified.at_ns(zone.zone_id, pack_id) for pack_id in answer.packs]
    known = [each for each in times if each is not None]
    if not known or len(known) < len(times):
        verified = "not verified yet"
    else:
        verified = f"verified {format_rfc3339(min(known))}"
    number = len(answer.codings)
    codings = ", ".join(sorted(set(answer.codings)))
    shares = f" ({number} in shares of {codings})" if number else ""
    return f"{where}, {len(answer.packs)} of {len(packs)} packs{shares}, {verified}"
