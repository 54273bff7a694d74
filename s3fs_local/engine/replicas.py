"""Where a file lives: how many of its packs each zone has, and when they were last verified."""

from s3fs_local.engine.volume import Volume
from s3fs_local.errors import StorageError
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.reading import answers
from s3fs_local.objects.zone import Zone
from s3fs_local.packs.pack_store import pack_name
from s3fs_local.rules.extents import blocks_of, decode_layout
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.instants import format_rfc3339

ANSWER_SECONDS_MAX = 0.5
"""A zone that takes longer does not answer: nobody waits long for an attribute."""


def replicas_of(volume: Volume, inode: Inode, at_ns: int) -> str:
    """One line a zone, as `s3.replicas` shows them: `URL STATE, 3 of 3 packs, verified TIME`.

    The time is that of the copy that was verified longest ago. Files without bytes have no lines.
    """
    packs = packs_of(volume, inode.ino, at_ns)
    if not packs:
        return ""
    zones = volume.zones.zones
    asked = [zone for zone in zones if zone.takes_new]
    names = [pack_name(pack_id) for pack_id in packs]
    found = answers(asked, lambda store: _held(store, names), ANSWER_SECONDS_MAX)
    return "\n".join(_line(volume, zone, packs, found.get(zone)) for zone in zones)


def packs_of(volume: Volume, ino: int, at_ns: int) -> list[int]:
    """The packs with bytes of the file as it was then."""
    blocks = {
        block_id
        for _, _, layout in volume.metadata.cells(ino, 0, at_ns)
        for block_id in blocks_of(decode_layout(layout))
    }
    return sorted({volume.blocks.block(block_id).pack_id for block_id in blocks})


def _held(store: ObjectStore, names: list[str]) -> set[str]:
    held = set()
    for name in names:
        try:
            store.length(name)
        except KeyError:
            continue
        held.add(name)
    return held


def _line(volume: Volume, zone: Zone, packs: list[int], answer: set[str] | Exception | None) -> str:
    where = f"{zone.url or zone.zone_id} {zone.state.value}"
    if not isinstance(answer, set):
        reason = str(answer) if isinstance(answer, StorageError) else "does not answer"
        return f"{where}, {zone.reason or reason}"
    held = [pack_id for pack_id in packs if pack_name(pack_id) in answer]
    times = [volume.verified.at_ns(zone.zone_id, pack_id) for pack_id in held]
    known = [each for each in times if each is not None]
    if not held or len(known) < len(held):
        verified = "not verified yet"
    else:
        verified = f"verified {format_rfc3339(min(known))}"
    return f"{where}, {len(held)} of {len(packs)} packs, {verified}"
