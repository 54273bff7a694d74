"""Packs that lie as shares: finding the shares in the zones, and reading bytes from any k of them.

Who holds what is asked of the zones once a pack, and remembered until something does not fit.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from threading import Lock
from typing import Final

from msgspec import Struct, structs

from s3fs_local.errors import DataDamaged, StorageError, ZoneUnavailable
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.reading import HEDGE_SECONDS, Verify, first_enough, gather
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.shares import (
    HEADER_BYTES,
    Kind,
    agreeing_with,
    checked_run,
    data_runs,
    prefix_of,
    read_header,
    share_name,
    share_of,
)
from s3fs_local.rules.erasure import Span, spans

WHOLE_SECONDS_MAX: Final = 120.0
"""A whole share from a slow zone may take this long."""


class CodedPack(Struct, frozen=True):
    """A pack as shares, and the zones that hold each of them."""

    kind: Kind
    holders: Mapping[int, tuple[Zone, ...]]

    @property
    def is_complete(self) -> bool:
        """Whether a zone that is well holds each share."""
        return not self.lacking

    @property
    def lacking(self) -> list[int]:
        """The shares that no zone which is well holds."""
        return [
            number
            for number in range(self.kind.coding.shares)
            if not any(zone.is_well for zone in self.holders.get(number, ()))
        ]


class CodedPacks:
    """The packs of one store that lie as shares. Any thread may call."""

    def __init__(self, zones: ZoneSet, *, store_id: bytes) -> None:
        self._zones = zones
        self.store_id: Final = store_id
        self._known: dict[int, CodedPack] = {}
        self._doubted: set[int] = set()  # of the known ones: where their shares are
        self._mutex = Lock()  # around both

    def known(self, pack_id: int) -> CodedPack | None:
        """The pack, if it was found before; asks nobody."""
        return self._known.get(pack_id)

    def forget(self, pack_id: int) -> None:
        """Who asks for the pack looks at the zones again."""
        with self._mutex:
            self._known.pop(pack_id, None)
            self._doubted.discard(pack_id)

    def note(self, pack_id: int, coded: CodedPack) -> None:
        """The pack lies like this, and not as copies."""
        with self._mutex:
            self._known[pack_id] = coded
            self._doubted.discard(pack_id)

    def doubt_all(self) -> None:
        """Whoever reads a pack asks anew where its shares are: a zone came back."""
        with self._mutex:
            self._doubted = set(self._known)

    def find(self, pack_id: int, *, seconds: float | None = None) -> CodedPack | None:
        """The pack with all shares of it in zones that answer; None where none has any.

        Of several kinds of shares that of which most are there counts. Blocks.
        """
        found: dict[Kind, dict[int, tuple[Zone, ...]]] = {}
        asked = {zone: partial(self._headers, zone, pack_id) for zone in self._zones.readable}
        patience = self._zones.timeout_seconds if seconds is None else seconds
        for zone, kinds in gather(asked, patience).items():
            if isinstance(kinds, Exception):
                continue
            for number, kind in kinds.items():
                holders = found.setdefault(kind, {})
                holders[number] = (*holders.get(number, ()), zone)
        if not found:
            return None
        kind, held = max(found.items(), key=lambda each: (len(each[1]), each[0].length))
        return CodedPack(kind, held)

    def _locate(self, pack_id: int) -> CodedPack | None:
        """The pack with enough shares of it to be read, without waiting long for a slow zone."""
        coded = self._known.get(pack_id)
        if coded is not None and pack_id not in self._doubted and self._is_near(coded):
            return coded
        coded = self.find(pack_id, seconds=min(HEDGE_SECONDS, self._zones.timeout_seconds))
        if coded is None or not self._is_near(coded):
            coded = self.find(pack_id)
        if coded is None:
            self.forget(pack_id)
        else:
            self.note(pack_id, coded)
        return coded

    def _headers(self, zone: Zone, pack_id: int) -> dict[int, Kind]:
        store = _store_of(zone)
        kinds = {}
        for name in store.list(prefix_of(pack_id)):
            named = share_of(name)
            if named is None:
                continue
            number = named[1]
            with suppress(KeyError, DataDamaged):
                header = read_header(
                    store.read(name, 0, HEADER_BYTES),
                    store_id=self.store_id,
                    pack_id=pack_id,
                    number=number,
                )
                kinds[number] = header.kind
        return kinds

    def ids(self) -> set[int]:
        """The packs of which a zone that is well holds a share. Blocks."""
        named = map(share_of, self._zones.list("shares/"))
        return {share[0] for share in named if share is not None}

    def read_nowait(self, pack_id: int, offset: int, length: int) -> bytes | None:
        """The bytes, where the pack is known and nobody would have to be waited for."""
        coded = self.known(pack_id)
        if coded is None or offset + length > coded.kind.length:
            return None
        parts = []
        for span in spans(offset, length, run=coded.kind.run):
            name = share_name(pack_id, span.share)
            part = self._part_nowait(
                coded.holders.get(span.share, ()), name, HEADER_BYTES + span.offset, span.length
            )
            if part is None:
                return None
            parts.append(part)
        return b"".join(parts)

    def _part_nowait(
        self, zones: Iterable[Zone], name: str, offset: int, length: int
    ) -> bytes | None:
        for zone in zones:
            if zone.is_well and zone.store is not None:
                with suppress(KeyError, StorageError):
                    part = zone.store.read_nowait(name, offset, length)
                    return part if part is None or len(part) == length else None
        return None

    def read(
        self, pack_id: int, offset: int, length: int, verify: Verify | None = None
    ) -> bytes | None:
        """The bytes, from shares; None where no zone that answers has any share of the pack.

        First from the shares that hold them. For those that are away the same ranges of others are
        asked; and if that does not pass, whole shares, without those that are damaged.

        Raises:
            DataDamaged: there are too few whole shares.
            ZoneUnavailable: the same, and zones that do not answer may have more.
        """
        coded = self._locate(pack_id)
        if coded is None or offset + length > coded.kind.length:
            return None
        wanted = list(spans(offset, length, run=coded.kind.run))
        patience = self._zones.timeout_seconds
        for attempt in (
            partial(self._from_ranges, seconds=min(HEDGE_SECONDS, patience)),
            partial(self._from_ranges, seconds=patience),
            self._from_whole,
        ):
            data = attempt(pack_id, coded, wanted)
            if data is not None and (verify is None or verify(data)):
                return data
        self.forget(pack_id)
        raise self._too_few(coded)

    def _is_near(self, coded: CodedPack) -> bool:
        """Whether enough of its holders may be read, as far as is known."""
        readable = set(self._zones.readable)
        there = [n for n, zones in coded.holders.items() if not readable.isdisjoint(zones)]
        return len(there) >= coded.kind.coding.data

    def _from_ranges(
        self, pack_id: int, coded: CodedPack, wanted: list[Span], *, seconds: float
    ) -> bytes | None:
        """From the shares that hold the bytes; what they do not give in time, from others."""
        coding = coded.kind.coding
        ranges = {span.share: span for span in wanted}
        found = self._ranges(pack_id, coded, ranges, needed=len(ranges), seconds=seconds)
        late = ranges.keys() - found.keys()
        parts = []
        for span in wanted:
            part = found.get(span.share)
            if part is None:
                others = {
                    number: structs.replace(span, share=number)
                    for number in range(coding.shares)
                    if number not in late
                }
                rest = self._ranges(
                    pack_id, coded, others, needed=coding.data, seconds=self._zones.timeout_seconds
                )
                if len(rest) < coding.data:
                    return None
                part = data_runs(rest, coding)[span.share]
            parts.append(part)
        return b"".join(parts)

    def _from_whole(self, pack_id: int, coded: CodedPack, wanted: list[Span]) -> bytes | None:
        data = self.first_runs(pack_id, coded)
        if data is None:
            return None
        return b"".join(
            data[span.share][span.offset : span.offset + span.length] for span in wanted
        )

    def first_runs(
        self, pack_id: int, coded: CodedPack, *, without: Zone | None = None
    ) -> list[bytes] | None:
        """The runs that are the pack, from whole shares; None where too few are. Blocks."""
        runs: dict[int, bytes] = {}
        for number, zones in sorted(coded.holders.items()):
            for zone in zones:
                if zone is without or zone not in self._zones.readable:
                    continue
                run = self.run_in(zone, pack_id, coded.kind, number)
                if run is not None:
                    runs[number] = run
                    break
            data = agreeing_with(number, runs, coded.kind) if number in runs else None
            if data is not None:
                return data
        return None

    def run_in(self, zone: Zone, pack_id: int, kind: Kind, number: int) -> bytes | None:
        """The share's run as the zone has it; None where it has none that is whole and fits."""
        reading = partial(self._whole, zone, pack_id, number)
        answer = gather({zone: reading}, WHOLE_SECONDS_MAX, as_errand=True).get(zone)
        return answer[1] if isinstance(answer, tuple) and answer[0] == kind else None

    def _whole(self, zone: Zone, pack_id: int, number: int) -> tuple[Kind, bytes]:
        store, name = _store_of(zone), share_name(pack_id, number)
        share = store.read(name, 0, store.length(name))
        return checked_run(share, store_id=self.store_id, pack_id=pack_id, number=number)

    def image(self, pack_id: int, coded: CodedPack) -> bytes | None:
        """The whole pack; None where too few shares are whole. Blocks."""
        data = self.first_runs(pack_id, coded)
        return None if data is None else b"".join(data)[: coded.kind.length]

    def _ranges(
        self,
        pack_id: int,
        coded: CodedPack,
        wanted: Mapping[int, Span],
        *,
        needed: int,
        seconds: float,
    ) -> dict[int, bytes]:
        """Ranges of `needed` of the shares, if so many can be had in time."""
        readable = self._zones.readable
        asked: dict[Zone, Callable[[], tuple[int, bytes]]] = {}
        for number, span in wanted.items():
            for zone in coded.holders.get(number, ()):
                if zone in readable and zone not in asked:
                    asked[zone] = partial(_range_of, zone, pack_id, span)
                    break
        return dict(first_enough(asked, seconds, needed=needed).values())

    def _too_few(self, coded: CodedPack) -> StorageError:
        readable = set(self._zones.readable)
        there = {zone for zone in chain(*coded.holders.values()) if zone in readable}
        needed = coded.kind.coding.data
        sentence = f"{len(there)} zones with shares of it answer, of {needed} that are needed"
        if len(there) < needed and len(readable) < len(self._zones.zones):
            return ZoneUnavailable(f"{sentence}: bring zones back")
        if len(there) < needed:
            return DataDamaged(sentence)
        return DataDamaged(
            f"its shares are damaged in more zones than may be ({coded.kind.coding})"
        )

    def names_in(self, zones: Iterable[Zone], pack_id: int) -> set[str]:
        """The names of all shares of the pack in these zones. Blocks."""

        def listing(zone: Zone) -> list[str]:
            return sorted(_store_of(zone).list(prefix_of(pack_id)))

        asked = {zone: partial(listing, zone) for zone in zones}
        answers = gather(asked, self._zones.timeout_seconds).values()
        return {name for names in answers if isinstance(names, list) for name in names}


def _store_of(zone: Zone) -> ObjectStore:
    if zone.store is None:
        raise ZoneUnavailable(zone.reason)
    return zone.store


def _range_of(zone: Zone, pack_id: int, span: Span) -> tuple[int, bytes]:
    name = share_name(pack_id, span.share)
    data = _store_of(zone).read(name, HEADER_BYTES + span.offset, span.length)
    if len(data) < span.length:
        raise DataDamaged(f"share {span.share} of pack {pack_id:016x} is cut off")
    return span.share, data
