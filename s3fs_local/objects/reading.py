"""Asking several zones: all of them, or one after the other until one has what is wanted."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final, TypeVar

from s3fs_local.errors import DataDamaged, StorageError, ZoneUnavailable
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.zone import Zone

HEDGE_SECONDS: Final = 0.5
"""A zone that takes longer to read is not waited for alone: the next one is asked too."""

LISTING_SECONDS_MAX: Final = 120.0
"""All objects of a large zone may take this long to list: nobody waits for it."""

ERRAND_LOOK_SECONDS: Final = 0.5
"""How soon it is noticed that an errand is in vain."""

Verify = Callable[[bytes], bool]
_Answer = TypeVar("_Answer")


def gather(
    asked: Mapping[Zone, Callable[[], _Answer]], seconds: float, *, as_errand: bool = False
) -> dict[Zone, _Answer | Exception]:
    """What each call comes to, of those that are done in time. Waits for the last.

    With `as_errand` it may take long, and nobody thinks that the zone hangs; but one that is
    suspended meanwhile, for what it does to others, is not waited for. Exceptions that are
    neither a StorageError nor a KeyError leave.
    """
    results: SimpleQueue[tuple[Zone, _Answer | Exception]] = SimpleQueue()
    found: dict[Zone, _Answer | Exception] = {}
    for zone, call in asked.items():
        lane = zone.errands if as_errand else zone.readers
        lane.submit(partial(_tell, results, zone, call))
    deadline = monotonic() + seconds
    while len(found) < len(asked):
        left = max(0.0, deadline - monotonic())
        try:
            zone, answer = results.get(
                timeout=min(left, ERRAND_LOOK_SECONDS) if as_errand else left
            )
        except Empty:
            is_over = not as_errand or not left
            if is_over or not any(zone.takes_new for zone in asked if zone not in found):
                break
            continue
        _raise_bugs(answer)
        found[zone] = answer
    return found


def answers(
    zones: Sequence[Zone],
    question: Callable[[ObjectStore], _Answer],
    seconds: float,
    *,
    as_errand: bool = False,
) -> dict[Zone, _Answer | Exception]:
    """What each zone says; see `gather`."""
    asked = {zone: partial(_ask, zone, question) for zone in zones}
    return gather(asked, seconds, as_errand=as_errand)


def lengths_in(zones: Sequence[Zone], prefix: str) -> dict[Zone, dict[str, int]]:
    """Every object whose name begins with `prefix`, with its length, in each of the zones.

    Raises:
        ZoneUnavailable: one of them does not answer.
    """
    return _in_each(zones, prefix, lambda store, name: store.length(name))


def heads_in(
    zones: Sequence[Zone], prefix: str, *, head_bytes: int
) -> dict[Zone, dict[str, tuple[int, bytes]]]:
    """The same, and the first bytes of each."""
    return _in_each(
        zones, prefix, lambda store, name: (store.length(name), store.read(name, 0, head_bytes))
    )


def _in_each(
    zones: Sequence[Zone], prefix: str, look: Callable[[ObjectStore, str], _Answer]
) -> dict[Zone, dict[str, _Answer]]:
    def seen(store: ObjectStore) -> dict[str, _Answer]:
        found = {}
        for name in store.list(prefix):
            with suppress(KeyError):  # removed while we look
                found[name] = look(store, name)
        return found

    found = answers(zones, seen, LISTING_SECONDS_MAX, as_errand=True)
    for zone in zones:
        answer = found.get(zone)
        if not isinstance(answer, dict):
            raise ZoneUnavailable(f"{zone.url}: {answer or 'no answer'}")
    return {zone: each for zone, each in found.items() if isinstance(each, dict)}


def first_enough(
    asked: Mapping[Zone, Callable[[], _Answer]], seconds: float, *, needed: int
) -> dict[Zone, _Answer]:
    """The answers of the first `needed` zones that have one, or of fewer if no more do in time.

    So many are asked at first, and another for each that fails or is slow.
    """
    results: SimpleQueue[tuple[Zone, _Answer | Exception]] = SimpleQueue()
    waiting = list(asked.items())
    good: dict[Zone, _Answer] = {}
    running = 0
    to_begin = needed
    deadline = monotonic() + seconds
    while len(good) < needed:
        for zone, call in waiting[:to_begin]:
            zone.readers.submit(partial(_tell, results, zone, call))
            running += 1
        waiting = waiting[to_begin:]
        if not running:
            break
        left = max(0.0, deadline - monotonic())
        try:
            zone, answer = results.get(timeout=min(HEDGE_SECONDS, left) if waiting else left)
        except Empty:
            if not waiting:
                break
            to_begin = 1
            continue
        running -= 1
        _raise_bugs(answer)
        if isinstance(answer, Exception):
            to_begin = 1
        else:
            good[zone], to_begin = answer, 0
    return good


def first_good(
    zones: Sequence[Zone],
    question: Callable[[ObjectStore], bytes],
    check: Verify,
    seconds: float,
) -> bytes:
    """The bytes of the first zone whose bytes pass; `zones` in order of preference.

    Raises:
        DataDamaged: the zones that answer do not have them, or have bad ones.
        ZoneUnavailable: no zone answers in time.
    """
    results: SimpleQueue[tuple[Zone, bytes | Exception]] = SimpleQueue()
    asked = answered = running = 0
    hedge = min(HEDGE_SECONDS, seconds / len(zones)) if zones else 0.0
    while asked < len(zones) or running:
        if asked < len(zones):
            ask = partial(_ask, zones[asked], question)
            zones[asked].readers.submit(partial(_tell, results, zones[asked], ask))
            asked += 1
            running += 1
        try:
            _, answer = results.get(timeout=hedge if asked < len(zones) else seconds)
        except Empty:
            if asked == len(zones):
                break
            continue
        running -= 1
        _raise_bugs(answer)
        if not isinstance(answer, StorageError):
            answered += 1
        if isinstance(answer, bytes) and check(answer):
            return answer
    if answered:
        raise DataDamaged(f"missing or damaged in {answered} of {len(zones)} zones")
    raise ZoneUnavailable(f"none of {len(zones)} zones answers")


def _ask(zone: Zone, question: Callable[[ObjectStore], _Answer]) -> _Answer:
    if zone.store is None:
        raise ZoneUnavailable(zone.reason)
    return question(zone.store)


def _tell(
    results: "SimpleQueue[tuple[Zone, _Answer | Exception]]",
    zone: Zone,
    call: Callable[[], _Answer],
) -> None:
    try:
        results.put((zone, call()))
    except Exception as error:  # noqa: BLE001 - whoever asks decides what it means
        results.put((zone, error))


def _raise_bugs(answer: object) -> None:
    if isinstance(answer, Exception) and not isinstance(answer, StorageError | KeyError):
        raise answer
