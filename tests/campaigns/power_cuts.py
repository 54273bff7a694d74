"""The power goes at any moment: what fsync acknowledged is there, and mounting is all it takes.

Below the filesystem that holds the store lies a disk that remembers every write and flush. A state
is what a disk may show after a cut: all that was flushed, and any part of what came after the last
flush, sectors torn off included. Each state is mounted, the store in it is mounted, and compared
with what programs had been told by then. The control does the same with a daemon whose syncs do
nothing: there, something must be lost.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.campaigns.interposed import Interposed
from tests.campaigns.kills import acknowledged, broken, start_writer
from tests.campaigns.line import Failed, Figures, Piece
from tests.campaigns.logging_disk import FLUSH, NAME, Request, requests
from tests.campaigns.loop_disks import make_image, mounted
from tests.mounting import (
    CommandFailed,
    MountedStore,
    end_processes,
    processes_marked,
    run,
    s3fs_local,
    unmount_by_force,
)

FILESYSTEMS: Final = ("ext4", "xfs")
SECTOR: Final = 512
LINES: Final = 80
"""So many things the writer is told before the history ends."""

CONTROL_STATES: Final = 10


class History(NamedTuple):
    """What a disk went through, and what programs were told meanwhile."""

    kind: str
    base: Path  # the image before
    requests: Sequence[Request]
    told: list[str]


@contextmanager
def logging_disk(image: Path, log: Path, folder: Path) -> Iterator[Path]:
    """The file to put a loop device on."""
    folder.mkdir()
    module = "tests.campaigns.logging_disk"
    command = [sys.executable, "-m", module, str(image), str(log), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            assert server.stdout.readline() == "ready\n"
            yield folder / os.fsdecode(NAME)
        finally:
            unmount_by_force(folder)
            server.wait(timeout=120)


def record(folder: Path, kind: str, chance: random.Random, *, lies: bool) -> History:
    """A store is made and worked with, on a filesystem of that kind."""
    folder.mkdir()
    image = make_image(folder / "image", kind)
    with mounted(image, kind, folder / "disk") as disk:
        s3fs_local("init", disk / "store")
    base = folder / "base"
    run("cp", "--sparse=always", image, base)
    log = folder / "log"
    with (
        logging_disk(image, log, folder / "layer") as file,
        mounted(file, kind, folder / "disk") as disk,
    ):
        (folder / "mount").mkdir()
        mount = MountedStore(disk / "store", folder / "mount")
        if lies:
            interposed = Interposed(folder, disk)
            interposed.lie()
            mount.environment = interposed.environment
        try:
            mount.mount()
            told = work(mount, chance, log)
        finally:
            mount.clean_up()
    return History(kind, base, list(requests(log)), told)


def work(mount: MountedStore, chance: random.Random, log: Path) -> list[str]:
    """What a program is told until it has heard enough."""
    with start_writer(mount.path / "work", chance, log) as writer:
        assert writer.stdout
        lines = [writer.stdout.readline() for _ in range(LINES)]
        writer.kill()
    return lines


def states(
    history: History, count: int, chance: random.Random, image: Path
) -> Iterator[tuple[Path, int]]:
    """Images a power cut may leave, and where in the log each is."""
    positions = [int(line.split()[0]) for line in history.told]
    within = [
        number
        for number, request in enumerate(history.requests)
        if positions[0] <= request.end <= positions[-1]
    ]
    cuts = sorted(chance.choices(within, k=count))
    durable = image.with_name("durable")
    run("cp", "--sparse=always", history.base, durable)
    applied = 0
    for cut in cuts:
        flushed = max(
            (n + 1 for n in range(applied, cut + 1) if history.requests[n].offset == FLUSH),
            default=applied,
        )
        write(durable, history.requests[applied:flushed])
        applied = flushed
        run("cp", "--sparse=always", durable, image)
        write(image, partly(history.requests[flushed : cut + 1], chance))
        yield image, cut
        image.unlink()


def partly(unflushed: Sequence[Request], chance: random.Random) -> Iterator[Request]:
    """About half of them, in another order; some torn."""
    left = [request for request in unflushed if request.offset != FLUSH and chance.randrange(2)]
    chance.shuffle(left)
    for request in left:
        sectors = len(request.data) // SECTOR
        if chance.randrange(4) == 0 and sectors > 1:
            kept = chance.randrange(1, sectors) * SECTOR
            yield request._replace(data=request.data[:kept])
        else:
            yield request


def write(image: Path, todo: Sequence[Request] | Iterator[Request]) -> None:
    """The image has these bytes."""
    descriptor = os.open(image, os.O_WRONLY)
    for request in todo:
        if request.offset != FLUSH:
            os.pwrite(descriptor, request.data, request.offset)
    os.close(descriptor)


class Outcome(NamedTuple):
    """How the store in a state was found."""

    wrong: list[str]
    promised: int
    seconds: float  # to mount it


def examine(image: Path, history: History, cut: int, folder: Path) -> Outcome:
    """Mounts what the cut left, and compares; damage that stops a mount is wrong as well."""
    promised = acknowledged(history.told, until=history.requests[cut].end)
    # Nothing may be in the way of the paths that the writer named.
    with mounted(image, history.kind, folder / "disk") as disk:
        mount = MountedStore(disk / "store", folder / "mount")
        started = time.monotonic()
        try:
            mount.mount()
            seconds = time.monotonic() - started
            return Outcome(broken(promised), len(promised), seconds)
        except CommandFailed as failure:
            return Outcome([str(failure)], len(promised), 0)
        finally:
            end_processes(processes_marked(mount.path))
            unmount_by_force(mount.path)


def run_piece(piece: Piece) -> Figures:
    """Half of the seeds are on one filesystem, half on the other."""
    kind = FILESYSTEMS[piece.seed % len(FILESYSTEMS)]
    chance = random.Random(piece.seed)
    folder = piece.folder / "real"
    history = record(folder, kind, chance, lies=False)
    slowest, checked = 0.0, 0
    for image, cut in states(history, piece.size, chance, folder / "state"):
        outcome = examine(image, history, cut, folder)
        if outcome.wrong:
            raise Failed(f"{kind}, cut after request {cut}:\n" + "\n".join(outcome.wrong))
        slowest = max(slowest, outcome.seconds)
        checked += outcome.promised
    shutil.rmtree(folder)
    tried, lost = control(piece.folder / "control", kind, chance)
    return {
        f"states on {kind}": piece.size,
        "acknowledged files compared": checked,
        "lost": 0,
        "most seconds to mount": slowest,
        "states of the control": tried,
        "of these with loss": lost,
    }


def control(folder: Path, kind: str, chance: random.Random) -> tuple[int, int]:
    """How many states were tried with lying syncs, and how many had a loss: one at least."""
    history = record(folder, kind, chance, lies=True)
    for tried, (image, cut) in enumerate(
        states(history, CONTROL_STATES, chance, folder / "state"), start=1
    ):
        if examine(image, history, cut, folder).wrong:
            return tried, 1
    raise Failed(f"{kind}: a daemon that never syncs lost nothing, so this campaign sees nothing")
