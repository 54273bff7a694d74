"""Plans: what the runs of the coming days will do, by the same evaluator as the runs."""

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import chain
from typing import Final

import trio
from msgspec import Struct

from s3fs_local.engine.lifecycle import KEYS_A_STEP, LifecycleRules
from s3fs_local.engine.lifecycle_keys import Key, KeyStack
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.lifecycle import Action, Verdict
from s3fs_local.rules.lifecycle_forecast import ForecastPass, forecast
from s3fs_local.rules.storage_costs import ClassUsage

EVERYTHING: Final = 1 << 62
"""More rows than any agenda has."""


class PlannedPass(Struct, frozen=True):
    """What one pass will do to one key."""

    key: KeyStack
    found: ForecastPass


async def plan(
    rules: LifecycleRules, metadata: Metadata, *, now_ns: int, until_ns: int
) -> AsyncIterator[PlannedPass]:
    """Every pass from now until then in which something is due, key by key; nothing is changed.

    Costs what is due until then, or a look at every key where rules are new.
    """
    for number, key in enumerate(_keys(rules, metadata, until_ns), start=1):
        first_ns = now_ns
        if rules.acted_today(key, now_ns):
            first_ns = rules.calendar.next_pass_ns(now_ns + 1)
        found = rules.keys.stack_of(key)
        circumstances = rules.circumstances
        for planned in forecast(
            found.stack, rules.rules, circumstances, first_ns=first_ns, until_ns=until_ns
        ):
            yield PlannedPass(found, planned)
        if number % KEYS_A_STEP == 0:
            await trio.lowlevel.checkpoint()


def _keys(rules: LifecycleRules, metadata: Metadata, until_ns: int) -> Iterator[Key]:
    """Every key that a run until then looks at, once."""
    seen: set[Key] = set()
    for key in chain(_keys_after_cursor(rules, metadata), _keys_due(rules, until_ns)):
        if key not in seen:
            seen.add(key)
            yield key


def _keys_after_cursor(rules: LifecycleRules, metadata: Metadata) -> Iterator[Key]:
    cursor = rules.cursor()
    while cursor is not None and (found := metadata.names_after(*cursor, KEYS_A_STEP)):
        yield from (Key(*place) for place in found)
        cursor = found[-1]


def _keys_due(rules: LifecycleRules, until_ns: int) -> Iterator[Key]:
    for place, name in rules.due(until_ns, EVERYTHING):
        yield from rules.keys_at(place, name)


class Holdings:
    """How much each class holds, as a plan is carried out in mind."""

    def __init__(self, usages: list[ClassUsage]) -> None:
        self._usages = {usage.storage_class: usage for usage in usages}

    def usages(self) -> list[ClassUsage]:
        """Classes that hold something, by name."""
        return [usage for _, usage in sorted(self._usages.items()) if usage.versions]

    def include(self, changes: "Holdings") -> None:
        """What another one gathered, from nothing, has happened here."""
        for name, usage in changes._usages.items():  # noqa: SLF001 - of the same class
            self._usages[name] = usage.merged(self._usages.get(name) or ClassUsage(name))

    def apply(self, verdicts: Iterable[Verdict]) -> None:
        """This was done."""
        for verdict in verdicts:
            item = verdict.item
            if item.is_marker:
                continue
            if verdict.action is Action.EXPIRE:
                self._change(item.storage_class, item.size, -1)
            elif verdict.action is Action.TRANSITION:
                self._change(item.storage_class, item.size, -1)
                self._change(verdict.storage_class, item.size, 1)

    def _change(self, storage_class: str, size: int, count: int) -> None:
        present = self._usages.get(storage_class) or ClassUsage(storage_class)
        self._usages[storage_class] = present.plus(size, count=count)
