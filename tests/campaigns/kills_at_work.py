"""The daemon is SIGKILLed inside the work that a store does: the nth system call is never made.

A kill counts if the command had been read and was not answered. The next mount has all that fsync
acknowledged, every fact agrees with the ledger and every version reads; the work is taken up again
and comes to its end; then a scrub leaves nothing to mend.
"""

import os
import random
import select
import time
from collections import Counter
from contextlib import ExitStack
from typing import Final

from s3fs_local.control.requests import AwaitReplication, Scrub, Verify
from s3fs_local.daemon.log_setup import LOG_NAME
from s3fs_local.daemon.receiving import make_room
from tests.campaigns.conversation import Outcome, process_of, told
from tests.campaigns.interposed import Interposed
from tests.campaigns.kills import acknowledged, broken, start_writer, state_of
from tests.campaigns.line import Failed, Figures, Piece
from tests.campaigns.works import END_SECONDS_MAX, KINDS, Kind, Place, Plan, Side
from tests.mounting import MountedStore, end_processes, s3fs_local

ZONES: Final = 3
CALLS_AT_FIRST: Final = 250
"""How many calls a kind of work is taken to make, until one that ended unharmed was counted."""
LOG_SHOWN: Final = 4000
ATTEMPTS_MAX: Final = 12
"""A kind of work that is never met at work is not what it should be."""


def run(piece: Piece) -> Figures:
    """So many kills inside work."""
    trials = _Trials(piece)
    try:
        return trials.run(piece.size)
    finally:
        trials.clean_up()


