"""What can happen to a zone, by name; and stores as a crash leaves them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from s3fs_local.errors import StoreFull, ZoneUnavailable
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.zone import Zone
from tests.objects.hanging import HangingObjects
from tests.store_on_disk import StoreOnDisk

_METHODS = ("put", "create", "append_to", "append", "sync", "delete")
_READS = ("read", "read_nowait", "length", "list", "free_bytes")


class Victim:
    """One zone of an open store, with a directory and a way to fail."""

    def __init__(self, disk: StoreOnDisk, index: int, directory: Path) -> None:
        """Before anything is written: what grows already would not fail."""
        self.zone: Zone = disk.zones.zones[index]
        self.directory = directory
        assert self.zone.store is not None
        self.failing = FailingObjects(self.zone.store)
        self.hanging = HangingObjects(self.failing)

    def wrap(self) -> None:
        """From now on its objects are ones that can fail or hang."""
        self.zone.store = self.hanging

    def release(self) -> None:
        """Nothing hangs any more."""
        self.hanging.goes_on.set()


def _removed(victim: Victim) -> None:
    shutil.rmtree(victim.directory)


def _emptied(victim: Victim) -> None:
    for entry in victim.directory.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _read_only(victim: Victim) -> None:
    for method in _METHODS:
        victim.failing.fail(method, ZoneUnavailable("Read-only file system"), for_ever=True)


def _full(victim: Victim) -> None:
    for method in ("put", "create", "append"):
        victim.failing.fail(method, StoreFull("No space left on device"), for_ever=True)


def _errors(victim: Victim) -> None:
    for method in (*_METHODS, *_READS):
        victim.failing.fail(method, ZoneUnavailable("Input/output error"), for_ever=True)


def _hanging(victim: Victim) -> None:
    victim.hanging.goes_on.clear()


def _corrupt(victim: Victim) -> None:
    for pack in victim.directory.glob("packs/*/*.pack"):
        data = bytearray(pack.read_bytes())
        for place in range(100, len(data), 997):
            data[place] ^= 0xFF
        pack.write_bytes(data)


def _stale(victim: Victim) -> None:
    for pack in victim.directory.glob("packs/*/*.pack"):
        with pack.open("r+b") as file:
            file.truncate(60)


WRAPPED = {"read-only", "full", "answering errors", "hanging"}
"""Faults that need objects which fail on demand; the others are done to the directory."""
FAULTS: dict[str, Callable[[Victim], None]] = {
    "removed": _removed,
    "emptied": _emptied,
    "read-only": _read_only,
    "full": _full,
    "answering errors": _errors,
    "hanging": _hanging,
    "corrupt bytes": _corrupt,
    "stale bytes": _stale,
}


def after_a_crash(store: Path, zones: list[Path], target: Path, *, lost: int) -> Path:
    """A copy of the store as it lies on the disk now, without one of its zones."""
    copy = target / "store"
    copy.mkdir(parents=True)
    for name in ("unlock.key", "key-ring.json", "zones.json"):
        if (store / name).exists():
            shutil.copy(store / name, copy / name)
    for file in store.glob("metadata.sqlite*"):
        shutil.copy(file, copy / file.name)
    record = json.loads((store / "store.json").read_bytes())
    for number, zone in enumerate(zones):
        record["zones"][number]["url"] = str(target / zone.name)
        if number != lost:
            shutil.copytree(zone, target / zone.name)
    (copy / "store.json").write_text(json.dumps(record))
    return copy
