"""A command that changes a store is killed before each call that changes a file, and at its end.

Whoever carries it out is stopped before each such call, and all that lies on the disk is copied:
that is what a SIGKILL there leaves. Each such state opens, holds every file and version, says what
was before the command or what comes after it, and takes the command again. Where a daemon carries
it out, the client that asked for it is killed, too: at each of its own calls, and while the daemon
works.
"""

import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import trio

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.daemon.receiving import make_room
from s3fs_local.daemon.store_file import STORE_FILE_NAME
from s3fs_local.system.durable_files import temporary_name
from s3fs_local.system.immutable_files import is_immutable, set_immutable
from tests.campaigns import admin_trials as trials
from tests.campaigns.admin_commands import COMMANDS, Command, Site, fill
from tests.campaigns.interposed import Call, Interposed, standing_still
from tests.campaigns.line import Failed, Figures, Piece
from tests.mounting import (
    CAUTIOUSLY,
    COMMAND,
    COMPILED_ONCE,
    MountedStore,
    processes_marked,
    s3fs_local,
)
from tests.mounting import run as run_program
from tests.store_on_disk import opened

Thing = TypeVar("Thing")

CALLS_IN_A_ROW_MAX: Final = 4
"""Of more calls of one kind on one file, one after the other: the rest is more of the same."""


STATES_MAX: Final = 250
"""No cell has more."""


class Dies(Enum):
    """Who is killed."""

    COMMAND = "alone"
    DAEMON = "on a mount"
    CLIENT = "by a client"


class Cell(NamedTuple):
    """A command, and who dies over it."""

    command: Command
    dies: Dies

    def __str__(self) -> str:
        return f"{self.command.name}, {self.dies.value}"


CELLS: Final = tuple(
    Cell(command, dies)
    for dies in Dies
    for command in COMMANDS
    if (dies is Dies.COMMAND and not command.needs_mount)
    or (dies is not Dies.COMMAND and command.is_mounted)
)


class State(NamedTuple):
    """What lay on the disk before a call."""

    folder: Path
    before: str


def run(piece: Piece) -> Figures:
    """The cell of that seed, and of its states (or clients) at most so many, evenly chosen."""
    cell = CELLS[piece.seed % len(CELLS)]
    sweep = _Sweep(piece.folder, cell, most=piece.size)
    try:
        sweep.run()
    except Failed as failure:
        raise Failed(f"{cell}: {failure}") from failure
    finally:
        remove_flags(piece.folder)
    return {**sweep.figures, "lost": 0}


