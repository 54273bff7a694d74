"""A process that is killed while it makes a zone leaves a part of it: the next attempt takes it."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from s3fs_local.control.requests import AddZone, RepairZone
from s3fs_local.daemon import zones as daemon_zones
from s3fs_local.daemon.begun_zones import PARTS
from s3fs_local.daemon.layout import KEY_RING_NAME
from s3fs_local.daemon.store_file import STORE_FILE_NAME, StoreRecord, ZoneRecord
from s3fs_local.errors import StorageError, StoreExists, StoreFull, ZoneUnavailable
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.zone_mark import MARK_NAME
from s3fs_local.system import durable_files
from tests.aws_server import REGION, AwsServer
from tests.store_on_disk import StoreOnDisk, make_store, opened, wait_until_well

_BUCKETS: Final = count()
DIRECTORY_OR_BUCKET: Final = pytest.mark.parametrize(
    "kind", ["directory", pytest.param("bucket", marks=pytest.mark.s3)]
)


class Place:
    """Where the third zone of a store lies, seen past our code."""

    def __init__(self, kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
        self.directory = tmp_path / "third"
        self.url = str(self.directory)
        self._bucket = ""
        if kind == "bucket":
            aws: AwsServer = request.getfixturevalue("aws")
            self._client = aws.client("s3")
            self._bucket = aws.make_bucket(f"begun-{next(_BUCKETS)}")
            self.url = f"s3://{self._bucket}/zone?endpoint={aws.url}&region={REGION}"

    def empty(self) -> None:
        """Nothing is left of it, as on a new disk."""
        if not self._bucket:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory.mkdir()
            return
        for name in self.names():
            self._client.delete_object(Bucket=self._bucket, Key=f"zone/{name}")

    def names(self) -> list[str]:
        """What lies there."""
        if not self._bucket:
            files = [each for each in self.directory.rglob("*") if each.is_file()]
            return [str(each.relative_to(self.directory)) for each in files]
        listed = self._client.list_objects_v2(Bucket=self._bucket).get("Contents", [])
        return [each["Key"].removeprefix("zone/") for each in listed]

    def put(self, name: str, data: bytes) -> None:
        """Somebody puts something there."""
        if self._bucket:
            self._client.put_object(Bucket=self._bucket, Key=f"zone/{name}", Body=data)
        else:
            (self.directory / name).write_bytes(data)


@contextmanager
def broken_off_after(parts: int) -> Iterator[None]:
    """Whoever makes a zone meanwhile comes only so far."""

    def connect(path: Path, zone: ZoneRecord) -> ObjectStore:
        objects = FailingObjects(real(path, zone))
        objects.fail("put", ZoneUnavailable("scripted"), nth=parts + 1, for_ever=True)
        return objects

    real = daemon_zones.connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daemon_zones, "connect", connect)
        yield


@contextmanager
def not_begun_anew(disk: StoreOnDisk) -> Iterator[None]:
    """Whoever changes the set of zones comes no further than to the zone itself."""

    def fail() -> None:
        raise ZoneUnavailable("scripted")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk.fs.volume.durability, "settle", fail)
        yield


@DIRECTORY_OR_BUCKET
async def test_a_repair_that_was_broken_off_is_asked_for_again(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """It said "not empty" of its own files, and people had to remove them."""
    place = Place(kind, tmp_path, request)
    make_store(tmp_path / "store", [tmp_path / "first", tmp_path / "second", place.url])
    for parts in range(len(PARTS)) if kind == "directory" else [2]:  # requests take their time
        async with opened(tmp_path / "store") as disk:
            disk.write("kept", b"kept")
            await disk.sync_everywhere()  # or they fill it again
            place.empty()
            with broken_off_after(parts), pytest.raises(ZoneUnavailable, match="scripted"):
                await disk.ask(RepairZone(place.url))
            if kind == "directory":  # as a kill leaves it in the middle of the next part
                place.put(f".{PARTS[parts]}.tmp", b"torn")
            torn = [f".{PARTS[parts]}.tmp"] if kind == "directory" else []
            assert sorted(place.names()) == sorted([*PARTS[:parts], *torn])
        async with opened(tmp_path / "store") as disk:
            await disk.ask(RepairZone(place.url))
            await wait_until_well(disk)
            assert await disk.read("kept") == b"kept"
        assert any(name.startswith("packs/") for name in place.names())
        assert not any(name.endswith(".tmp") for name in place.names())


@DIRECTORY_OR_BUCKET
async def test_an_addition_that_was_broken_off_is_asked_for_again(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Also if the zone was marked, and the store did not come to know of it."""
    place = Place(kind, tmp_path, request)
    make_store(tmp_path / "store", [tmp_path / "first", tmp_path / "second"])
    async with opened(tmp_path / "store") as disk:
        disk.write("kept", b"kept")
        for parts in range(len(PARTS) + 1) if kind == "directory" else [len(PARTS)]:
            place.empty()
            stop = broken_off_after(parts) if parts < len(PARTS) else not_begun_anew(disk)
            with stop, pytest.raises(ZoneUnavailable, match="scripted"):
                await disk.ask(AddZone(place.url))
            assert sorted(place.names()) == sorted(PARTS[:parts])
            assert len(disk.zones.zones) == 2
            with broken_off_after(1), pytest.raises(ZoneUnavailable, match="scripted"):
                await disk.ask(AddZone(place.url))  # again, and perhaps less far
        await disk.ask(AddZone(place.url))
        assert disk.states == ["well"] * 3
        assert any(name.startswith("packs/") for name in place.names())


