"""A bucket of a real S3 server as a zone: beside directories, alone, and gone for a while."""

import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

import pytest
import trio

from s3fs_local.control.requests import ListZones
from s3fs_local.daemon.rebuilding import rebuild
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.daemon.zones import parse_zone
from s3fs_local.errors import InvalidArgument, StorageError, StoreExists, ZoneUnavailable
from s3fs_local.objects.s3 import PART_BYTES, PIECE_BYTES_MAX, S3Objects, S3Place
from tests.aws_server import AwsServer
from tests.store_on_disk import make_store, opened, wait_until_well

pytestmark = pytest.mark.s3
_BUCKETS: Final = count()


def _url(aws: AwsServer, prefix: str = "zone", **more: str) -> str:
    bucket = aws.make_bucket(f"zone-{next(_BUCKETS)}")
    rest = "".join(f"&{name}={value}" for name, value in more.items())
    return f"s3://{bucket}/{prefix}?endpoint={aws.url}&region=eu-central-1{rest}"


async def test_a_store_of_directories_and_a_bucket(tmp_path: Path, aws: AwsServer) -> None:
    """The bucket alone is the store, on a new machine, after a kill."""
    url = _url(aws)
    make_store(tmp_path / "store", [str(tmp_path / "a"), str(tmp_path / "b"), url])
    async with opened(tmp_path / "store") as disk:
        disk.write("a", b"one" * 100_000)
        await disk.sync()
        disk.write("b", b"two")
        await disk.sync_everywhere()
        listing = await disk.ask(ListZones())
        assert [zone["State"] for zone in listing["Zones"]] == ["well"] * 3
        assert listing["Zones"][2]["Bytes"] > 300_000
    shutil.rmtree(tmp_path / "store")
    shutil.rmtree(tmp_path / "a")
    shutil.rmtree(tmp_path / "b")
    key = Unlocking(key_file=tmp_path / "recovery.key")
    await trio.to_thread.run_sync(lambda: rebuild(tmp_path / "new", key, zones=(url,)))
    async with opened(tmp_path / "new", key) as disk:
        assert await disk.read("a") == b"one" * 100_000
        assert await disk.read("b") == b"two"
        disk.write("c", b"three")
        await disk.sync()
    async with opened(tmp_path / "new", key) as disk:
        assert await disk.read("c") == b"three"


async def test_a_bucket_that_does_not_answer_is_done_without(
    tmp_path: Path, aws: AwsServer
) -> None:
    """And is given what it missed when it answers again."""
    url = _url(aws)
    make_store(tmp_path / "store", [str(tmp_path / "a"), str(tmp_path / "b"), url])
    async with opened(tmp_path / "store") as disk:
        disk.zones.members.timeout_seconds = 2
        disk.write("a", b"one")
        await disk.sync()
        disk.zones.members.suspend(disk.zones.zones[2], "unplugged")
        disk.write("b", b"two")
        await disk.sync()
        assert disk.states == ["well", "well", "behind"]
        await wait_until_well(disk)
        disk.write("c", b"three")
        await disk.sync()
    for zone in ("a", "b"):
        shutil.rmtree(tmp_path / zone)
    key = Unlocking(key_file=tmp_path / "recovery.key")
    await trio.to_thread.run_sync(lambda: rebuild(tmp_path / "new", key, zones=(url,)))
    async with opened(tmp_path / "new", key) as disk:
        assert [await disk.read(name) for name in "abc"] == [b"one", b"two", b"three"]


def test_a_long_object_is_put_in_parts_and_joined(aws: AwsServer) -> None:
    """Every request carries a checksum; the pieces of what grew are gone when it is closed."""
    client = aws.client("s3")
    bucket = aws.make_bucket(f"zone-{next(_BUCKETS)}")
    place = S3Place(bucket=bucket, prefix="p", storage_class="STANDARD_IA")
    objects = S3Objects(place, client)
    data = bytes(range(256)) * ((PART_BYTES + 1000) // 256)
    objects.put("packs/00/long.pack", data)
    assert objects.read("packs/00/long.pack", PART_BYTES - 5, 10) == data[PART_BYTES - 5 :][:10]
    appender = objects.create("packs/00/grown.pack")
    appender.append(data[:PIECE_BYTES_MAX])
    appender.append(b"the end")
    appender.sync()
    before = {each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]}
    objects.join("packs/00/grown.pack")

    after = {each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert len(before) == 3
    assert after == {"p/packs/00/long.pack", "p/packs/00/grown.pack"}
    head = client.head_object(Bucket=bucket, Key="p/packs/00/grown.pack", ChecksumMode="ENABLED")
    assert head["StorageClass"] == "STANDARD_IA"
    assert "ChecksumCRC32" in head
    assert (
        objects.read("packs/00/grown.pack", PIECE_BYTES_MAX - 1, 99)
        == data[PIECE_BYTES_MAX - 1 : PIECE_BYTES_MAX] + b"the end"
    )


def test_a_url_says_where_a_zone_is(tmp_path: Path) -> None:
    """And nothing in it is ignored."""
    assert parse_zone(f"{tmp_path}?kind=archive") == (str(tmp_path), "archive")
    assert parse_zone(f"file://{tmp_path}/a%20b") == (f"{tmp_path}/a b", "hot")
    assert parse_zone("s3://bucket/a?kind=cold")[1] == "cold"
    for wrong in ("s3://", "s3://b?endpiont=x", "s3://b?kind=warm", "http://x", "/a?kind=warm"):
        with pytest.raises(InvalidArgument):
            parse_zone(wrong)


def test_a_bucket_that_is_not_there_or_not_empty_is_refused(tmp_path: Path, aws: AwsServer) -> None:
    """Before anything is made."""
    with pytest.raises(ZoneUnavailable, match="none"):
        make_store(tmp_path / "store", [f"s3://none/?endpoint={aws.url}"])
    url = _url(aws)
    bucket = url.removeprefix("s3://").partition("/")[0]
    aws.client("s3").put_object(Bucket=bucket, Key="zone/mine", Body=b"mine")
    with pytest.raises(StoreExists):
        make_store(tmp_path / "store", [url])
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("writes_first", [True, False], ids=["a writer", "an idler"])
async def test_of_two_machines_with_one_store_the_later_has_it(
    tmp_path: Path, aws: AwsServer, *, writes_first: bool
) -> None:
    """No lock reaches across machines. The former one is told so before it loses anything."""
    make_store(tmp_path / "former", [_url(aws)])
    async with opened(tmp_path / "former") as disk:
        disk.write("a", b"one")
    told = ""
    with suppress(StorageError):  # the former one cannot end well
        async with opened(tmp_path / "former") as disk:
            if writes_first:
                disk.write("b", b"two")
                await disk.sync()
            shutil.copytree(tmp_path / "former", tmp_path / "later")
            async with opened(tmp_path / "later") as other:
                other.write("c", b"three")
                await other.sync()
                disk.write("d", b"four")
                try:
                    await disk.sync()
                except StorageError as error:
                    told = str(error)
                other.write("e", b"five")
                await other.sync()

    assert "another" in told
    async with opened(tmp_path / "later") as other:
        there = {"a": b"one", "c": b"three", "e": b"five"} | ({"b": b"two"} if writes_first else {})
        assert {name: await other.read(name) for name in there} == there
