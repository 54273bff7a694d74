"""Shares of a pack: their names and bytes, how they are made, and how they give bytes back.

Pure: nothing here reads or writes a zone. All of it may run in a worker thread; the library works
without the interpreter's lock.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, islice
from struct import Struct as Layout
from typing import Final

import zfec  # type: ignore[import-untyped]  # it has no types
from blake3 import blake3
from msgspec import Struct

from s3fs_local.errors import DataDamaged, FormatTooNew, InvalidArgument
from s3fs_local.rules.erasure import Coding, run_bytes

FOLDER: Final = "shares/"
FORMAT: Final = 1
_MAGIC: Final = b"S3FSSHAR"
# magic, format, data shares, computed ones, number, zero, store, pack, pack's length, its digest,
# digest of what follows the header; then the digest of all this
_HEADER: Final = Layout(">8sIBBBx16sQQ32s32s")
_DIGEST_BYTES: Final = 32
HEADER_BYTES: Final = _HEADER.size + _DIGEST_BYTES
STEP_BYTES: Final = 1 << 20
"""So much of each share is computed at a time: other threads get their turns."""

CHOICES_MAX: Final = 100
"""So many choices of shares are tried with each further one: then too many are false."""


class Kind(Struct, frozen=True):
    """What shares must agree in to belong together."""

    coding: Coding
    length: int  # of the pack
    digest: bytes  # of the pack

    @property
    def run(self) -> int:
        """Bytes of each share, its header aside."""
        return run_bytes(self.length, self.coding)

    @property
    def share_bytes(self) -> int:
        """How long each share is, as it lies in a zone."""
        return HEADER_BYTES + self.run


class Header(Struct, frozen=True):
    """What a share says of itself."""

    kind: Kind
    number: int
    digest: bytes  # of its run


@lru_cache(maxsize=4096)
def share_name(pack_id: int, number: int) -> str:
    """The object that holds the share; folders as those of packs."""
    return f"{prefix_of(pack_id)}{number:02d}.share"


def prefix_of(pack_id: int) -> str:
    """How the names of all shares of the pack begin."""
    text = f"{pack_id:016x}"
    return f"{FOLDER}{text[-2:]}/{text}."


def share_of(name: str) -> tuple[int, int] | None:
    """The pack and number of the share that the object holds; None for any other object."""
    parts = name.rpartition("/")[2].split(".")
    try:
        pack_id, number = int(parts[0], 16), int(parts[1])
    except (ValueError, IndexError):
        return None
    return (pack_id, number) if share_name(pack_id, number) == name else None


def kind_of(image: bytes, coding: Coding) -> Kind:
    """Of shares of this pack."""
    return Kind(coding, len(image), blake3(image).digest())


def runs_of(image: bytes, kind: Kind) -> list[bytes]:
    """The runs of the first shares; the last is filled up with zeros."""
    padded = image.ljust(kind.run * kind.coding.data, b"\0")
    return [padded[start : start + kind.run] for start in range(0, len(padded), kind.run)]


def encode_shares(image: bytes, kind: Kind, *, store_id: bytes, pack_id: int) -> list[bytes]:
    """Every share of the pack, as it lies in a zone."""
    data = runs_of(image, kind)
    wanted = range(kind.coding.data, kind.coding.shares)
    runs = [*data, *_compute(data, kind.coding, wanted)]
    return [
        encode_share(run, kind, number, store_id=store_id, pack_id=pack_id)
        for number, run in enumerate(runs)
    ]


def encode_share(run: bytes, kind: Kind, number: int, *, store_id: bytes, pack_id: int) -> bytes:
    """One share, of its run."""
    coding = kind.coding
    head = _HEADER.pack(
        _MAGIC,
        FORMAT,
        coding.data,
        coding.parity,
        number,
        store_id,
        pack_id,
        kind.length,
        kind.digest,
        blake3(run).digest(),
    )
    return head + blake3(head).digest() + run


def _compute(data: Sequence[bytes], coding: Coding, wanted: range) -> list[bytes]:
    encoder = zfec.Encoder(coding.data, coding.shares)
    numbers = tuple(wanted)
    parts: list[list[bytes]] = [[] for _ in numbers]
    for start in range(0, len(data[0]), STEP_BYTES):
        step = tuple(run[start : start + STEP_BYTES] for run in data)
        for part, made in zip(parts, encoder.encode(step, numbers), strict=True):
            part.append(made)
    return [b"".join(part) for part in parts]


def read_header(share: bytes, *, store_id: bytes, pack_id: int, number: int) -> Header:
    """What the beginning of the share says.

    Raises:
        DataDamaged: it is damaged, or is another share than its name says.
        FormatTooNew: a newer release wrote it.
    """
    head, digest = share[: _HEADER.size], share[_HEADER.size : HEADER_BYTES]
    if len(digest) < _DIGEST_BYTES or blake3(head).digest() != digest:
        raise DataDamaged(f"share {number} of pack {pack_id:016x} has a damaged header")
    magic, version, data, parity, found, store, pack, length, of_pack, of_run = _HEADER.unpack(head)
    if magic == _MAGIC and version > FORMAT:
        raise FormatTooNew(f"a share has format {version}, this release knows {FORMAT}")
    if (magic, version, found, store, pack) != (_MAGIC, FORMAT, number, store_id, pack_id):
        raise DataDamaged(f"share {number} of pack {pack_id:016x} is another object")
    return Header(Kind(Coding(data, parity), length, of_pack), number, of_run)


def claimed_coding(share: bytes) -> Coding:
    """How many shares the beginning of the share says that there are.

    Raises:
        DataDamaged: it says nothing that makes sense.
    """
    if len(share) < HEADER_BYTES or share[:8] != _MAGIC:
        raise DataDamaged("that is no share")
    return Coding(*_HEADER.unpack(share[: _HEADER.size])[2:4])


def checked_run(share: bytes, *, store_id: bytes, pack_id: int, number: int) -> tuple[Kind, bytes]:
    """The kind and run of a whole share.

    Raises:
        DataDamaged: it is not as it was made.
        FormatTooNew: a newer release wrote it.
    """
    header = read_header(share, store_id=store_id, pack_id=pack_id, number=number)
    run = share[HEADER_BYTES:]
    if len(run) != header.kind.run or blake3(run).digest() != header.digest:
        raise DataDamaged(f"share {number} of pack {pack_id:016x} is damaged")
    return header.kind, run


def data_runs(runs: Mapping[int, bytes], coding: Coding) -> list[bytes]:
    """The same range of each of the first shares, from that range of any `coding.data` shares.

    Args:
        runs: by number of the share, all of one length.
        coding: of the pack.

    Raises:
        InvalidArgument: there are too few of them.
    """
    numbers = sorted(runs)[: coding.data]
    if len(numbers) < coding.data:
        raise InvalidArgument(f"{len(numbers)} of {coding.data} shares give nothing back")
    if numbers == list(range(coding.data)):
        return [runs[number] for number in numbers]
    return [b"".join(parts) for parts in zip(*_decoded(runs, numbers, coding), strict=True)]


def _decoded(
    runs: Mapping[int, bytes], numbers: list[int], coding: Coding
) -> Iterator[tuple[bytes, ...]]:
    decoder = zfec.Decoder(coding.data, coding.shares)
    for start in range(0, len(runs[numbers[0]]), STEP_BYTES):
        step = tuple(runs[number][start : start + STEP_BYTES] for number in numbers)
        yield tuple(decoder.decode(step, tuple(numbers)))


def run_from(data: Sequence[bytes], kind: Kind, number: int) -> bytes:
    """One share's run, from those of the first ones."""
    if number < kind.coding.data:
        return data[number]
    return _compute(data, kind.coding, range(number, number + 1))[0]


def is_pack_of(data: Sequence[bytes], kind: Kind) -> bool:
    """Whether these first runs are the pack that was coded."""
    hasher = blake3()
    left = kind.length
    for run in data:
        hasher.update(run[:left] if left < len(run) else run)
        left -= min(left, len(run))
    return hasher.digest() == kind.digest


def agreeing_with(number: int, runs: Mapping[int, bytes], kind: Kind) -> list[bytes] | None:
    """The first runs, from this share and such others as give the pack with it; None: none do.

    A share that somebody altered so that it says of itself that it is right is left out by this.
    """
    others = [each for each in runs if each != number]
    for chosen in islice(combinations(others, kind.coding.data - 1), CHOICES_MAX):
        data = data_runs({each: runs[each] for each in (*chosen, number)}, kind.coding)
        if is_pack_of(data, kind):
            return data
    return None
