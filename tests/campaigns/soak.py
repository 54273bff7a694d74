"""Hours of mixed work: memory, descriptors and disk use of a mounted store stay what they were.

After every round old versions are purged and garbage is collected, as people do, and the use is
taken. Later rounds must need no more than the first ones did. Told apart: the ledger grows by
design (every change is in it for good); the journal and the database's log grow to 64 MiB each
before they begin anew.
"""

import os
import random
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

from s3fs_local.control.requests import (
    ChangeClass,
    CollectGarbage,
    ListVersions,
    Purge,
    Request,
    RewrapKeys,
    RotateKey,
    Scrub,
    Verify,
)
from s3fs_local.errors import InvalidArgument, NoSuchName
from tests.campaigns.conversation import answer
from tests.campaigns.line import Failed, Figures, Piece
from tests.mounting import MountedStore, processes_marked, s3fs_local

ROUND_STEPS: Final = 250
WARM_UP_ROUNDS: Final = 8
NAMES: Final = 40
VERSIONS_KEPT: Final = 3
GROWTH_KIB_MAX: Final = 32 << 10
DESCRIPTORS_MORE_MAX: Final = 20
DISK_GROWTH_KIB_MAX: Final = 48 << 10
"""Live bytes alone go up and down by some MiB in each zone, and half of a pack may be dead."""
LOGS_KIB_MAX: Final = 3 * (64 << 10)
"""A segment and the one before it, and the log of the database."""


class Use(NamedTuple):
    """What a store and its daemon take of the machine."""

    resident_kib: int
    descriptors: int
    disk_kib: int  # of everything but what follows
    ledger_kib: int
    logs_kib: int  # of the journal and of the database


def use_of(mount: MountedStore) -> Use:
    """What it takes now."""
    (process,) = processes_marked(mount.path)
    status = Path(f"/proc/{process}/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    taken = {"ledger": 0, "logs": 0, "rest": 0}
    for folder, _, files in os.walk(mount.store):
        for file in files:
            try:
                kib = (Path(folder) / file).lstat().st_blocks // 2
            except FileNotFoundError:  # the daemon works on
                continue
            taken[_what_is((Path(folder) / file).relative_to(mount.store))] += kib
    descriptors = len(os.listdir(f"/proc/{process}/fd"))
    return Use(resident, descriptors, taken["rest"], taken["ledger"], taken["logs"])


def _what_is(path: Path) -> str:
    if "ledger" in path.parts:
        return "ledger"
    is_log = "journal" in path.parts or path.name.endswith("-wal") or ".log" in path.name
    return "logs" if is_log else "rest"


def step(folder: Path, chance: random.Random) -> None:
    """Something that programs do all day."""
    path = folder / str(chance.randrange(NAMES))
    match chance.randrange(8):
        case 0 | 1:
            path.write_bytes(chance.randbytes(chance.choice((10, 5000, 200_000))))
        case 2:
            with path.open("ab") as file:
                file.write(b"a line of a log\n")
                file.flush()
                os.fsync(file.fileno())
        case 3:
            if path.exists():
                path.replace(folder / str(chance.randrange(NAMES)))
        case 4:
            path.unlink(missing_ok=True)
        case 5:
            sum(len(entry.name) for entry in os.scandir(folder / ".versions"))
        case 6:
            if path.exists():
                path.chmod(chance.choice((0o600, 0o644)))
                os.setxattr(path, "user.soak", chance.randbytes(20))
        case _:
            if path.exists():
                path.read_bytes()
                os.listdir(folder / ".versions" / path.name)


def chores(mount: MountedStore, chance: random.Random) -> list[Request]:
    """What people ask of a store now and then."""
    names = [entry.name.encode() for entry in os.scandir(mount.path)]
    classes: list[Request] = [ChangeClass(chance.choice(names), "STANDARD_IA")] if names else []
    return chance.choice(
        [[Scrub()], [RotateKey("store"), RewrapKeys(forget_old=True)], classes, [Verify()]]
    )


def tidy_up(mount: MountedStore) -> None:
    """All but the newest versions are gone for good, and so is what they took."""
    for number in range(NAMES):
        name = str(number).encode()
        try:
            listed = answer(mount.store, ListVersions(name))
        except NoSuchName:
            continue
        versions, markers = listed["Versions"], listed["DeleteMarkers"]
        assert isinstance(versions, list)
        assert isinstance(markers, list)
        is_there = any(row["IsLatest"] for row in versions)
        for row in [*versions[VERSIONS_KEPT if is_there else 0 :], *markers]:
            with suppress(InvalidArgument):  # the file lives on under another name
                answer(mount.store, Purge(name, row["VersionId"]))
    answer(mount.store, CollectGarbage())


def run(piece: Piece) -> Figures:
    """So many seconds on one mount, in rounds; how many there are is the machine's to say."""
    chance = random.Random(piece.seed)
    (piece.folder / "mount").mkdir()
    s3fs_local("init", piece.folder / "store")
    mount = MountedStore(piece.folder / "store", piece.folder / "mount")
    uses: list[Use] = []
    try:
        mount.mount()
        ends_s = monotonic() + piece.size
        while len(uses) <= WARM_UP_ROUNDS or monotonic() < ends_s:
            for _ in range(ROUND_STEPS):
                step(mount.path, chance)
            for chore in chores(mount, chance):
                answer(mount.store, chore)
            tidy_up(mount)
            uses.append(use_of(mount))
    finally:
        mount.clean_up()
    return figures_of(uses[WARM_UP_ROUNDS - 1 :])


def figures_of(uses: list[Use]) -> Figures:
    """What the last quarter of the rounds takes more than the first. Raises Failed."""
    part = max(1, len(uses) // 4)
    first, last = uses[:part], uses[-part:]
    growth = max(use.resident_kib for use in last) - max(use.resident_kib for use in first)
    more = max(use.descriptors for use in last) - max(use.descriptors for use in first)
    disk = max(use.disk_kib for use in last) - max(use.disk_kib for use in first)
    logs = max(use.logs_kib for use in uses)
    steps = ROUND_STEPS * len(uses)
    if (
        growth > GROWTH_KIB_MAX
        or more > DESCRIPTORS_MORE_MAX
        or disk > DISK_GROWTH_KIB_MAX
        or logs > LOGS_KIB_MAX
    ):
        raise Failed(
            f"after {steps} steps {growth} KiB of memory, {more} descriptors and {disk} KiB on"
            f" the disk more; round by round: {uses}"
        )
    half = uses[: max(1, len(uses) // 2)]
    late = max(use.resident_kib for use in last) - max(use.resident_kib for use in half)
    return {
        "steps": steps,
        "most KiB of memory": max(use.resident_kib for use in uses),
        "most KiB grown": growth,
        "most KiB grown since half time": late,
        "most descriptors more": more,
        "most KiB more on the disk": disk,
        "most KiB on the disk": max(use.disk_kib for use in uses),
        "most KiB of ledger": uses[-1].ledger_kib,
        "most KiB of logs": logs,
    }
