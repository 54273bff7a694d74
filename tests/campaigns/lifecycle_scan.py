"""How long a run takes, by how much is due and by how much there is.

See `scripts/lifecycle-scan`. The metadata are filled directly: files of one version each, whose
next pass is years away, and some that are due now.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec
import trio
from msgspec import Struct

from s3fs_local.daemon.assembly import open_store
from s3fs_local.daemon.creation import StorePlan, create_store
from s3fs_local.daemon.layout import METADATA_NAME
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.engine.lifecycle import DOCUMENT_SETTING, InForce
from s3fs_local.engine.lifecycle_runs import Turns
from s3fs_local.metadata.changes import (
    Change,
    OpenEntry,
    PutInode,
    PutSetting,
    PutVersion,
    ScheduleKey,
)
from s3fs_local.metadata.sqlite import SqliteMetadata
from s3fs_local.rules.inode import ROOT_INO, Caller, Inode
from s3fs_local.rules.lifecycle_validation import read_lifecycle
from s3fs_local.rules.namespace import Entry
from s3fs_local.rules.versioning import Version
from s3fs_local.system.clock import wall_ns
from tests.rules.lifecycle_replay import DAY

ME: Final = Caller(uid=os.getuid(), gid=os.getgid())
AGE_DAYS: Final = 60
BATCH: Final = 5000
RULES: Final = [
    {
        "ID": "short",
        "Status": "Enabled",
        "Filter": {"Prefix": "due"},
        "Expiration": {"Days": 30},
    },
    {
        "ID": "long",
        "Status": "Enabled",
        "Filter": {},
        "Expiration": {"Days": 3650},
    },
]


class Scan(Struct, frozen=True):
    """One measurement."""

    versions: int
    due: int
    looked_at: int
    seconds: float


def fill(store: Path, *, versions: int, due: int) -> None:
    """A new store with so many files, some of them due."""
    create_store(store, StorePlan(owner=ME))
    made_ns = wall_ns() - AGE_DAYS * DAY
    metadata = SqliteMetadata(store / METADATA_NAME)
    document, _ = read_lifecycle(
        json.dumps({"Rules": RULES}).encode(), minimum=None, new_id=lambda: 0
    )
    in_force = msgspec.json.encode(InForce(made_ns, document)).decode()
    metadata.apply([PutSetting(DOCUMENT_SETTING, in_force)])
    every = max(versions // due, 1)
    for start in range(0, versions, BATCH):
        changes: list[Change] = []
        for number in range(start, min(start + BATCH, versions)):
            changes += _file(number, made_ns, is_due=number % every == 0 and number // every < due)
        metadata.apply(changes)
        metadata.commit(metadata.position())
    # Used today, too: by the compliance clock it would be the day of its last change.
    metadata.apply(_file(versions, wall_ns(), is_due=False))
    metadata.commit(metadata.position())
    metadata.close()


def _file(number: int, made_ns: int, *, is_due: bool) -> list[Change]:
    ino, stamp_ns = number + 10, made_ns + number
    name = b"%s%d" % (b"due" if is_due else b"kept", number)
    at_ns = made_ns + (31 if is_due else 3651) * DAY
    inode = Inode(ino, 0o100644, ME.uid, ME.gid, size=17, version_ns=stamp_ns, btime_ns=stamp_ns)
    return [
        PutInode(inode),
        OpenEntry(Entry(ROOT_INO, name, stamp_ns, ino)),
        PutVersion(Version(ino, stamp_ns, 0, 17)),
        ScheduleKey(ROOT_INO, name, at_ns, 0),
    ]


async def scan(store: Path, *, versions: int, due: int) -> Scan:
    """How long the run takes in that store."""
    async with open_store(store, Unlocking()) as opened:
        started = time.monotonic()
        run = await opened.filesystem.lifecycle.run(Turns(opened.filesystem.volume))
        seconds = time.monotonic() - started
        assert run.markers_added == due, run
        return Scan(versions, due, run.keys, seconds)


def measure(base: Path, *, versions: int, due: int) -> Scan:
    """Of a new store."""
    store = base / f"{versions}-{due}"
    fill(store, versions=versions, due=due)
    return trio.run(lambda: scan(store, versions=versions, due=due))


def main() -> None:
    """Measures, and tells."""
    parser = argparse.ArgumentParser(prog="scripts/lifecycle-scan", description=__doc__)
    parser.add_argument("--versions", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--due", type=int, default=1000, metavar="N")
    parser.add_argument("--folder", type=Path, help="where to work; the system's temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="s3fs-local-scan-", dir=options.folder) as base:
        for versions, due in (
            (options.due, options.due),
            (options.versions, options.due),
            (options.versions, 10 * options.due),
        ):
            found = measure(Path(base), versions=versions, due=due)
            sys.stdout.write(
                f"{found.due:>7} due of {found.versions:>9} versions: {found.seconds:7.3f} s,"
                f" {found.looked_at} keys looked at\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