async def test_what_somebody_else_has_there_is_never_taken(tmp_path: Path) -> None:
    """Another store's zone, even half made, a key ring of unknown origin, any other file."""
    place = Place("directory", tmp_path, None)  # type: ignore[arg-type]
    make_store(tmp_path / "store", [tmp_path / "first", tmp_path / "second", place.url])
    other = tmp_path / "other"
    (tmp_path / "recovery.key").unlink()
    make_store(other, [tmp_path / "foreign"])
    ours = {name: (place.directory / name).read_bytes() for name in PARTS}
    second_mark = (tmp_path / "second" / MARK_NAME).read_bytes()
    theirs = {name: (tmp_path / "foreign" / name).read_bytes() for name in PARTS}
    cases: list[dict[str, bytes]] = [
        theirs,
        {STORE_FILE_NAME: theirs[STORE_FILE_NAME], KEY_RING_NAME: theirs[KEY_RING_NAME]},
        {STORE_FILE_NAME: theirs[STORE_FILE_NAME]},
        {STORE_FILE_NAME: b"{}"},
        {KEY_RING_NAME: theirs[KEY_RING_NAME]},
        {KEY_RING_NAME: ours[KEY_RING_NAME]},  # perhaps the last copy of an older one
        {**ours, MARK_NAME: theirs[MARK_NAME]},
        {**ours, MARK_NAME: second_mark},  # another zone of the store, in the wrong place
        {**ours, MARK_NAME: b"rubbish"},
        {STORE_FILE_NAME: ours[STORE_FILE_NAME], "thesis.tex": b"mine"},
        {".thesis.tex.tmp": b"mine"},
    ]
    async with opened(tmp_path / "store") as disk:
        for case in cases:
            place.empty()
            for name, data in case.items():
                place.put(name, data)
            with pytest.raises(StoreExists, match="not empty"):
                await disk.ask(RepairZone(place.url))
            assert {name: (place.directory / name).read_bytes() for name in place.names()} == case


async def test_an_emptied_zone_in_which_another_stores_lies_is_left_alone(tmp_path: Path) -> None:
    """It comes back by itself only where nobody else has put anything: their key ring stays."""
    place = Place("directory", tmp_path, None)  # type: ignore[arg-type]
    make_store(tmp_path / "store", [tmp_path / "first", tmp_path / "second", place.url])
    (tmp_path / "recovery.key").unlink()
    make_store(tmp_path / "other", [tmp_path / "foreign"])
    async with opened(tmp_path / "store") as disk:
        for entry in list(place.directory.iterdir()):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        theirs = {name: (tmp_path / "foreign" / name).read_bytes() for name in PARTS}
        for name, data in theirs.items():
            place.put(name, data)
        disk.zones.members.suspend(disk.zones.zones[2], "scripted")
        for _ in range(3):
            await disk.look_after_zones()
        assert disk.states == ["well", "well", "behind"]
        assert {name: (place.directory / name).read_bytes() for name in place.names()} == theirs


@pytest.mark.parametrize(
    ("number", "told"), [(errno.EIO, ZoneUnavailable), (errno.ENOSPC, StoreFull)]
)
def test_a_disk_that_fails_under_a_zone_in_the_making_is_told_as_a_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: type[StorageError]
) -> None:
    """Whoever looks after zones takes such errors, and no others: a daemon ended by one."""

    def fail(_: Path) -> None:
        raise OSError(number, os.strerror(number))

    zone = ZoneRecord(zone_id="z" * 32, url=str(tmp_path / "zone"))
    record = StoreRecord(what="a store", format=1, store_id="5" * 32, zones=(zone,))
    monkeypatch.setattr(durable_files, "fsync_directory", fail)
    with pytest.raises(told):
        daemon_zones.make_zone(tmp_path / "store", record, zone, key_ring=b"ring")


def test_a_zone_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    """A mistake in a path is told in words, too."""
    (tmp_path / "file").touch()
    zone = ZoneRecord(zone_id="z" * 32, url=str(tmp_path / "file" / "zone"))
    record = StoreRecord(what="a store", format=1, store_id="5" * 32, zones=(zone,))
    with pytest.raises(ZoneUnavailable, match="Not a directory"):
        daemon_zones.make_zone(tmp_path / "store", record, zone, key_ring=b"ring")
