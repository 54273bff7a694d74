"""SIGTERM ends a daemon whose programs synced nothing, and everything is durable.

Files stay open and dirty, some through mappings, others are small and closed; a scrub runs, and
bytes move to another class. The daemon ends with exit code 0, the mount is gone, the work is broken
off at a step, and the next mount has every byte. How long it took is measured, not judged.
"""

import hashlib
import mmap
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from s3fs_local.control.requests import ChangeClass, Scrub, Verify
from s3fs_local.errors import DaemonUnreachable
from tests.campaigns.conversation import Begun, Outcome, answer
from tests.campaigns.kills import broken, state_of
from tests.campaigns.line import Failed, Figures, Piece
from tests.mounting import CAUTIOUSLY, COMMAND, MARK, MountedStore, is_mounted, s3fs_local

ZONES: Final = 3
OPEN_FILES: Final = 6
SMALL_A_MIB: Final = 2
MIB: Final = 1 << 20
MAPPED_BYTES: Final = 4 * MIB
MOVED_BYTES: Final = 24 * MIB
END_SECONDS_MAX: Final = 300.0
"""Beyond this it is a hang, on any machine."""


def run(piece: Piece) -> Figures:
    """So many MiB are dirty when the signal comes."""
    (piece.folder / "mount").mkdir()
    zones = [str(piece.folder / f"zone-{number}") for number in range(ZONES)]
    options = [word for zone in zones for word in ("--zone", zone)]
    s3fs_local("init", piece.folder / "store", *options)
    mount = MountedStore(piece.folder / "store", piece.folder / "mount")
    try:
        found = ended(mount, megabytes=piece.size, chance=random.Random(piece.seed))
    finally:
        mount.clean_up()
    return found


def ended(mount: MountedStore, *, megabytes: int, chance: random.Random) -> Figures:
    """How it went. Raises Failed."""
    with served(mount) as daemon, ExitStack() as stack:
        expected = dirtied(mount.path, megabytes, chance, stack)
        work = [
            stack.enter_context(Begun(mount.store, request))
            for request in (ChangeClass(b"moved", "STANDARD_IA"), Scrub())
        ]
        for one in work:
            one.wait_until_read()
        started = time.monotonic()
        daemon.terminate()
        code = daemon.wait(END_SECONDS_MAX)
        seconds = time.monotonic() - started
        broken_off = sum(_was_broken_off(one) for one in work)
    if code or is_mounted(mount.path):
        raise Failed(f"exit code {code}, mounted: {is_mounted(mount.path)}")
    mount.mount()
    wrong = broken(expected)
    verified = answer(mount.store, Verify(reads_all=True))
    if wrong or not verified["Intact"]:
        raise Failed("\n".join([*wrong, str(verified["Discrepancies"])]))
    return {"files": len(expected), "lost": 0, "broken off": broken_off, "most seconds": seconds}


def _was_broken_off(work: Begun) -> bool:
    try:
        return work.outcome() is not Outcome.DONE
    except DaemonUnreachable:  # so it says, in words
        return True


def dirtied(
    folder: Path, megabytes: int, chance: random.Random, stack: ExitStack
) -> dict[str, tuple[int, str] | None]:
    """What must be in each file: nothing of it was synced, and the large ones stay open."""
    (folder / "moved").write_bytes(chance.randbytes(MOVED_BYTES))
    digests = {}
    for number in range(OPEN_FILES):
        name = str(folder / f"open-{number}")
        handle = os.open(name, os.O_WRONLY | os.O_CREAT)
        stack.callback(_closed, handle)
        digest = hashlib.sha256()
        size = max(megabytes // OPEN_FILES, 1)
        for _ in range(size):
            data = chance.randbytes(MIB)
            os.write(handle, data)
            digest.update(data)
        digests[name] = (size * MIB, digest.hexdigest())
    for number in range(SMALL_A_MIB * megabytes):
        data = chance.randbytes(1000)
        (folder / f"small-{number}").write_bytes(data)
        digests[str(folder / f"small-{number}")] = (1000, hashlib.sha256(data).hexdigest())
    data = chance.randbytes(MAPPED_BYTES)
    with (folder / "mapped").open("w+b") as file:
        file.truncate(MAPPED_BYTES)
        mapped = stack.enter_context(mmap.mmap(file.fileno(), MAPPED_BYTES))
    mapped[:] = data
    digests[str(folder / "mapped")] = (MAPPED_BYTES, hashlib.sha256(data).hexdigest())
    digests[str(folder / "moved")] = state_of(folder / "moved")  # type: ignore[assignment]
    return dict(digests)


def _closed(handle: int) -> None:
    with suppress(OSError):  # the mount is gone
        os.close(handle)


@contextmanager
def served(mount: MountedStore) -> Iterator["subprocess.Popen[bytes]"]:
    """The store is mounted, by a process whose exit code can be asked for."""
    place = mount.store.parent
    command: list[str | Path] = [
        *CAUTIOUSLY,
        *COMMAND,
        "mount",
        "--foreground",
        mount.store,
        mount.path,
    ]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        address = place / "ready"
        ready.bind(str(address))
        ready.settimeout(END_SECONDS_MAX)
        told = {MARK: str(mount.path), "NOTIFY_SOCKET": str(address)}
        with (place / "served.log").open("wb") as said:
            daemon = subprocess.Popen(
                command, stderr=said, env=os.environ | mount.environment | told
            )
        try:
            assert ready.recv(100) == b"READY=1"
            yield daemon
        finally:
            if daemon.poll() is None:
                daemon.kill()
            daemon.wait()
