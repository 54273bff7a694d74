"""Stored bytes that somebody changed: what is read is what was written, or an error.

A store is made once a piece, with files of many versions, in one layer and in two. For each place
its zone is copied, damaged there (a bit flipped, pieces exchanged, whole sealed blocks exchanged,
an object cut short, an earlier state put back), opened, and everything in it is read.

One thing is not an error: the last records of the journal look as if a power cut had torn them,
and then the store is an earlier state of itself, all of it true at the time. It is counted.
"""

import copy
import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from msgspec import structs

from s3fs_local.errors import DataDamaged, S3fsLocalError
from s3fs_local.metadata.memory import MemoryMetadata
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.encryption import Algorithm, Encryption
from s3fs_local.rules.versioning import Version
from tests.campaigns.line import Failed, Figures, Piece
from tests.engine.memory_store import MemoryStore

PIECE_BYTES_MAX: Final = 4096
READ_BYTES: Final = 1 << 22
Contents = dict[str, bytearray]


class Specimen:
    """An undamaged store, its former states, and what every version of every file held."""

    def __init__(self, chance: random.Random) -> None:
        self.zone = MemoryObjects()
        self.before: list[Contents] = []
        self.wrote: dict[str, list[bytes]] = {}
        store = MemoryStore(zone=self.zone)
        self.empty = copy.deepcopy(store.metadata)
        for step in range(24):
            if step == 12:
                self._use_two_layers(store)
            self._write(store, chance, step)
            if step % 6 == 5:
                store.flush(durable=True)
                self.before.append(copy.deepcopy(contents_of(self.zone)))
        store.flush(durable=True)
        store.settle()
        self.settled = copy.deepcopy(store.metadata)
        self.blocks = [
            block
            for pack_id, _, _ in store.metadata.packs()
            for block in store.metadata.blocks_in_pack(pack_id)
        ]
        self.store = store
        self.expected = {
            (version.ino, version.stamp_ns): content_of(store, version)
            for path in self.wrote
            for version in store.metadata.versions(store.stat(path).ino)
        }

    @staticmethod
    def _use_two_layers(store: MemoryStore) -> None:
        ring = store.fs.volume.keys.ring
        ring.add_version("tenant")
        wanted = Encryption(algorithm=Algorithm.DSSE, key="tenant")
        volume = store.fs.volume
        volume.settings = structs.replace(volume.settings, encryption=wanted)

    def _write(self, store: MemoryStore, chance: random.Random, step: int) -> None:
        path = f"/f{step % 5}"
        size = chance.choice((1, 40, 4096, 40_000, 40_000, 100_000))
        content = chance.randbytes(size)
        store.write(path, content)
        self.wrote.setdefault(path, []).append(content)
        if step % 4 == 3:
            offset, patch = chance.randrange(size), chance.randbytes(20)
            store.patch(path, offset, patch)
            changed = content[:offset] + patch + content[offset + 20 :]
            self.wrote[path].append(changed)


def contents_of(zone: MemoryObjects) -> Contents:
    """The objects of the zone, by name; changing them changes the zone."""
    found: Contents = zone._contents  # noqa: SLF001 - whoever damages a disk opens no door
    return found


def flip(contents: Contents, name: str, chance: random.Random, _: Specimen) -> str:
    """One bit is another."""
    place = chance.randrange(len(contents[name]))
    contents[name][place] ^= 1 << chance.randrange(8)
    return f"byte {place} of {name} flipped"


def exchange(contents: Contents, name: str, chance: random.Random, _: Specimen) -> str:
    """Two pieces of one length, of any two objects, have changed places."""
    other = chance.choice(sorted(contents))
    size = min(chance.randint(1, PIECE_BYTES_MAX), len(contents[name]), len(contents[other]))
    first = chance.randrange(len(contents[name]) - size + 1)
    second = chance.randrange(len(contents[other]) - size + 1)
    one, two = contents[name][first : first + size], contents[other][second : second + size]
    contents[name][first : first + size] = two
    contents[other][second : second + size] = one
    return f"{size} bytes at {first} of {name} and at {second} of {other} exchanged"


