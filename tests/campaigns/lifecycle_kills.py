"""A run of lifecycle is SIGKILLed at random moments; it goes on, and ends as one that was not.

See `scripts/lifecycle-kills`. Two copies of one store: in one the run is left alone, in the other
it is killed again and again. In the end both have the same versions, in the same classes, under the
same delete markers, and the same to do on the days to come.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import trio
from msgspec import Struct

from s3fs_local.daemon.assembly import TEST_CLOCK_VARIABLE, open_store
from s3fs_local.daemon.creation import StorePlan, create_store
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.lifecycle_keys import Key
from s3fs_local.engine.lifecycle_runs import Turns
from s3fs_local.rules.inode import ROOT_INO, Caller
from s3fs_local.rules.lifecycle_validation import read_lifecycle

FILLED: Final = "2027-01-01T12:00:00Z"
DUE: Final = "2027-04-01T00:00:10Z"
ME: Final = Caller(uid=os.getuid(), gid=os.getgid())
RULES: Final = [
    {
        "ID": "move",
        "Status": "Enabled",
        "Filter": {"ObjectSizeGreaterThan": 1000},
        "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}],
        "NoncurrentVersionTransitions": [{"NoncurrentDays": 30, "StorageClass": "GLACIER"}],
    },
    {
        "ID": "end",
        "Status": "Enabled",
        "Filter": {"ObjectSizeLessThan": 1001},
        "Expiration": {"Days": 30},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 1},
    },
    {
        "ID": "expire",
        "Status": "Enabled",
        "Filter": {},
        "Expiration": {"Days": 60},
    },
]


class Difference(AssertionError):
    """The killed run ended elsewhere."""


class Kills(Struct, frozen=True):
    """What a campaign came to."""

    kills: int
    rounds: int
    keys: int
    seconds: float


async def _fill(store: Path, keys: int, chance: random.Random) -> None:
    async with open_store(store, Unlocking()) as opened:
        filesystem = opened.filesystem
        for number in range(keys):
            name = b"%d" % number
            for _ in range(chance.randrange(1, 5)):
                _write(filesystem, name, chance)
            if chance.random() < 0.3:
                filesystem.unlink(ROOT_INO, name, ME)
        data = json.dumps({"Rules": RULES}).encode()
        document, _ = read_lifecycle(data, minimum=None, new_id=lambda: 0)
        filesystem.lifecycle.rules.put(document)


def _write(filesystem: FileSystem, name: bytes, chance: random.Random) -> None:
    found = filesystem.volume.metadata.lookup(ROOT_INO, name)
    if found is None:
        handle = filesystem.create(ROOT_INO, name, 0o100644, os.O_WRONLY, ME)[0].handle
    else:
        handle = filesystem.open(found.ino, os.O_WRONLY, ME).handle
    filesystem.write(handle, 0, chance.randbytes(50))
    ino = filesystem.lookup(ROOT_INO, name).ino
    filesystem.setattr(ino, AttributeChange(size=chance.choice((50, 5000))), handle, ME)
    filesystem.flush(handle)
    filesystem.release(handle)


async def _run(store: Path) -> None:
    async with open_store(store, Unlocking()) as opened:
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        await opened.filesystem.lifecycle.run(Turns(opened.filesystem.volume))
        await collect_garbage(opened.filesystem, dry_run=False)


async def _state(store: Path) -> Any:  # noqa: ANN401 - to be compared, whatever it is
    """All that lifecycle leaves: every key's items, what is due later, how much there is."""
    async with open_store(store, Unlocking()) as opened:
        metadata = opened.filesystem.volume.metadata
        keys = opened.filesystem.lifecycle.rules.keys
        found = {}
        for place in metadata.names_after(0, b"", 1 << 30):
            items = keys.stack_of(Key(*place)).stack.items
            found[place] = [
                (i.is_marker, str(i.storage_class), i.size, 0 if i.is_marker else i.stamp_ns)
                for i in items
            ]
        agenda = [(place, name) for place, name in metadata.agenda(1 << 62, 1 << 30) if name]
        usage = metadata.usage()
        inodes = sum(metadata.inode(ino) is not None for ino in range(1, 1 << 16))
        return found, sorted(agenda), usage.versions, usage.blocks, inodes


def _start(store: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.campaigns.lifecycle_kills", "--run", str(store)],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n", "the store does not open"
    return process


def _let_run(store: Path) -> float:
    """The run is left alone; how long it took."""
    with _start(store) as process:
        started = time.monotonic()
        if process.wait(timeout=600):
            raise Difference("the run failed")
        return time.monotonic() - started


def _kill_once(store: Path, after_seconds: float) -> bool:
    """Whether the run was killed before it ended by itself."""
    with _start(store) as process:
        try:
            process.wait(timeout=after_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
        if process.returncode:
            raise Difference("the run failed")
        return False


def kill_runs(base: Path, *, kills: int, keys: int, seed: int) -> Kills:
    """So many kills, in as many rounds as it takes. Raises Difference."""
    chance = random.Random(seed)
    started = time.monotonic()
    os.environ[TEST_CLOCK_VARIABLE] = FILLED
    filled, alone, killed = base / "filled", base / "alone", base / "killed"
    create_store(filled, StorePlan(owner=ME, test_clock=True))
    trio.run(_fill, filled, keys, chance)
    os.environ[TEST_CLOCK_VARIABLE] = DUE
    shutil.copytree(filled, alone)
    seconds = _let_run(alone)
    wanted = trio.run(_state, alone)
    done = rounds = 0
    while done < kills:
        shutil.copytree(filled, killed)
        rounds += 1
        while done < kills and _kill_once(killed, chance.random() * seconds):
            done += 1
        _let_run(killed)
        found = trio.run(_state, killed)
        if found != wanted:
            raise Difference(f"round {rounds}, {done} kills: {_first_difference(found, wanted)}")
        shutil.rmtree(killed)
    return Kills(done, rounds, keys, time.monotonic() - started)


def _first_difference(found: Any, wanted: Any) -> str:  # noqa: ANN401 - of `_state`
    for key in sorted(found[0].keys() | wanted[0].keys()):
        if found[0].get(key) != wanted[0].get(key):
            return f"{key}: {found[0].get(key)} instead of {wanted[0].get(key)}"
    return f"{found[1:]} instead of {wanted[1:]}"


def main() -> None:
    """Kills, and tells; the exit code is 1 at a difference."""
    parser = argparse.ArgumentParser(prog="scripts/lifecycle-kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, metavar="N")
    parser.add_argument("--keys", type=int, default=3000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--folder", type=Path, help="where to work; the system's temporary folder")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run is not None:
        trio.run(_run, options.run)
        return
    with tempfile.TemporaryDirectory(prefix="s3fs-local-kills-", dir=options.folder) as base:
        try:
            found = kill_runs(Path(base), kills=options.kills, keys=options.keys, seed=options.seed)
        except Difference as difference:
            sys.exit(f"{difference} (seed {options.seed})")
    sys.stdout.write(
        f"{found.kills} kills in {found.rounds} rounds over {found.keys} keys:"
        f" nothing lost, nothing done twice (seed {options.seed}, {found.seconds:.0f} s)\n"
    )


if __name__ == "__main__":
    main()
