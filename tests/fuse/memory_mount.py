"""A store in memory, mounted by a process: `python -m tests.fuse.memory_mount WORDS`.

It says `ready` when it is, obeys one-word commands on its standard input, and at the end prints how
many requests of each kind there were. A process of its own, because a program that waits for a
mount of its own process cannot even be killed.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import trio

from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.errors import S3fsLocalError
from s3fs_local.fuse.invalidator import Invalidator
from s3fs_local.fuse.kernel_mount import Mounting
from s3fs_local.fuse.operations import Operations
from s3fs_local.fuse.reader_gate import ReaderGate
from s3fs_local.fuse.session import serve
from s3fs_local.rules.inode import ROOT_INO, SYSTEM, Caller, Inode
from tests.engine.memory_store import MemoryStore
from tests.mounting import unmount_by_force

UNFIT = 3  # exit status: the mount was refused


class MemoryMount:
    """The process behind a mount, as a test sees it."""

    def __init__(self, path: Path, process: "subprocess.Popen[str]") -> None:
        self.path = path
        self.process = process
        self.said: list[str] = []

    def wait_for(self, word: str) -> None:
        """Waits until the process has said the word; it must not end before."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if line.strip() == word:
                return
        raise AssertionError(f"ended without {word!r}: {self.said}")

    def give(self, word: str) -> None:
        """Gives a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def order(self, word: str) -> None:
        """Gives a command and waits until it was carried out."""
        self.give(word)
        self.wait_for(f"done {word}")

    def end(self, number: int = signal.SIGTERM) -> dict[str, int]:
        """Ends the process as the daemon is ended; returns how many requests it had."""
        self.process.send_signal(number)
        return self.counts()

    def counts(self) -> dict[str, int]:
        """How many requests of each kind there were; waits for the end of the process."""
        output, _ = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, [*self.said, output]
        return Counter(msgspec.json.decode(output.splitlines()[-1], type=dict[str, int]))


@contextmanager
def memory_mount(path: Path, *prefix: str, **options: object) -> Iterator[MemoryMount]:
    """A store in memory mounted on the directory; afterwards neither mount nor process is there.

    `prefix`: a command to start the process by, such as one that changes the user. `options`:
    fields of `Mounting`.
    """
    with start(path, *prefix, **options) as mount:
        mount.wait_for("ready")
        yield mount


@contextmanager
def start(path: Path, *prefix: str, **options: object) -> Iterator[MemoryMount]:
    """As `memory_mount`, but does not wait until it is ready."""
    words = {"mount_point": str(path), "store": "/the/store", **options}
    command = [*prefix, sys.executable, "-m", "tests.fuse.memory_mount", json.dumps(words)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    ) as process:
        try:
            yield MemoryMount(path, process)
        finally:
            process.kill()
            if process.poll() is None:  # a thread of it may wait for the mount, deaf to signals
                subprocess.run(["umount", "-f", path], capture_output=True, check=False)
            unmount_by_force(path)


class Faulty(FileSystem):
    """An engine with a bug in one place."""

    def readlink(self, ino: int) -> bytes:
        """Never works."""
        raise ZeroDivisionError(ino)

    async def set_lock_attribute(self, ino: int, name: bytes, value: bytes, caller: Caller) -> None:
        """Never comes back."""
        del ino, name, value, caller
        print("stuck", flush=True)  # noqa: T201
        await trio.sleep_forever()


class Elsewhere:
    """Changes that do not come through the mount, as commands and tiering make them."""

    def __init__(self, fs: FileSystem, invalidator: Invalidator) -> None:
        self._fs = fs
        self._invalidator = invalidator

    async def remove(self) -> None:
        """The name `file` is gone."""
        self._fs.unlink(ROOT_INO, b"file", SYSTEM)
        self._invalidator.entry(ROOT_INO, b"file")

    async def make(self) -> None:
        """The name `folder` is there."""
        self._fs.mkdir(ROOT_INO, b"folder", 0o040755, SYSTEM)
        self._invalidator.entry(ROOT_INO, b"folder")

    async def rewrite(self) -> None:
        """The file `file` holds `new`."""
        inode: Inode = self._fs.lookup(ROOT_INO, b"file")
        handle = self._fs.open(inode.ino, os.O_WRONLY | os.O_TRUNC, SYSTEM).handle
        self._fs.write(handle, 0, b"new")
        self._fs.flush(handle)
        self._fs.release(handle)
        self._invalidator.inode(inode.ino)

    async def crash(self) -> None:
        """A part of the daemon fails while the kernel is being told something."""
        self._invalidator.entry(ROOT_INO, b"file")
        while not self._invalidator.is_telling:
            await trio.lowlevel.checkpoint()
        raise ZeroDivisionError

    async def obey(self) -> None:
        """Carries out the commands on standard input, and says when each is done and told."""
        commands = {
            "remove": self.remove,
            "make": self.make,
            "rewrite": self.rewrite,
            "crash": self.crash,
        }
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            await commands[line.strip()]()
            await self._invalidator.settled()
            print("done", line.strip(), flush=True)  # noqa: T201


async def _serve(mounting: Mounting, *, faulty: bool) -> None:
    store = MemoryStore()
    fs = Faulty(store.fs.volume) if faulty else store.fs
    gate, invalidator = ReaderGate(), Invalidator()

    def on_bug(bug: Exception) -> None:
        print("bug", repr(bug), flush=True)  # noqa: T201

    operations = Operations(fs, gate, on_bug)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Elsewhere(fs, invalidator).obey)
        await serve(
            operations,
            gate,
            mounting,
            invalidator=invalidator,
            on_ready=lambda: print("ready", flush=True),  # noqa: T201
        )
        nursery.cancel_scope.cancel()
    print(json.dumps(operations.activity.counts))  # noqa: T201


def main() -> None:
    """Mounts as the words on the command line say."""
    words = json.loads(sys.argv[1])
    faulty = words.pop("faulty", False)
    mounting = msgspec.convert(
        words, Mounting, dec_hook=lambda kind, value: kind(value), strict=False
    )
    try:
        trio.run(lambda: _serve(mounting, faulty=faulty))
    except ExceptionGroup as failures:
        unfit, rest = failures.split(S3fsLocalError)
        if unfit is None or rest is not None:
            raise
        print(type(unfit.exceptions[0]).__name__, unfit.exceptions[0])  # noqa: T201
        sys.exit(UNFIT)


if __name__ == "__main__":
    main()