class _Trials:
    """A store of three zones and another region, below one folder whose calls are counted."""

    def __init__(self, piece: Piece) -> None:
        disk, mount = piece.folder / "disk", piece.folder / "mount"
        for folder in (disk, mount):
            folder.mkdir()
        zones = [disk / f"zone-{number}" for number in range(ZONES)]
        options = [word for zone in zones for word in ("--zone", str(zone))]
        s3fs_local("init", disk / "store", "--test-clock", *options)
        s3fs_local("init", disk / "west", "--test-clock")
        self.chance = random.Random(piece.seed)
        self.mount = MountedStore(disk / "store", mount)
        self.east = Side(self.mount, Interposed(piece.folder, disk))
        self.mount.environment |= self.east.interposed.environment
        self.west = MountedStore(disk / "west", piece.folder / "west")
        self.west.path.mkdir()
        self.place = Place(self.mount, zones, disk / "west", self.chance)
        self.promised = self.place.promised
        self.calls: Counter[str] = Counter()
        self.at: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.mended = 0

    def run(self, kills: int) -> Figures:
        """Every kind in turn, in an order by chance."""
        self.mount.mount()
        self.place.make_rules()
        order: list[Kind] = []
        for number in range(kills):
            if not order:
                order = self.chance.sample(KINDS, len(KINDS))
            self.killed_once(order.pop(), f"{number}")
        self.compare_regions()
        return {
            **{f"at {what}": count for what, count in sorted(self.at.items())},
            "files acknowledged": len(self.promised),
            "lost": 0,
            "pieces mended": self.mended,
            "most seconds to mount": max(self.seconds, default=0.0),
        }

    def killed_once(self, kind: Kind, name: str) -> None:
        """Work of the kind was killed inside, and all is as it was promised. Raises Failed."""
        what = kind.__name__
        for attempt in range(ATTEMPTS_MAX):
            plan = kind(self.place, f"{name}-{attempt}")
            nth = self.chance.randrange(1, self.calls[what] or CALLS_AT_FIRST)
            try:
                outcome, dead = self.disturbed(plan, nth, f"work{name}-{attempt}")
            except Exception as failure:
                words = f"{what}, call {nth}, kill {name}, attempt {attempt}: {failure!r}"
                raise self.failed(plan, words) from failure
            if outcome is Outcome.DONE and not dead:
                self.calls[what] = self.asked(plan).interposed.all_calls()
            try:
                self.after(plan, is_dead=dead)
            except Exception as failure:
                words = f"{what}, call {nth}, kill {name}, attempt {attempt}: {outcome.value}"
                raise self.failed(plan, f"{words}: {failure!r}") from failure
            if outcome is Outcome.BROKEN_OFF:
                self.at[f"{what}{'' if dead else ' (the other side)'}"] += 1
                return
        raise Failed(f"{what} was never met at work in {ATTEMPTS_MAX} attempts")

    def failed(self, plan: Plan, words: str) -> Failed:
        """The words, and what the daemon that was asked said last."""
        log = (self.asked(plan).mount.store / LOG_NAME).read_text(errors="replace")
        return Failed(f"{words}\nthe daemon's log ends:\n{log[-LOG_SHOWN:]}")

    def asked(self, plan: Plan) -> Side:
        """Whose daemon works, and is killed."""
        return plan.side or self.east

    def disturbed(self, plan: Plan, nth: int, name: str) -> tuple[Outcome, bool]:
        """How the command ended, and whether the daemon that was asked is dead."""
        mount, interposed = self.asked(plan)
        daemon = process_of(mount.store)
        outcome = Outcome.DONE
        with ExitStack() as stack:
            waits = os.pidfd_open(daemon)
            stack.callback(os.close, waits)
            writer = None
            if self.chance.randrange(3) == 0 and plan.side is None:
                writer = stack.enter_context(start_writer(self.mount.path / name, self.chance))
                assert writer.stdout
                lines = [writer.stdout.readline() for _ in range(5)]
            interposed.kill(nth=nth)
            for request in plan.requests:
                outcome = told(mount.store, request)
                if outcome is not Outcome.DONE:
                    break
            killed = interposed.killed()
            if killed == daemon or outcome is not Outcome.DONE:
                assert select.select([waits], [], [], END_SECONDS_MAX)[0], "it does not die"
            elif killed:  # the other side was, and the work went on by itself
                outcome = Outcome.BROKEN_OFF
            if writer is not None and writer.stdout is not None:
                writer.terminate()
                self.promised.update(acknowledged(lines + writer.stdout.readlines()))
        return outcome, process_of(mount.store) != daemon

    def after(self, plan: Plan, *, is_dead: bool) -> None:
        """Nothing is lost, and the work is done to its end. Raises AssertionError."""
        mount, interposed = self.asked(plan)
        interposed.let_be()
        if is_dead:
            started = time.monotonic()
            mount.mount()
            self.seconds.append(time.monotonic() - started)
        interposed.let_be()
        wrong = broken(self.promised)
        assert not wrong, "\n".join(wrong)
        if not plan.is_damaged:
            self.verify()
        self.finish(plan)
        mended = self.scrubbed()
        assert all(piece["Repaired"] for piece in mended), mended
        self.mended += len(mended)
        again = self.scrubbed()
        assert not again, f"a second scrub found {again}"
        if plan.is_damaged:
            self.verify()

    def scrubbed(self) -> list[dict[str, object]]:
        """What a scrub of everything found damaged. Raises AssertionError."""
        found = self.place.ask(Scrub(checks_metadata=True))
        assert not found["Metadata"], found["Metadata"]
        damaged = found["Damaged"]
        assert isinstance(damaged, list)
        return damaged

    def verify(self) -> None:
        """Every fact agrees with the ledger, and every version reads. Raises AssertionError."""
        verified = self.place.ask(Verify(reads_all=True))
        assert verified["Intact"], verified["Discrepancies"]

    def finish(self, plan: Plan) -> None:
        """What was broken off is taken up, and comes to its end."""
        if plan.again is not None:
            plan.again()
        else:
            for request in plan.requests:
                self.place.ask(request)
        plan.check()

    def compare_regions(self) -> None:
        """The other one has every file that it was told of. Raises Failed."""
        self.place.ask(AwaitReplication())
        make_room(self.west.store)
        self.west.mount()
        top = self.mount.path / "told"
        for name, expected in self.promised.items():
            if name.startswith(f"{top}/"):
                found = state_of(self.west.path / "told" / name.rpartition("/")[2])
                if found != expected:
                    raise Failed(f"the other region has {found} of {name}, not {expected}")

    def clean_up(self) -> None:
        """Nothing of it runs any more."""
        self.east.interposed.let_be()
        self.mount.clean_up()
        make_room(self.west.store)
        self.west.clean_up()
        end_processes(filter(None, [process_of(self.west.store)]))
