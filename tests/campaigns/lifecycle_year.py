"""A year of lifecycle on a real store, run daily, against a replay of each object by itself.

See `scripts/lifecycle-year`. People write, overwrite, remove, tag and lock files on most days; soon
after each midnight a run does what is due. In the end every key must have exactly the versions and
delete markers, in the classes, that the replay says (`tests/rules/lifecycle_replay.py`), which
knows nothing of the program.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import trio
from msgspec import Struct, structs

from s3fs_local.daemon.assembly import TEST_CLOCK_VARIABLE, open_store
from s3fs_local.daemon.creation import StorePlan, create_store
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.lifecycle_keys import Key
from s3fs_local.engine.lifecycle_runs import Turns
from s3fs_local.rules.inode import ROOT_INO, Caller
from s3fs_local.rules.instants import parse_instant
from s3fs_local.rules.lifecycle_validation import read_lifecycle
from s3fs_local.rules.retention import Retention, Semantics
from s3fs_local.system.clock import SettableClock
from tests.rules import lifecycle_replay
from tests.rules.lifecycle_replay import Thing

DAY_NS: Final = lifecycle_replay.DAY
START: Final = "2027-01-01T12:00:00Z"
START_NS: Final = parse_instant(START, now_ns=0)
DAYS: Final = 365
BUSY_DAYS: Final = 200
"""People work so long; then everything only ages."""
ME: Final = Caller(uid=os.getuid(), gid=os.getgid())
FOLDERS: Final = ("logs", "tmp", "data", "logs2")
SIZES: Final = (0, 17, 1000, 131_071, 131_072, 5_000_000)
TAGS: Final[tuple[dict[str, str], ...]] = ({}, {}, {"keep": "no"}, {"keep": "no", "a": "b"})
MIDSUMMER: Final = "2027-07-01"


def _rule(rule_id: str, chosen: dict[str, Any], **actions: object) -> dict[str, Any]:
    return {"ID": rule_id, "Status": "Enabled", "Filter": chosen, **actions}


RULES: Final = [
    _rule(
        "logs",
        {"Prefix": "logs/"},
        Transitions=[
            {"Days": 30, "StorageClass": "STANDARD_IA"},
            {"Days": 90, "StorageClass": "GLACIER"},
        ],
        Expiration={"Days": 180},
        NoncurrentVersionExpiration={"NoncurrentDays": 60, "NewerNoncurrentVersions": 2},
    ),
    _rule(
        "tmp",
        {"Prefix": "tmp/"},
        Expiration={"Days": 7},
        NoncurrentVersionExpiration={"NoncurrentDays": 1},
    ),
    _rule("tagged", {"Tag": {"Key": "keep", "Value": "no"}}, Expiration={"Days": 45}),
    _rule(
        "large",
        {"And": {"Prefix": "data", "ObjectSizeGreaterThan": 1000}},
        Transitions=[{"Days": 20, "StorageClass": "INTELLIGENT_TIERING"}],
        NoncurrentVersionTransitions=[{"NoncurrentDays": 40, "StorageClass": "DEEP_ARCHIVE"}],
    ),
    _rule("old", {"Prefix": "logs2"}, Expiration={"Date": MIDSUMMER}),
    _rule("lone", {"Prefix": "logs"}, Expiration={"ExpiredObjectDeleteMarker": True}),
    {**_rule("off", {}, Expiration={"Days": 1}), "Status": "Disabled"},
]


class Difference(AssertionError):
    """A key is not what the replay says."""


class Year(Struct, frozen=True):
    """What a year came to."""

    versions: int
    keys: int
    looked_at: int  # by all runs together
    actions: dict[str, int]
    left: int  # items of all keys at the end
    seconds: float


class World:
    """The store and the replay, which live through the same year."""

    def __init__(self, filesystem: FileSystem, versions: int, chance: random.Random) -> None:
        self.filesystem = filesystem
        self.volume = filesystem.volume
        clock = filesystem.volume.clock
        assert isinstance(clock, SettableClock)
        self.clock = clock
        self.chance = chance
        self.things: dict[str, list[Thing]] = {}
        self.versions_left = versions
        self.a_day = -(-versions // BUSY_DAYS)
        self.names = max(versions // 3, 1)
        self.looked_at = 0
        self.actions: Counter[str] = Counter()
        self.folders = {
            name: filesystem.mkdir(ROOT_INO, name.encode(), 0o040755, ME).ino for name in FOLDERS
        }

    def place(self, key: str) -> tuple[int, bytes]:
        """Where the key is."""
        folder, _, name = key.partition("/")
        return self.folders[folder], name.encode()

    def work(self, until_ns: int) -> None:
        """People work, at different hours."""
        count = min(self.a_day, self.versions_left)
        step_ns = (until_ns - self.clock.now_ns()) // (count + 1)
        for _ in range(count):
            self.clock.advance(step_ns)
            self.versions_left -= 1
            key = f"{self.chance.choice(FOLDERS)}/{self.chance.randrange(self.names)}"
            self.write(key, self.chance.choice(SIZES))
            self.do_something_else(key)

    def write(self, key: str, size: int) -> None:
        """The key has a new version; its bytes are a hole, which costs no room."""
        parent, name = self.place(key)
        found = self.volume.metadata.lookup(parent, name)
        filesystem = self.filesystem
        if found is None:
            handle = filesystem.create(parent, name, 0o100644, os.O_WRONLY, ME)[0].handle
            ino = filesystem.lookup(parent, name).ino
        else:
            ino = found.ino
            handle = filesystem.open(ino, os.O_WRONLY | os.O_TRUNC, ME).handle
        filesystem.setattr(ino, AttributeChange(size=size), handle, ME)
        if size:
            filesystem.write(handle, 0, b"x")
        filesystem.flush(handle)
        filesystem.release(handle)
        stamp_ns = self.volume.inode(ino).version_ns
        things = self.things.setdefault(key, [])
        if not things or things[0].made != stamp_ns:  # the same bytes again make no version
            things.insert(0, Thing(stamp_ns, size=size))

    def do_something_else(self, key: str) -> None:
        """Tags, a lock, or a removal."""
        parent, name = self.place(key)
        things = self.things[key]
        ino = self.volume.metadata.lookup(parent, name)
        assert ino is not None
        choice = self.chance.random()
        if choice < 0.3:
            things[0].tags = self.chance.choice(TAGS)
            self.filesystem.lock_attributes.set_tags(ino.ino, things[0].tags, ME)
        if choice < 0.05 and not things[0].locked_until:
            until_ns = self.clock.now_ns() + self.chance.randrange(1, 150) * DAY_NS
            things[0].locked_until = until_ns
            self.filesystem.locks.set_retention(
                ino.ino, Retention("COMPLIANCE", until_ns), caller=ME
            )
        if 0.2 < choice < 0.35:
            self.filesystem.unlink(parent, name, ME)
            entry = self.volume.metadata.entry(parent, name)
            assert entry is not None
            things.insert(0, Thing(entry.from_ns, marker=True))

    async def night(self) -> None:
        """The daily run, and the replay's day."""
        run = await self.filesystem.lifecycle.run(Turns(self.volume))
        assert not run.error_count, run.errors
        self.looked_at += run.keys
        self.actions["Expire"] += run.expired.items
        self.actions["Transition"] += run.moved.items
        self.actions["DeleteMarker"] += run.markers_added
        self.actions["RemoveMarker"] += run.markers_removed
        now_ns = self.clock.now_ns()
        rules = _dated(RULES)
        for key, things in list(self.things.items()):
            lifecycle_replay.one_day(key, things, rules, now_ns, "Enabled")
            if not things:
                del self.things[key]
        await self.volume.durability.flush(durable=False)

    def compare(self) -> int:
        """How many items there are in all. Raises Difference."""
        left = 0
        seen = set()
        for parent, name in self.volume.metadata.names_after(0, b"", 1 << 30):
            found = self.filesystem.lifecycle.rules.keys.stack_of(Key(parent, name))
            if not found.stack.items:
                continue
            key = found.stack.key.decode()
            seen.add(key)
            has = [_shape(i.is_marker, i.storage_class, i.size) for i in found.stack.items]
            things = self.things.get(key, [])
            wanted = [_shape(t.marker, t.storage_class, t.size) for t in things]
            if has != wanted:
                raise Difference(f"{key}: the store has {has}, the replay says {wanted}")
            left += len(has)
        if seen != self.things.keys():
            raise Difference(f"keys in one only: {sorted(seen ^ self.things.keys())[:10]}")
        return left


