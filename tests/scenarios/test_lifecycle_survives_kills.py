"""A run of lifecycle that is killed at any moment goes on, and loses and doubles nothing.

The short form of `scripts/lifecycle-kills`, and the same at every step in memory.
"""

import os
import random
from pathlib import Path

import pytest
from msgspec import structs

from s3fs_local.daemon.assembly import TEST_CLOCK_VARIABLE
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.namespace import Entry
from tests.campaigns.lifecycle_kills import FILLED, kill_runs
from tests.campaigns.lifecycle_scan import measure
from tests.engine.invariants import check_invariants
from tests.engine.lifecycle_store import DAY, LARGE, SMALL, LifecycleStore

SEED = int(os.environ.get("S3FS_LOCAL_TEST_SEED", "7"))


class Killed(Exception):
    """The process is gone at this step."""


class KillingInvalidation:
    """Ends the process after so many invalidations: in the middle of what is done to a key."""

    def __init__(self, left: int) -> None:
        self._left = left

    def inode(self, ino: int) -> None:
        """See `Invalidation`."""
        self._count(ino)

    def entry(self, parent: int, name: bytes) -> None:
        """See `Invalidation`."""
        self._count((parent, name))

    async def settled(self) -> None:
        """See `Invalidation`."""

    def _count(self, what: object) -> None:
        self._left -= 1
        if self._left < 0:
            raise Killed(what)


def _filled() -> LifecycleStore:
    store = LifecycleStore()
    for number in range(400):
        store.write(f"/{number}", LARGE if number % 3 else SMALL)
        if number % 2:
            store.write(f"/{number}", LARGE)
        if number % 5 == 0:
            store.remove(f"/{number}")
    store.put_rules(
        {"Transitions": [{"Days": 10, "StorageClass": "GLACIER"}]},
        {"Expiration": {"Days": 20}},
        {"NoncurrentVersionExpiration": {"NoncurrentDays": 5}},
    )
    store.flush()
    store.tick(60 * DAY)
    return store


def _state(metadata: Metadata) -> list[tuple[object, ...]]:
    """Names and versions, without the instants at which markers were made."""
    found: list[tuple[object, ...]] = []
    for parent, name in metadata.names_after(0, b"", 1 << 30):
        for entry in metadata.name_history(parent, name):
            found.append(_timeless(entry))
            found += [
                (name, version.stamp_ns, version.storage_class)
                for version in (metadata.versions(entry.ino) if entry.ino else ())
            ]
    return [*found, *metadata.agenda(1 << 62, 1 << 30)]


def _timeless(entry: Entry) -> tuple[object, ...]:
    shown = structs.replace(entry, from_ns=0, to_ns=min(entry.to_ns, 1), salt=0)
    return structs.astuple(shown)


def test_a_run_cut_off_anywhere_ends_as_one_that_was_not() -> None:
    """Also in the middle of a key: what is done to it is kept whole, or not at all."""
    left_alone = _filled()
    left_alone.run()
    wanted = _state(left_alone.metadata)
    store = _filled()
    chance = random.Random(SEED)
    kills = 0
    while True:
        store.fs.volume.invalidation = KillingInvalidation(chance.randrange(1, 120))
        try:
            store.run()
        except Killed:
            kills += 1
            store.crash()
            check_invariants(store)
        else:
            break

    assert kills >= 3
    assert _state(store.metadata) == wanted
    assert store.run().keys == 0


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_runs_end_as_one_that_was_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real processes, SIGKILL, random moments."""
    monkeypatch.setenv(TEST_CLOCK_VARIABLE, FILLED)

    assert kill_runs(tmp_path, kills=2, keys=200, seed=SEED).kills == 2


@pytest.mark.slow
def test_a_run_costs_what_is_due(tmp_path: Path) -> None:
    """The short form of `scripts/lifecycle-scan`: keys are counted, not seconds."""
    assert measure(tmp_path, versions=5000, due=50).looked_at == 50