def cut(contents: Contents, name: str, chance: random.Random, _: Specimen) -> str:
    """The object ends earlier."""
    end = chance.randrange(len(contents[name]))
    del contents[name][end:]
    return f"{name} cut at {end}"


def put_back(contents: Contents, name: str, chance: random.Random, specimen: Specimen) -> str:
    """The object, or its beginning, is what it was at an earlier time."""
    earlier = chance.choice(specimen.before)
    if name not in earlier:
        return cut(contents, name, chance, specimen)
    contents[name] = bytearray(earlier[name])
    return f"{name} put back to {len(earlier[name])} bytes"


def exchange_blocks(
    contents: Contents, name: str, chance: random.Random, specimen: Specimen
) -> str:
    """Two sealed blocks of one length have changed places: each is well-formed."""
    one = chance.choice(specimen.blocks)
    alike = [
        block
        for block in specimen.blocks
        if block.sealed_length == one.sealed_length and block.block_id != one.block_id
    ]
    if not alike:
        return flip(contents, name, chance, specimen)
    two = chance.choice(alike)
    size = one.sealed_length
    places = [
        (next(key for key in contents if key.endswith(f"{block.pack_id:016x}.pack")), block)
        for block in (one, two)
    ]
    pieces = [
        bytes(contents[key][block.pack_offset : block.pack_offset + size]) for key, block in places
    ]
    for (key, block), piece in zip(places, reversed(pieces), strict=True):
        contents[key][block.pack_offset : block.pack_offset + size] = piece
    return f"blocks {one.block_id} and {two.block_id} exchanged"


DAMAGES: Final[tuple[Callable[[Contents, str, random.Random, Specimen], str], ...]] = (
    *(flip, flip, flip, flip),
    *(exchange, exchange_blocks, cut, put_back),
)


def attempt(specimen: Specimen, chance: random.Random) -> str:
    """What came of one damage.

    Raises:
        Failed: something was read that was never written, or another error than ours met.
    """
    zone = MemoryObjects()
    contents_of(zone).update(copy.deepcopy(contents_of(specimen.zone)))
    contents = contents_of(zone)
    names = [name for name in sorted(contents) if contents[name]]
    damage = chance.choice(DAMAGES)
    words = damage(contents, chance.choice(names), chance, specimen)
    # The facts are settled, or must come from the journal.
    metadata = copy.deepcopy(specimen.settled if chance.random() < 0.7 else specimen.empty)
    try:
        return read_everything(specimen, zone, metadata)
    except S3fsLocalError:
        return "errors at opening"
    except Failed as failure:
        raise Failed(f"{words}: {failure}") from failure
    except Exception as error:
        raise Failed(f"{words}: {type(error).__name__}: {error}") from error


def read_everything(specimen: Specimen, zone: MemoryObjects, metadata: MemoryMetadata) -> str:
    """Opens the store on the damaged zone and compares every version of every file."""
    store = copy.copy(specimen.store)
    store.zone, store.metadata = zone, metadata
    store.opened = store._open()  # noqa: SLF001 - a mount after the damage
    outcome = "no difference"
    for path, wrote in specimen.wrote.items():
        if not store.exists(path):
            outcome = "an earlier state"
            continue
        ino = store.stat(path).ino
        for version in store.metadata.versions(ino):
            try:
                found = content_of(store, version)
            except DataDamaged:
                return "errors at reading"
            if found != specimen.expected[ino, version.stamp_ns]:
                raise Failed(f"a version of {path} reads as something else than was written")
        if store.read(path) != wrote[-1]:
            outcome = "an earlier state"
    return outcome


def content_of(store: MemoryStore, version: Version) -> bytes:
    """What the version holds."""
    if not version.size:
        return b""
    layouts = store.fs.reading.layouts(version.ino, version.stamp_ns)
    return store.fs.reading.read_blocking(layouts, 0, version.size)


def run(piece: Piece) -> Figures:
    """So many places of one store, each in a copy of its own."""
    chance = random.Random(piece.seed)
    specimen = Specimen(chance)
    outcomes = Counter(attempt(specimen, chance) for _ in range(piece.size))
    return {name: outcomes[name] for name in sorted(outcomes)}