def _shape(is_marker: bool, storage_class: str, size: int) -> tuple[bool, str, int]:  # noqa: FBT001
    return is_marker, "" if is_marker else str(storage_class), size


def _dated(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules with dates as the replay takes them."""
    midsummer_ns = parse_instant(MIDSUMMER, now_ns=0)
    return [
        {**rule, "Expiration": {"Date": midsummer_ns}}
        if "Date" in rule.get("Expiration", {})
        else rule
        for rule in rules
    ]


async def live_a_year(store: Path, *, versions: int, seed: int) -> Year:
    """A new store there lived through a year. Raises Difference."""
    chance = random.Random(seed)
    started = time.monotonic()
    os.environ[TEST_CLOCK_VARIABLE] = START
    create_store(store, StorePlan(owner=ME, object_lock=True, test_clock=True))
    async with open_store(store, Unlocking()) as opened:
        filesystem = opened.filesystem
        volume = filesystem.volume
        volume.settings = structs.replace(volume.settings, lock_semantics=Semantics.S3)
        world = World(filesystem, versions, chance)
        document, _ = read_lifecycle(
            json.dumps({"Rules": RULES}).encode(), minimum=None, new_id=lambda: 0
        )
        filesystem.lifecycle.rules.put(document)
        for day in range(1, DAYS + 1):
            midnight_ns = (START_NS // DAY_NS + day) * DAY_NS
            world.work(midnight_ns)
            world.clock.set(max(midnight_ns + 10**9, world.clock.now_ns()))
            await world.night()
        left = world.compare()
        return Year(
            versions,
            world.names * len(FOLDERS),
            world.looked_at,
            dict(world.actions),
            left,
            time.monotonic() - started,
        )


def main() -> None:
    """Lives a year, and tells; the exit code is 1 at a difference."""
    parser = argparse.ArgumentParser(prog="scripts/lifecycle-year", description=__doc__)
    parser.add_argument("--versions", type=int, default=100_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--folder", type=Path, help="where to work; the system's temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="s3fs-local-year-", dir=options.folder) as base:
        try:
            year = trio.run(
                lambda: live_a_year(
                    Path(base) / "store", versions=options.versions, seed=options.seed
                )
            )
        except Difference as difference:
            sys.exit(f"{difference} (seed {options.seed})")
    actions = ", ".join(f"{count} {name}" for name, count in year.actions.items())
    sys.stdout.write(
        f"{year.versions} versions, {DAYS} daily runs, {year.looked_at} looks at keys, {actions};"
        f" {year.left} items left, all as the replay says (seed {options.seed},"
        f" {year.seconds:.0f} s)\n"
    )


if __name__ == "__main__":
    main()
