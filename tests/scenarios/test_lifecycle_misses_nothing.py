"""Runs by the agenda do exactly what runs that look at everything would do, whatever people do."""

import os
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import pytest
import trio

from s3fs_local.engine.lifecycle import Outcome
from s3fs_local.engine.lifecycle_keys import Key
from s3fs_local.engine.lifecycle_plans import plan
from s3fs_local.errors import S3fsLocalError
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.lifecycle import Verdict
from s3fs_local.rules.retention import Retention
from tests.engine.invariants import check_invariants
from tests.engine.lifecycle_store import LARGE, LifecycleStore
from tests.engine.memory_store import ALICE

SEQUENCES: Final = int(os.environ.get("S3FS_LOCAL_EXAMPLES", "12"))
DAYS: Final = 25
FOLDERS: Final = ("/", "/logs/", "/logs/deep/", "/other/")
NAMES: Final = ("a", "b", "a~", ".a.Xy12Zw", "logs2")
RULES: Final = (
    {
        "Filter": {"Prefix": "logs/"},
        "Expiration": {"Days": 4},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 1},
    },
    {
        "Filter": {"Tag": {"Key": "k", "Value": "v"}},
        "Transitions": [{"Days": 2, "StorageClass": "GLACIER"}],
        "Expiration": {"Days": 6},
    },
    {"Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}},
    {
        "Filter": {"Prefix": "other"},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 2},
        "NoncurrentVersionTransitions": [{"NoncurrentDays": 1, "StorageClass": "DEEP_ARCHIVE"}],
    },
)


class Twins:
    """Two stores that live through the same; one looks at everything in each run.

    What a run does must also be what the plan said just before.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        state = self.chance.choice(('"Enabled"', '"Enabled"', '"Suspended"'))
        locks = {"object_lock": "true", "lock_semantics": self.chance.choice(('"s3"', '"file"'))}
        settings = {"versioning": state, **(locks if state == '"Enabled"' else {})}
        self.stores = [LifecycleStore(**settings) for _ in range(2)]
        self.has_locks = state == '"Enabled"'
        for store in self.stores:
            for folder in FOLDERS[1:]:
                store.mkdir(folder.rstrip("/"))
            store.put_rules(*RULES)

    def do_something(self) -> None:
        """The same in both, be it refused or not."""
        chance = self.chance
        path, other = (chance.choice(FOLDERS) + chance.choice(NAMES) for _ in range(2))
        content = LARGE if chance.random() < 0.4 else chance.randbytes(5)
        tags = chance.choice(({}, {"k": "v"}, {"k": "w"}))
        period_ns = chance.randrange(1, 200) * 3600 * SECOND_NS
        act: Callable[[LifecycleStore], None] = chance.choice(
            (
                *[lambda store: store.write(path, content)] * 3,
                lambda store: store.remove(path),
                lambda store: store.rename(path, other),
                lambda store: store.link(path, other),
                lambda store: store.fs.lock_attributes.set_tags(store.stat(path).ino, tags, ALICE),
                self._move_folder,
                _restart,
                lambda store: self._lock(store, path, period_ns),
            )
        )
        for store in self.stores:
            with suppress(S3fsLocalError):
                act(store)

    def _lock(self, store: LifecycleStore, path: str, period_ns: int) -> None:
        if self.has_locks:
            retention = Retention("COMPLIANCE", store.clock.now_ns() + period_ns)
            store.fs.locks.set_retention(store.stat(path).ino, retention, caller=ALICE)

    def _move_folder(self, store: LifecycleStore) -> None:
        if store.exists("/logs/deep"):
            store.rename("/logs/deep", "/other/deep")
        else:
            store.rename("/other/deep", "/logs/deep")

    def night(self) -> list[str]:
        """What the runs of both did, which must be the same."""
        seen = []
        self.stores[1].runs.rules.look_at_all()
        for store in self.stores:
            store.next_midnight()
            planned = trio.run(_planned, store)
            told = store.run_told()[1]
            done = {outcome.key.key: outcome.done for outcome in told if outcome.done}
            assert planned == done
            seen.append(sorted(_said(outcome) for outcome in told if outcome.done))
        assert seen[0] == seen[1]
        return seen[0]


async def _planned(store: LifecycleStore) -> dict[Key, tuple[Verdict, ...]]:
    """What the plan says of now."""
    now_ns = store.clock.now_ns()
    passes = plan(store.runs.rules, store.metadata, now_ns=now_ns, until_ns=now_ns)
    return {one.key.key: one.found.verdicts async for one in passes if one.found.verdicts}


def _restart(store: LifecycleStore) -> None:
    """The process ends, and the store is opened again."""
    store.flush()
    store.crash()


def _said(outcome: Outcome) -> str:
    done = [f"{one.action} {one.item.stamp_ns // SECOND_NS}" for one in outcome.done]
    return f"{outcome.key.stack.key!r}: {', '.join(done)}"


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_the_agenda_misses_nothing(seed: int) -> None:
    """Renames, links, moved trees, tags, locks, saves through temporary files, in any order."""
    twins = Twins(seed)
    done = 0
    for day in range(DAYS):
        for _ in range(twins.chance.randrange(8) if day < DAYS - 8 else 0):
            twins.do_something()
        done += len(twins.night())
    for store in twins.stores:
        check_invariants(store)

    assert done
