"""A whole store in memory, worked with by paths: the engine's tests read as what a person does."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import trio

from s3fs_local.crypto.aws_kms import AwsKms
from s3fs_local.crypto.key_ring import KeyRing
from s3fs_local.crypto.slot_secrets import KeyFile
from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.device_pace import DevicePace
from s3fs_local.engine.durability import RunBlocking
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.ledger_setup import ClockStart
from s3fs_local.engine.opening import Opened, Parts, make_root, open_filesystem
from s3fs_local.errors import EncryptionError
from s3fs_local.metadata.memory import MemoryMetadata
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.rules.inode import ROOT_INO, Caller, Inode
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.system.clock import Clock, SettableClock
from s3fs_local.system.randomness import SeededRandomness

STORE_ID = b"store in memory."
START_NS = 1_800_000_000 * SECOND_NS
ALICE = Caller(uid=1000, gid=1000, pid=100)
ROOT = Caller(uid=0, gid=0, pid=1)


class QuickDisk(DevicePace):
    """Every sync counts as quick, however loaded the machine is that runs the tests."""

    is_quick = True


async def at_once(function: Callable[[], Any]) -> Any:  # noqa: ANN401 - passes through
    """Runs it here: no thread, so that tests with a clock of their own are deterministic."""
    return function()


class MemoryStore:
    """An open store; `crash` loses what a killed daemon loses and opens it again."""

    def __init__(
        self,
        zone: ObjectStore | None = None,
        metadata: MemoryMetadata | None = None,
        *,
        make_zones: Callable[[], ZoneSet] | None = None,
        run_blocking: RunBlocking | None = None,
        make_clock: Callable[[ClockStart], Clock] | None = None,
        **settings: str,
    ) -> None:
        """Over one zone, or over those that `make_zones` gives each time the store is opened.

        `clock` is what it goes by, unless `make_clock` gives another.
        """
        self.clock = SettableClock(START_NS)
        self.randomness = SeededRandomness(1)
        self.metadata = MemoryMetadata() if metadata is None else metadata
        self.zone: ObjectStore = MemoryObjects() if zone is None else zone
        self._make_zones = make_zones
        self._run_blocking = run_blocking or at_once
        self._make_clock = make_clock or (lambda _: self.clock)
        self.ring = KeyRing.create(KeyFile(bytes(32)), randomness=self.randomness)
        self.saved_ring = self.ring.serialize()
        chosen = {name.replace("_", "-"): value for name, value in settings.items()}
        make_root(self.metadata, owner=ALICE, now_ns=START_NS, settings=chosen)
        self.opened: Opened = self._open()

    def _open(self) -> Opened:
        parts = Parts(
            store_id=STORE_ID,
            metadata=self.metadata,
            zones=self._make_zones() if self._make_zones else [self.zone],
            ring=self.ring,
            randomness=self.randomness,
            make_clock=self._make_clock,
            make_scratch=lambda: nullcontext(MemoryMetadata()),
            save_ring=self._save_ring,
            run_blocking=self._run_blocking,
            make_key_service=lambda endpoint, region: AwsKms(endpoint=endpoint, region=region),
        )
        opened = open_filesystem(parts)
        opened.filesystem.volume.durability.pace = QuickDisk()
        return opened

    def _save_ring(self, data: bytes) -> None:
        self.saved_ring = data

    @property
    def fs(self) -> FileSystem:
        """The file system."""
        return self.opened.filesystem

    def tick(self, seconds: int = 1) -> int:
        """Time passes; returns the new instant in ns."""
        self.clock.advance(seconds * SECOND_NS)
        return self.clock.now_ns()

    def flush(self, *, durable: bool = False) -> None:
        """What the daemon does every half second."""
        trio.run(lambda: self.fs.volume.durability.flush(durable=durable))

    def settle(self) -> None:
        """The metadata engine commits."""
        trio.run(self.fs.volume.durability.settle)

    def crash(self) -> None:
        """The daemon is killed and the store opened again."""
        self.metadata.close()  # goes on from its last commit
        self.ring = KeyRing.open(self.saved_ring, KeyFile(bytes(32)), randomness=self.randomness)
        self.opened = self._open()

    def place(self, path: str) -> tuple[int, bytes]:
        """The directory and name that the path means; the last name need not exist."""
        *above, name = path.encode(errors="surrogateescape").strip(b"/").split(b"/")
        ino = ROOT_INO
        for part in above:
            ino = self.fs.lookup(ino, part).ino
        return ino, name

    def stat(self, path: str) -> Inode:
        """The attributes of the path; `/` is the root."""
        if path == "/":
            return self.fs.getattr(ROOT_INO)
        return self.fs.lookup(*self.place(path))

    def exists(self, path: str) -> bool:
        """Whether the path means something now."""
        return self.fs.volume.metadata.lookup(*self.place(path)) is not None

    def open(self, path: str, flags: int = os.O_RDWR, caller: Caller = ALICE) -> int:
        """The number of a new handle; the file is made with O_CREAT."""
        parent, name = self.place(path)
        if flags & os.O_CREAT and self.fs.volume.metadata.lookup(parent, name) is None:
            return self.fs.create(parent, name, 0o100644, flags, caller)[0].handle
        return self.fs.open(self.stat(path).ino, flags & ~os.O_CREAT, caller).handle

    def close(self, handle: int) -> None:
        """The only descriptor is closed."""
        self.fs.flush(handle)
        self.fs.release(handle)

    def open_waiting(self, path: str, flags: int = os.O_RDWR) -> int:
        """As `open`, waiting for a key service as the front does.

        A file that is made stays only if it can be written.
        """
        parent, name = self.place(path)
        if flags & os.O_CREAT and self.fs.volume.metadata.lookup(parent, name) is None:
            handle = self.fs.create(parent, name, 0o100644, flags, ALICE)[0].handle
            try:
                while self.fs.lacks_key_for_new(handle):
                    trio.run(self.fs.obtain_keys)
            except EncryptionError:
                self.fs.take_back(parent, name, handle)
                raise
            return handle
        ino = self.stat(path).ino
        while self.fs.lacks_keys(ino, flags):
            trio.run(self.fs.obtain_keys)
        return self.fs.open(ino, flags & ~os.O_CREAT, ALICE).handle

    def write(self, path: str, content: bytes, caller: Caller = ALICE) -> None:
        """The file holds the content, as after `> path`."""
        self.tick()
        handle = self.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, caller)
        if content:
            self.fs.write(handle, 0, content)
        self.close(handle)

    def append(self, path: str, content: bytes, caller: Caller = ALICE) -> None:
        """The content follows what was there, as after `>> path`."""
        self.tick()
        handle = self.open(path, os.O_CREAT | os.O_WRONLY, caller)
        self.fs.write(handle, self.stat(path).size, content)
        self.close(handle)

    def patch(self, path: str, offset: int, content: bytes) -> None:
        """Some bytes of the file are replaced in place."""
        self.tick()
        handle = self.open(path)
        self.fs.write(handle, offset, content)
        self.close(handle)

    def read(self, path: str) -> bytes:
        """The whole content."""
        return self.read_ino(self.stat(path).ino)

    def read_ino(self, ino: int) -> bytes:
        """The whole content of an inode, real or of a view."""
        handle = self.fs.open(ino, os.O_RDONLY, ALICE).handle
        content = trio.run(self.fs.read, handle, 0, 1 << 30)
        self.fs.release(handle)
        return content

    def mkdir(self, path: str) -> None:
        """The directory is made."""
        self.tick()
        self.fs.mkdir(*self.place(path), 0o040755, ALICE)

    def remove(self, path: str, caller: Caller = ALICE) -> None:
        """The name is gone, as after rm or rmdir."""
        self.tick()
        if self.stat(path).is_directory:
            self.fs.rmdir(*self.place(path), caller)
        else:
            self.fs.unlink(*self.place(path), caller)

    def rename(self, old: str, new: str, flags: int = 0, caller: Caller = ALICE) -> None:
        """What `old` meant has the new name."""
        self.tick()
        self.fs.rename(*self.place(old), *self.place(new), flags, caller)

    def link(self, old: str, new: str) -> None:
        """The file has one more name."""
        self.tick()
        self.fs.link(self.stat(old).ino, *self.place(new), ALICE)

    def chmod(self, path: str, mode: int) -> None:
        """The path has these permission bits."""
        self.tick()
        self.fs.setattr(self.stat(path).ino, AttributeChange(mode=mode), None, ALICE)

    def truncate(self, path: str, size: int) -> None:
        """The file has this size."""
        self.tick()
        self.fs.setattr(self.stat(path).ino, AttributeChange(size=size), None, ALICE)

    def listing(self, path: str) -> list[bytes]:
        """The names in a directory, real or of a view."""
        handle = self.fs.opendir(self.stat(path).ino, ALICE)
        names = [name for name, _, _ in self.fs.readdir(handle, 0)]
        self.fs.releasedir(handle)
        return names

    def history(self, path: str) -> list[bytes]:
        """The contents in the history of the path, newest first."""
        items = self.fs.histories.of_name(*self.place(path)).items
        return [
            self._content(item.version.ino, item.version.stamp_ns, item.size)
            for item in items
            if item.version is not None
        ]

    def _content(self, ino: int, stamp_ns: int, size: int) -> bytes:
        if not size:
            return b""
        layouts = self.fs.reading.layouts(ino, stamp_ns)
        return self.fs.reading.read_blocking(layouts, 0, size)
