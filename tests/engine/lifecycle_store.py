"""A store in memory with lifecycle rules, day after day."""

import itertools
import json
from typing import Any

import trio

from s3fs_local.engine.lifecycle import Outcome
from s3fs_local.engine.lifecycle_runs import LifecycleRuns, Run, Turns
from s3fs_local.rules.instants import SECOND_NS, format_rfc3339
from s3fs_local.rules.lifecycle_validation import read_lifecycle
from tests.engine.memory_store import MemoryStore

DAY = 86_400
SMALL = b"x" * 100
LARGE = b"y" * 200_000


class LifecycleStore(MemoryStore):
    """Begins at noon; rules are given as the JSON of their actions."""

    def __init__(self, **settings: str) -> None:
        super().__init__(
            None, None, make_zones=None, run_blocking=None, make_clock=None, **settings
        )
        self.clock.advance((-self.clock.now_ns() % (DAY * SECOND_NS)) + DAY // 2 * SECOND_NS)

    @property
    def runs(self) -> LifecycleRuns:
        """Of the open store."""
        return self.fs.lifecycle

    def put_rules(self, *rules: dict[str, Any]) -> None:
        """The rules are in force, for everything if they say no filter."""
        whole = [{"Status": "Enabled", "Filter": {}, **rule} for rule in rules]
        numbers = itertools.count(1)
        data = json.dumps({"Rules": whole}).encode()
        document, _ = read_lifecycle(data, minimum=None, new_id=lambda: next(numbers))
        self.runs.rules.put(document)

    def run(self) -> Run:
        """A run at this instant."""
        return trio.run(lambda: self.runs.run(Turns(self.fs.volume)))

    def run_told(self) -> tuple[Run, list[Outcome]]:
        """A run, and what it told."""
        told: list[Outcome] = []

        async def tell(outcome: Outcome) -> None:
            told.append(outcome)

        return trio.run(lambda: self.runs.run(Turns(self.fs.volume), tell)), told

    def pass_days(self, days: int) -> list[str]:
        """Daily runs soon after midnight; what they did: `5 Expire f`."""
        seen = []
        for day in range(1, days + 1):
            self.next_midnight()
            for outcome in self.run_told()[1]:
                key = outcome.key.stack.key.decode()
                seen += [f"{day} {v.action} {key}" for v in outcome.done]
                seen += [f"{day} held {key}" for _ in outcome.held]
        return seen

    def next_midnight(self) -> None:
        """It is ten seconds past the next midnight."""
        to_midnight_ns = -self.clock.now_ns() % (DAY * SECOND_NS) or DAY * SECOND_NS
        self.clock.advance(to_midnight_ns + 10 * SECOND_NS)

    def today(self) -> str:
        """The date."""
        return format_rfc3339(self.clock.now_ns())[:10]

    def agenda(self) -> list[tuple[int, bytes]]:
        """Whatever lifecycle has to look at some day."""
        return self.metadata.agenda(1 << 62, 1 << 30)
