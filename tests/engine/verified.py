"""A verification of a store in memory, for tests that altered nothing, or something."""

import trio

from s3fs_local.engine.verification import Verification, Verified
from tests.engine.memory_store import MemoryStore


async def _no_progress(_what: str, _done: int, _total: int) -> None:
    await trio.lowlevel.checkpoint()


def verified(store: MemoryStore) -> Verified:
    """What a verification of everything finds."""

    async def run() -> Verified:
        return await Verification(store.fs.volume, _no_progress, reads_all=True).run()

    return trio.run(run)


def check_verified(store: MemoryStore) -> None:
    """Ledger, law, facts and bytes agree."""
    found = verified(store).found
    assert found == [], found
