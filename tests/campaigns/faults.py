"""The nth system call on the files of the store fails, once or for ever.

The error reaches whoever asked, nothing acknowledged is lost, no wrong byte is read, and the daemon
lives. Then it is killed, and the next mount finds everything and takes new files.
"""

import errno
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from s3fs_local.daemon.log_setup import LOG_NAME
from tests.campaigns.interposed import KINDS, Interposed
from tests.campaigns.kills import Promised, acknowledged, broken
from tests.campaigns.line import Failed, Figures, Piece, added
from tests.mounting import MountedStore, end_processes, processes_marked, s3fs_local

SECONDS_MAX: Final = 60
ERRORS: Final = {
    kind: (
        *(errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ENOMEM),
        *([errno.EMFILE] if kind == "open" else []),
    )
    for kind in KINDS
}

# Like the writer of `kills`, but goes on after errors, and never again with a name that had one.
WORKER: Final = """
import hashlib, os, random, sys
folder, seed = sys.argv[1:]
chance = random.Random(seed)
contents, spoiled = {}, set()
def sync_folder():
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
def save(name, data, flags, at):
    handle = os.open(name, flags | os.O_CREAT, 0o644)
    try:
        written = 0
        while written < len(data):  # a call may write a part, and the next one tell the error
            written += os.pwrite(handle, data[written:], at + written)
        os.fsync(handle)
    finally:
        os.close(handle)
def step(name, kind):
    old = contents.get(name, b"")
    data = chance.randbytes(chance.choice((1, 200, 4096, 70_000, 1_200_000)))
    if kind == "read":
        with open(name, "rb") as file:
            if file.read() != old:
                print("0 wrong", name, flush=True)
        return
    print("0 maybe", name, flush=True)
    if kind == "delete":
        os.unlink(name)
        sync_folder()
        contents.pop(name)
        print("0 gone", name, flush=True)
        return
    if kind == "append":
        data, flags, at = data, os.O_WRONLY, len(old)
        contents[name] = old + data
    else:
        flags, at = os.O_WRONLY | os.O_TRUNC, 0
        contents[name] = data
    target = name + ".new" if kind == "replace" else name
    save(target, data, flags, at)
    if kind == "replace":
        os.rename(target, name)
    sync_folder()
    new = contents[name]
    print("0 kept", name, len(new), hashlib.sha256(new).hexdigest(), flush=True)
try:
    os.mkdir(folder)
except OSError as error:
    print("0 error", error.errno)
    sys.exit()
for number in range(30):
    name = f"{folder}/{chance.randrange(12)}"
    if name in spoiled:
        continue
    kinds = ("new", "append", "replace", "delete", "read") if name in contents else ("new",)
    try:
        step(name, chance.choice(kinds))
    except OSError as error:
        spoiled.add(name)
        print("0 error", error.errno, flush=True)
"""


class Trials:
    """One store, mounted with calls that fail on demand, and what its users were promised."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        (folder / "mount").mkdir()
        s3fs_local("init", folder / "store")
        self.chance = chance
        self.interposed = Interposed(folder, folder / "store")
        self.mount = MountedStore(folder / "store", folder / "mount")
        self.mount.environment = self.interposed.environment
        self.promised: Promised = {}
        self._log_read = 0
        self.mount.mount()
        self.usual = {"work": self._counted(lambda: self.work("usual"))}
        self.mount.kill()
        self.usual["mount"] = self._counted(self.mount.mount)

    def _counted(self, act: Callable[[], object]) -> dict[str, int]:
        """How many calls of each kind it makes when nothing fails."""
        self.interposed.let_be()
        act()
        return self.interposed.calls()

    def work(self, name: str) -> list[str]:
        """What the worker says, line by line; what it was promised is noted."""
        folder = self.mount.path / name
        result = subprocess.run(
            [sys.executable, "-c", WORKER, folder, str(self.chance.random())],
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        lines = result.stdout.splitlines(keepends=True)
        if result.returncode != 0 or any(" wrong " in line for line in lines):
            raise Failed(f"wrong bytes or no end:\n{result.stdout}{result.stderr}")
        self.promised |= acknowledged([line for line in lines if " error " not in line])
        return [line for line in lines if " error " in line]

    def trial(self, name: str) -> Figures:
        """One fault, while the worker works or while a store that was killed is mounted.

        Raises Failed.
        """
        when = self.chance.choice(("work", "work", "mount"))
        usual = self.usual[when]
        kind = self.chance.choice([kind for kind in KINDS if usual[kind]])
        error = self.chance.choice(ERRORS[kind])
        nth = self.chance.randrange(1, usual[kind] // 2 + 2)  # most meet it, whatever they do
        for_ever = bool(self.chance.randrange(2))
        words = f"at {when}, {kind} number {nth} fails {'for ever' if for_ever else 'once'} with "
        words += errno.errorcode[error]
        try:
            if when == "mount":
                self.mount.kill()
            self.interposed.fail(kind, nth=nth, error=error, for_ever=for_ever)
            figures = self._mount_in_spite() if when == "mount" else self._work_in_spite(name, kind)
            self.interposed.let_be()
            end_processes(processes_marked(self.mount.path))
            self.mount.mount()
            wrong = broken(self.promised) + self._after(name) + self._unexpected()
        except (AssertionError, OSError, subprocess.TimeoutExpired) as failure:
            raise Failed(f"{words}: {failure}") from None
        if wrong:
            raise Failed(f"{words}:\n" + "\n".join(wrong))
        return figures

    def _work_in_spite(self, name: str, kind: str) -> Figures:
        told = self.work(name)
        met = self.interposed.failed()
        is_read_only = self._refuses_writes()
        if not any(processes_marked(self.mount.path)):
            raise Failed("the daemon died")
        if kind == "sync" and met and not (told or is_read_only):
            raise Failed("nobody was told, and the store goes on")
        return {"faults met": min(met, 1), "told": min(len(told), 1), "read-only": is_read_only}

    def _mount_in_spite(self) -> Figures:
        """The mount works, or the command says that it did not, and why."""
        result = self.mount.mount(check=False)
        met = self.interposed.failed()
        if "Traceback" in result.stderr or (result.returncode and not result.stderr.strip()):
            raise Failed(f"exit {result.returncode}: {result.stderr}")
        is_refused = int(result.returncode != 0)
        return {"faults met": min(met, 1), "told": is_refused, "mounts refused": is_refused}

    def _unexpected(self) -> list[str]:
        """What the daemon met and had no words for, by its log since the last time."""
        log = (self.mount.store / LOG_NAME).read_text(errors="replace")
        new, self._log_read = log[self._log_read :], len(log)
        return [new] if "Traceback (most recent call last)" in new else []

    def _refuses_writes(self) -> int:
        try:
            (self.mount.path / "probe").write_text("x")
        except OSError as error:
            return int(error.errno == errno.EROFS)
        return 0

    def _after(self, name: str) -> list[str]:
        """A store that was mounted again takes new files."""
        path = self.mount.path / f"after {name}"
        try:
            path.write_text("new")
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        except OSError as failure:
            return [f"mounted again, it takes no new file: {failure}"]
        return []


def run(piece: Piece) -> Figures:
    """As many faults as the piece is large."""
    trials = Trials(piece.folder, random.Random(piece.seed))
    figures: Figures = {}
    try:
        for number in range(piece.size):
            figures = added(figures, trials.trial(f"work{number}"))
    finally:
        trials.mount.clean_up()
    return {**figures, "files acknowledged": len(trials.promised), "lost": 0}
