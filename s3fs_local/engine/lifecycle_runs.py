"""Runs of lifecycle: everything that is due now, in small steps, one run at a time.

A run is cut off anywhere without harm, by a cancel as by kill -9: what it did is done, the agenda
has the rest, and the next run goes on. Only a whole run counts as the day's. A run follows the
rules that were in force when it began, and ends where others take their place: theirs is the next.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Protocol

import msgspec
import trio
from msgspec import Struct, structs

from s3fs_local.engine.lifecycle import KEYS_A_STEP, InForce, LifecycleRules, Outcome
from s3fs_local.engine.lifecycle_keys import Key
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import (
    DataDamaged,
    EncryptionError,
    MetadataDamaged,
    S3fsLocalError,
    StaleInode,
)
from s3fs_local.metadata.changes import PutSetting
from s3fs_local.rules.findings import Finding, Severity
from s3fs_local.rules.lifecycle import Action, Verdict
from s3fs_local.rules.names import printed

logger = logging.getLogger(__name__)

LAST_RUN_SETTING: Final = "fact.lifecycle-run"
"""The last whole run, as JSON."""
PLACES_A_STEP: Final = 16
ERRORS_TOLD: Final = 8
DUE_TOLD: Final = 10_000
_ADVICE: Final = "The next run tries again: `s3fs-local lifecycle run STORE`; daemon.log says more."


class Tally(Struct, frozen=True):
    """So many items, of so many bytes."""

    items: int = 0
    bytes: int = 0

    def plus(self, size: int) -> "Tally":
        """With one more."""
        return Tally(self.items + 1, self.bytes + size)


class Run(Struct, frozen=True):
    """What a run did so far, or in all."""

    started_ns: int
    ended_ns: int = 0  # 0 = it is running
    keys: int = 0  # looked at
    expired: Tally = Tally()
    moved: Tally = Tally()
    markers_added: int = 0
    markers_removed: int = 0
    held: Tally = Tally()
    postponed: int = 0  # keys that a process has open
    errors: tuple[str, ...] = ()  # the first few
    error_count: int = 0

    @property
    def freed(self) -> bool:
        """Whether there may be garbage."""
        return self.expired.items > 0 or self.moved.items > 0

    def with_outcome(self, outcome: Outcome) -> "Run":
        """With what one pass over one key did."""
        run = structs.replace(
            self, keys=self.keys + 1, postponed=self.postponed + outcome.postponed
        )
        for verdict in outcome.done:
            run = run.with_verdict(verdict)
        for held in outcome.held:
            run = structs.replace(run, held=run.held.plus(held.verdict.item.size))
        return run

    def with_verdict(self, verdict: Verdict) -> "Run":
        """With one action more."""
        if verdict.action is Action.EXPIRE:
            return structs.replace(self, expired=self.expired.plus(verdict.item.size))
        if verdict.action is Action.TRANSITION:
            return structs.replace(self, moved=self.moved.plus(verdict.item.size))
        if verdict.action is Action.ADD_MARKER:
            return structs.replace(self, markers_added=self.markers_added + 1)
        return structs.replace(self, markers_removed=self.markers_removed + 1)

    def with_error(self, error: str) -> "Run":
        """With one error more."""
        told = (*self.errors, error)[:ERRORS_TOLD]
        return structs.replace(self, errors=told, error_count=self.error_count + 1)


class Rest(Protocol):
    """How a run lets others have their turn."""

    async def after(self, keys: int) -> None:
        """So many keys were looked at since the last call; returns when more may be."""
        ...


class Turns:
    """As fast as it goes where nobody uses the mount, and with rests where programs do."""

    def __init__(self, volume: Volume) -> None:
        self._turn = volume.yielding.turn()

    async def after(self, keys: int) -> None:
        """See `Rest`."""
        del keys
        await self._turn.over()


Told = Callable[[Outcome], Awaitable[None]]


async def _tell_nobody(_: Outcome) -> None:
    pass


async def _tell_all(outcomes: list[Outcome], tell: Told) -> None:
    """Somebody heard of each of them, and the list is empty."""
    for outcome in outcomes:
        await tell(outcome)
    outcomes.clear()


class LifecycleRuns:
    """Runs lifecycle in one store."""

    def __init__(self, volume: Volume, rules: LifecycleRules) -> None:
        self._volume = volume
        self.rules: Final = rules
        self.present: Run | None = None
        self._followed: InForce | None = None  # the rules of the present run
        self.failure = ""  # what ended the last run before it was whole
        self.decide_replication: Callable[[], int] = lambda: 0  # see `Replication.decide`
        self._mutex = trio.Lock()
        volume.inspections.add("lifecycle", self._inspect)
        stored = self._volume.metadata.setting(LAST_RUN_SETTING)
        self.last = None if stored is None else msgspec.json.decode(stored, type=Run)

    def _inspect(self) -> Iterator[Finding]:
        """What `status` says where rules were not followed."""
        if self.rules.in_force is None:
            return
        if self.failure:
            sentence = f"the last run ended early: {self.failure}"
            yield Finding(Severity.WARNING, "lifecycle", sentence, _ADVICE)
        elif self.last is not None and self.last.error_count:
            sentence = f"{self.last.error_count} keys could not be looked at: {self.last.errors[0]}"
            yield Finding(Severity.WARNING, "lifecycle", sentence, _ADVICE)

    def due_count(self) -> int:
        """How many places a run would look at now; `DUE_TOLD` where there are more."""
        return len(self.rules.due(self._volume.expiry_ns(), DUE_TOLD))

    def is_due(self) -> bool:
        """Whether a day began since the last whole run, or since the rules were put."""
        in_force = self.rules.in_force
        if in_force is None or self.present is not None:
            return False
        since_ns = max(in_force.put_ns, self.last.started_ns if self.last else 0)
        calendar = self.rules.calendar
        return calendar.midnight_ns(self._volume.expiry_ns()) > calendar.midnight_ns(since_ns)

    async def run(self, rest: Rest, tell: Told = _tell_nobody) -> Run:
        """Everything that is due now is done; `tell` hears of each key where something was.

        Raises:
            StorageError, StoreReadOnly: the store does not take changes; the rest stays due.
        """
        async with self._mutex:
            self.present = Run(self._volume.expiry_ns())  # a false date must expire nothing
            self._followed = self.rules.in_force
            try:
                await self._know_what_is_pending(rest)
                await self._look_at_all(self.present, rest, tell)
                await self._work_off(self.present, rest, tell)
                run = structs.replace(self.present, ended_ns=self._volume.now_ns())
                self.failure = ""
            except S3fsLocalError as error:
                self.failure = str(error)
                raise
            finally:
                self.present = None
            stored = msgspec.json.encode(run).decode()
            self._volume.apply([PutSetting(LAST_RUN_SETTING, stored)])
            self.last = run
            return run

    async def _know_what_is_pending(self, rest: Rest) -> None:
        """Versions that another region has to be told of wait for that (S3), and say so."""
        while decided := self.decide_replication():
            await self._keep(rest, decided)

    @property
    def _goes_on(self) -> bool:
        """Whether the rules that the run follows are in force."""
        return self.rules.in_force is self._followed

    async def _look_at_all(self, run: Run, rest: Rest, tell: Told) -> None:
        """Every key was looked at, if rules are new; the cursor is kept after each step."""
        while self._goes_on and (keys := self.rules.next_of_all()):
            told = [outcome for key in keys for outcome in self._look(key, run.started_ns)]
            self.rules.note_looked_at(keys[-1])
            for outcome in told:
                await tell(outcome)
            await self._keep(rest, len(keys))
        if self._goes_on and self.rules.cursor() is not None:
            self.rules.note_looked_at(None)

    async def _work_off(self, run: Run, rest: Rest, tell: Told) -> None:
        """Nothing in the agenda is due that was when the run began."""
        while self._goes_on and (places := self.rules.due(run.started_ns, PLACES_A_STEP)):
            for place, name in places:
                await self._work_off_place(place, name, run.started_ns, rest, tell)
            await self._keep(rest, len(places))

    async def _work_off_place(
        self, place: int, name: bytes, now_ns: int, rest: Rest, tell: Told
    ) -> None:
        told: list[Outcome] = []
        for number, key in enumerate(self.rules.keys_at(place, name), start=1):
            if not self._goes_on:
                return
            told += self._look(key, now_ns)
            if number % KEYS_A_STEP == 0:  # a directory that was moved
                await _tell_all(told, tell)
                await self._keep(rest, KEYS_A_STEP)
        self.rules.looked_at(place, name, now_ns)
        await _tell_all(told, tell)

    async def _keep(self, rest: Rest, keys: int) -> None:
        """What was done so far survives the end of the process, and others have their turn."""
        durability = self._volume.durability
        await durability.flush(durable=False, only_facts=True)
        if durability.commit_is_due:
            await durability.settle()
        await rest.after(keys)

    def _look(self, key: Key, now_ns: int) -> list[Outcome]:
        """What was due for the key is done, and is told if it was anything."""
        assert self.present is not None
        try:
            outcome = self.rules.carry_out(key, now_ns)
        except (DataDamaged, MetadataDamaged, EncryptionError, StaleInode) as error:
            logger.error("lifecycle cannot look at %r now: %s", key.name, error)  # noqa: TRY400 - expected
            self.present = self.present.with_error(f"{printed(key.name)}: {error}")
            self.rules.put_off(key, now_ns)
            return []
        self.present = self.present.with_outcome(outcome)
        return [outcome] if outcome.done or outcome.held else []
