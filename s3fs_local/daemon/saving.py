"""Everything is durable before a store is left: asked for while it is served, or at the very end.

While it is served whoever takes the mount away is refused as long as something is unsaved
(`engine/unsaved.py`), unless they give it up by name. Who cannot be refused, such as a signal or
`fusermount3 -u`, has the attempts go on for a while: a bucket or a disk may come back.
"""

import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final

import trio
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.engine.durability import Durability
from s3fs_local.engine.unsaved import Unsaved

log = logging.getLogger(__name__)

SAVE_SECONDS_MAX: Final = 120.0
"""How long it is tried. Zones that do not answer say so sooner; a slow disk may take its time."""
AGAIN_SECONDS: Final = 1.0


class Parting(Struct):
    """How an open store is left at its end: as its owner says until then."""

    is_patient: bool = False  # zones that are away are waited for
    discards: bool = False  # what cannot be saved is given up, as somebody asked by name
    discarded: Unsaved = Unsaved()  # what that was


async def why_unsaved(
    durability: Durability, nursery: trio.Nursery
) -> errors.S3fsLocalError | None:
    """What keeps something from being durable now; None where everything is.

    Answers after SAVE_SECONDS_MAX at the latest. An attempt that takes longer goes on in the
    nursery, and harms nobody.
    """
    met: list[errors.S3fsLocalError | None] = []
    has_ended = trio.Event()

    async def attempt() -> None:
        met.append(await _attempt(durability))
        has_ended.set()

    nursery.start_soon(attempt)
    with trio.move_on_after(SAVE_SECONDS_MAX):
        await has_ended.wait()
    if met:
        return met[0]
    return errors.ZoneUnavailable(f"that takes longer than {SAVE_SECONDS_MAX:g} seconds")


async def save_or_tell(
    durability: Durability, parting: Parting, look_after_zones: Callable[[], Awaitable[None]]
) -> None:
    """Everything is durable, or was discarded as `parting` says; the end of the store.

    Raises:
        S3fsLocalError: what kept it from being durable, with how much is lost.
    """
    ends_at = trio.current_time() + SAVE_SECONDS_MAX
    failure = await _attempt(durability)
    if failure is None:
        return
    if parting.discards:
        parting.discarded = durability.unsaved()
        log.critical("%s were discarded, as asked: %s", parting.discarded, failure)
        return
    if parting.is_patient and isinstance(failure, errors.TRANSIENT):
        log.error(
            "%s cannot be saved: %s; it is tried for %g seconds in all, or until the next SIGTERM",
            *(durability.unsaved(), failure, SAVE_SECONDS_MAX),
        )
        failure = await _attempts(durability, failure, look_after_zones, ends_at)
    if failure is not None:
        lost = f"{durability.unsaved()} could not be saved and are lost"
        raise type(failure)(f"{lost}: {failure}") from failure


async def _attempt(durability: Durability) -> errors.S3fsLocalError | None:
    if not durability.unsaved():
        return None
    if durability.failure is not None:
        return durability.failure
    try:
        await durability.flush(durable=True)
    except errors.S3fsLocalError as error:
        # What else waits for the journal says how far blocks are durable: nobody misses that.
        return error if durability.unsaved() else None
    return None


async def _attempts(
    durability: Durability,
    failure: errors.S3fsLocalError | None,
    look_after_zones: Callable[[], Awaitable[None]],
    ends_at: float,
) -> errors.S3fsLocalError | None:
    """What the last attempt met; there is none after a signal, nor after `ends_at`."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_at_signal, signals, nursery.cancel_scope)
            nursery.cancel_scope.deadline = ends_at
            while failure is not None:
                await trio.sleep(AGAIN_SECONDS)
                with suppress(errors.S3fsLocalError):
                    await look_after_zones()
                failure = await _attempt(durability)
            nursery.cancel_scope.cancel()
    return failure


async def _end_at_signal(signals: AsyncIterator[int], attempts: trio.CancelScope) -> None:
    async for number in signals:
        log.info("no further attempt, because of %s", signal.Signals(number).name)
        attempts.cancel()