def evenly(things: Sequence[Thing], most: int) -> Sequence[Thing]:
    """At most so many of them, the first and the last too."""
    if len(things) <= most:
        return things
    return [things[number * (len(things) - 1) // max(most - 1, 1)] for number in range(most)]


class _Sweep:
    """One cell."""

    def __init__(self, folder: Path, cell: Cell, *, most: int) -> None:
        self.most = most
        self.command = cell.command
        self.dies = cell.dies
        self.site = Site(folder)
        os.environ.update(self.site.environment)
        self.states = folder / "states"
        self.states.mkdir()
        self.interposed = Interposed(folder, self.site.disk)
        self.mounted = MountedStore(self.site.store, self.site.mount)
        self.figures = Counter({"system calls": 0, "states": 0, "clients": 0, "pieces mended": 0})
        self.recorded: list[State] = []
        self.last = b""

    def run(self) -> None:
        """Raises Failed with all that is wrong."""
        self.prepare()
        try:
            problems = self.clients() if self.dies is Dies.CLIENT else self.sweep()
        finally:
            self.clean_up()
        if problems:
            raise Failed("\n".join(problems))

    def prepare(self) -> None:
        """The store is there, and closed."""
        site, command = self.site, self.command
        if command.makes:
            return
        options = [word for zone in site.zones for word in ("--zone", str(zone))]
        locks = ["--object-lock"] if command.has_locks else []
        s3fs_local("init", site.store, *locks, *options)
        command.first(site)
        site.contents = trials.apart(self.filled)
        command.beside(site)

    def filled(self) -> dict[str, bytes]:
        """What is in it."""

        async def work() -> None:
            async with opened(self.site.store) as disk:
                await fill(self.site, disk, has_locks=self.command.has_locks)
                await self.command.prepare(self.site, disk)

        if self.command.fills is None:
            trio.run(work)
        else:
            trio.run(self.command.fills, self.site)
        return self.site.contents

    def sweep(self) -> list[str]:
        """What is wrong with each state."""
        self.record()
        before = self.reading_of(self.recorded[0])
        after = self.reading_of(self.recorded[-1])
        usual = trials.names(self.site.disk)
        problems: list[str] = []
        for state in evenly(self.recorded, self.most):
            self.place(state)
            wrong = self.tried(before, after, usual)
            problems.extend(f"killed before {state.before}: {each}" for each in wrong)
            self.figures["states"] += 1
        return problems

    def record(self) -> None:
        """The states are there, the one before the first call first. Raises Failed."""
        environment = {}
        if self.dies is Dies.DAEMON:
            self.mount()
            self.write_something()
        else:
            environment = self.interposed.environment
        last, in_a_row = "", 0
        try:
            with self.asking(environment) as client:
                for call in self.watched(client):
                    self.figures["system calls"] += 1
                    what = f"{call.name} {call.path.replace(str(self.site.disk), '')}"
                    in_a_row = in_a_row + 1 if what == last else 0
                    last = what
                    if in_a_row < CALLS_IN_A_ROW_MAX:
                        self.keep(what)
                said, code = client.communicate()[0], client.returncode
            self.let_west_go()
            if code:
                raise Failed(f"exit {code} {said}")
            with ExitStack() as stack:
                for process in processes_marked(self.site.mount):
                    stack.enter_context(standing_still(process))
                self.keep("nothing more")
        finally:
            self.clean_up()

    def clients(self) -> list[str]:
        """What is wrong after each of the clients that were killed."""
        self.mount()
        self.write_something()
        self.mounted.umount()
        self.keep("the command")
        calls = self.calls_of_a_client(None)
        after = self.leave()
        usual = trials.names(self.site.disk)
        own = [("client", number) for number in range(len(calls["client"]))]
        problems: list[str] = []
        for who, number in evenly([("daemon", len(calls["daemon"]) // 2), *own], self.most):
            self.place(self.recorded[0])
            self.calls_of_a_client((who, number))
            wrong = self.given_again()
            reading = self.leave()
            if not self.command.counts_on:
                wrong += trials.differences(reading, after, after, gradual=False)
            wrong += self.left_behind(usual)
            words = f"the client was killed at call {number} of the {who}"
            problems.extend(f"{words}: {each}" for each in wrong)
            self.figures["clients"] += 1
        return problems

    def calls_of_a_client(self, killed_at: tuple[str, int] | None) -> dict[str, list[Call]]:
        """What client and daemon did on the disk, until the client was killed or had its answer."""
        self.mount()
        calls: dict[str, list[Call]] = {"client": [], "daemon": []}
        with self.asking(self.interposed.environment) as client:
            for call in self.watched(client):
                who = "client" if call.process == client.pid else "daemon"
                if (who, len(calls[who])) == killed_at:
                    client.kill()
                calls[who].append(call)
            said, code = client.communicate()[0], client.returncode
        if code not in (0, -signal.SIGKILL):
            raise Failed(f"exit {code} {said}")
        return calls

    def given_again(self) -> list[str]:
        """What is wrong with the answer to another client."""
        self.let_west_go()
        answered = self.answer()
        if answered.code and self.command.obeys(self.site, answered.words):
            answered = self.answer()
        return trials.refusals(self.command, answered)

    def answer(self) -> trials.Answered:
        """What the daemon answers somebody who tries what may open the store."""
        for words in self.all_words():
            done = run_program(*COMMAND, *words, check=False)
            if done.returncode != ExitCode.WRONG_KEY:
                break
        return trials.Answered(done.returncode, done.stdout + done.stderr)

    def leave(self) -> trials.Reading:
        """What the store says once it is unmounted."""
        self.clean_up()
        reading: trials.Reading = trials.apart(trials.read, self.site, self.command)[0]
        return reading

    @contextmanager
    def asking(self, environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
        """Somebody gives the command."""
        with subprocess.Popen(
            [*CAUTIOUSLY, *COMMAND, *self.all_words()[0]],
            env={**os.environ, **COMPILED_ONCE, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as client:
            yield client

    def watched(self, client: "subprocess.Popen[str]") -> Iterator[Call]:
        """Each call on the disk that changes something, until the client has ended."""
        ends = os.pidfd_open(client.pid)
        try:
            yield from self.interposed.watched(ends)
        finally:
            os.close(ends)

    def all_words(self) -> list[Sequence[str | Path]]:
        """What is typed by somebody who tries what may open the store, the likeliest first."""
        words = self.command.words(self.site)
        return [
            words if number is None else ["--passphrase-file", self.site.passphrase(number), *words]
            for number in self.command.opens
        ]

    def mount(self) -> None:
        """The store is mounted, and its daemon is watched when somebody wants to."""
        number = self.command.opens[0]
        if number is not None:
            passphrase = str(self.site.passphrase(number))
            self.mounted.environment["S3FS_LOCAL_PASSPHRASE_FILE"] = passphrase
        self.mounted.environment |= self.interposed.environment
        self.mounted.mount()

    def write_something(self) -> None:
        """A file there is durable, with its version."""
        if self.command.fills is not None:
            return  # nobody may write to a replica
        self.site.contents["mounted"] = os.urandom(5000)
        with (self.site.mount / "mounted").open("wb") as file:
            file.write(self.site.contents["mounted"])
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self.site.mount, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def keep(self, call: str) -> None:
        """What lies there now is a state, if it is another than the last."""
        found = fingerprint(self.site.disk)
        if found != self.last:
            folder = self.states / str(len(self.recorded))
            copy_tree(self.site.disk, folder)
            self.recorded.append(State(folder, call))
        self.last = found

    def place(self, state: State) -> None:
        """The disk is as it was then."""
        self.let_west_go()
        remove_tree(self.site.disk)
        copy_tree(state.folder, self.site.disk)

    def reading_of(self, state: State) -> trials.Reading:
        """What the store says then."""
        self.place(state)
        if self.command.makes and not (self.site.store / STORE_FILE_NAME).exists():
            return {}
        reading: trials.Reading = trials.apart(trials.read, self.site, self.command)[0]
        return reading

    def tried(
        self, before: trials.Reading, after: trials.Reading, usual: Counter[str]
    ) -> list[str]:
        """What is wrong with the state that lies there."""
        try:
            wrong, mended = trials.apart(trials.killed, self.site, self.command, before, after)
        except Failed as failure:
            return [str(failure)]
        self.figures["pieces mended"] += mended
        return [*wrong, *self.left_behind(usual)]

    def left_behind(self, usual: Counter[str]) -> list[str]:
        """What lies there, and no undisturbed command leaves."""
        # Under its one name the next to write the file writes over it.
        begun = {f"store/{temporary_name(name.removeprefix('store/'))}" for name in usual}
        left = trials.names(self.site.disk)
        return [f"{name} is left behind" for name in left if name not in {*usual, *begun}]

    def clean_up(self) -> None:
        """Nothing of it runs any more."""
        self.mounted.clean_up()
        self.let_west_go()
        self.interposed.close()

    def let_west_go(self) -> None:
        """The process that receives for another region, which outlives the command, has ended."""
        if (self.site.west / STORE_FILE_NAME).exists():
            make_room(self.site.west)


def copy_tree(source: Path, target: Path) -> None:
    """All files and their flags."""
    sockets = shutil.ignore_patterns("*.sock")  # nobody listens at them any more
    shutil.copytree(source, target, symlinks=True, ignore=sockets)
    for path in source.rglob("*.pack"):
        if is_immutable(path):
            set_immutable(target / path.relative_to(source), wanted=True)


def remove_tree(folder: Path) -> None:
    """Whatever flags files there have."""
    remove_flags(folder)
    shutil.rmtree(folder)


def remove_flags(folder: Path) -> None:
    """Files there can be removed."""
    for path in folder.rglob("*.pack"):
        with suppress(OSError):
            set_immutable(path, wanted=False)


def fingerprint(folder: Path) -> bytes:
    """Of all names, modes, flags and bytes."""
    digest = sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(f"{path.relative_to(folder)}\0{path.lstat().st_mode}\0".encode())
        if path.is_file():
            digest.update(sha256(path.read_bytes()).digest())
            digest.update(bytes([is_immutable(path)]))
    return digest.digest()
