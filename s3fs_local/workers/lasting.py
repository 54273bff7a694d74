"""Background tasks that outlive whatever fails below them."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from s3fs_local.errors import S3fsLocalError, leaves

logger = logging.getLogger(__name__)

BEGIN_ANEW_SECONDS: Final = 5.0


async def lasting(run: Callable[[], Awaitable[None]]) -> None:
    """`run`, begun anew after each error of ours; never returns, cancel it.

    Background tasks ask the metadata and the zones in many places, and any of these may fail. Files
    can still be read then, so none of it may end the mount. The log tells each error once, until
    another follows. Bugs pass.
    """
    told = ""
    while True:
        words: list[str] = []
        try:
            await run()
        except* S3fsLocalError as group:
            words = [str(error) for error in leaves(group)]
        text = "; ".join(words) or "it ended by itself"
        if text != told:
            logger.error("background work begins anew, in the hope that it goes on: %s", text)
        told = text
        await trio.sleep(BEGIN_ANEW_SECONDS)
