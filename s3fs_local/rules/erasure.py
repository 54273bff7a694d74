"""Erasure coding: k + m shares of a pack, any k of which give it back.

The pack is cut into k equal runs, which are the first k shares; the others are computed from them,
byte by byte at the same offset. So a range of the pack is a range of one share or of neighbours,
and can be computed from the same range of any k others.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.placement import Home, Homes, choose

SHARES_MAX: Final = 16
_CODING: Final = re.compile(r"(?P<data>[0-9]{1,2})\+(?P<parity>[0-9]{1,2})")


class Coding(Struct, frozen=True):
    """How many shares a pack is kept in; any `data` of them suffice, so `parity` may be lost."""

    data: Annotated[int, Meta(ge=2, lt=SHARES_MAX)]
    parity: Annotated[int, Meta(ge=1, lt=SHARES_MAX)]

    @property
    def shares(self) -> int:
        """In how many zones."""
        return self.data + self.parity

    @property
    def copies_before(self) -> int:
        """Copies of a pack that grows: they survive the loss of as many zones."""
        return self.parity + 1

    def __str__(self) -> str:
        """As people write it: `2+1`."""
        return f"{self.data}+{self.parity}"


class Span(Struct, frozen=True):
    """Bytes of one share."""

    share: int
    offset: int
    length: int


def parse_coding(text: str) -> Coding:
    """Of `2+1`.

    Raises:
        InvalidArgument: malformed, or numbers that make no sense.
    """
    match = _CODING.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"{text[:20]!r} is no number of shares; write 2+1")
    data, parity = int(match["data"]), int(match["parity"])
    if data < 2:
        raise InvalidArgument(f"{text}: shares of 1 are copies; write copies={parity + 1}")
    if parity < 1:
        raise InvalidArgument(f"{text}: no share could be lost; write at least {data}+1")
    if data + parity > SHARES_MAX:
        raise InvalidArgument(f"{text}: {data + parity} shares are too many: at most {SHARES_MAX}")
    return Coding(data, parity)


def run_bytes(length: int, coding: Coding) -> int:
    """How long each share of a pack is; the last run is filled up with zeros."""
    return -(-length // coding.data)


def spans(offset: int, length: int, *, run: int) -> Iterator[Span]:
    """Where bytes [offset, offset + length) of a pack lie, in order; `run` is a share's length."""
    end = offset + length
    while offset < end:
        share, within = divmod(offset, run)
        taken = min(run - within, end - offset)
        yield Span(share, within, taken)
        offset += taken


def assign(
    zones: Sequence[Home],
    holders: Mapping[int, set[int]],
    coding: Coding,
    homes: Homes,
    *,
    spread: int,
) -> dict[int, int]:
    """Which zone should get which share that no zone which is well holds.

    No zone gets a second share of the pack; what finds no zone waits.

    Args:
        zones: all of them.
        holders: the zones that hold each share.
        coding: of the pack.
        homes: which kinds of zones it wants.
        spread: the number of the pack, so that no zone has all the computed shares.
    """
    order = choose(zones, Homes(len(zones), homes.kinds), spread=spread)
    taken = {zone for held in holders.values() for zone in held}
    free = [zone for zone in order if zones[zone].is_well and zone not in taken]
    lacking = [
        share
        for share in range(coding.shares)
        if not any(zones[zone].is_well for zone in holders.get(share, ()))
    ]
    return dict(zip(lacking, free, strict=False))
