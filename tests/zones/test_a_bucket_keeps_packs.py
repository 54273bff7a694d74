"""A bucket keeps packs as what lies in them wants: its storage classes, and its Object Lock."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from s3fs_local.control.requests import (
    ChangeSetting,
    ClearLegalHold,
    ListVersions,
    Purge,
    SetLegalHold,
    SetRetention,
)
from s3fs_local.daemon.rebuilding import rebuild
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.daemon.zones import parse_zone
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.errors import InvalidArgument, Protected, ZoneUnavailable
from s3fs_local.objects.s3 import S3Objects, S3Place
from s3fs_local.rules.keeping import Keeping
from tests.aws_server import AwsServer, answer_of
from tests.store_on_disk import OWNER, StoreOnDisk, make_store, opened
from tests.zones.bucket import Bucket, keep

pytestmark = pytest.mark.s3


async def _write_as(disk: StoreOnDisk, storage_class: str, name: str) -> None:
    await disk.ask(ChangeSetting("default-class", storage_class))
    disk.write(name, name.encode() * 1000)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("", {"STANDARD", "STANDARD_IA", "GLACIER_IR"}),
        ("&storage-class=off", {"STANDARD"}),
        ("&storage-class=ONEZONE_IA", {"ONEZONE_IA"}),
    ],
)
async def test_packs_have_the_class_of_what_lies_in_them(
    tmp_path: Path, aws: AwsServer, choice: str, expected: set[str]
) -> None:
    """So cold bytes cost what cold bytes cost there, too; and all can still be read at once."""
    bucket = Bucket(aws)
    make_store(tmp_path / "store", [str(tmp_path / "a"), bucket.url + choice])
    async with opened(tmp_path / "store") as disk:
        for storage_class in ("STANDARD", "STANDARD_IA", "GLACIER"):
            await _write_as(disk, storage_class, storage_class.lower())
        await keep(disk)
        assert set(bucket.classes("packs").values()) == expected
        assert (await disk.ask_scrub())["Damaged"] == []
        assert await disk.fs.pack_keeping.keep() == 0, "they were told already"


def test_a_class_that_is_not_read_at_once_is_refused() -> None:
    """What cannot be read can be neither verified nor mended, and rebuilds nothing."""
    with pytest.raises(InvalidArgument, match="GLACIER_IR"):
        parse_zone("s3://bucket/zone?storage-class=DEEP_ARCHIVE")


def test_a_server_without_classes_is_asked_once(aws: AwsServer) -> None:
    """MinIO and others know one class, or two."""
    bucket = Bucket(aws)
    objects = S3Objects(S3Place(bucket.name, "zone"), bucket.client)
    objects.put("packs/00/a.pack", b"bytes")

    def refuse(request: Any, **_: object) -> AWSResponse | None:  # noqa: ANN401 - boto3's
        if "x-amz-copy-source" not in request.headers:
            return None
        return answer_of(request, 400, "InvalidStorageClass")

    bucket.client.meta.events.register("before-send.s3", refuse)

    assert "does not know the class" in objects.keep("packs/00/a.pack", Keeping("STANDARD_IA"))
    assert not objects.has_classes
    assert objects.keep("packs/00/a.pack", Keeping("STANDARD_IA")) == ""
    assert objects.read("packs/00/a.pack", 0, 9) == b"bytes"


def test_what_a_rule_of_the_bucket_archived_is_asked_back(aws: AwsServer) -> None:
    """Somebody's lifecycle rule must not take a zone's bytes out of reach for good."""
    bucket = Bucket(aws)
    objects = S3Objects(S3Place(bucket.name, "zone"), bucket.client)
    objects.put("packs/00/a.pack", b"bytes")
    key = "zone/packs/00/a.pack"
    bucket.client.copy_object(
        Bucket=bucket.name,
        Key=key,
        CopySource={"Bucket": bucket.name, "Key": key},
        StorageClass="GLACIER",
    )

    with pytest.raises(ZoneUnavailable):
        objects.read("packs/00/a.pack", 0, 9)
    assert "Restore" in bucket.head(key)
    _until_restored(bucket, key)
    assert objects.keep("packs/00/a.pack", Keeping("STANDARD")) == ""
    assert bucket.head(key).get("StorageClass", "STANDARD") == "STANDARD"
    assert objects.read("packs/00/a.pack", 0, 9) == b"bytes"


def _until_restored(bucket: Bucket, key: str) -> None:
    """Moto restores at the first look after it was asked."""
    assert 'ongoing-request="false"' in bucket.head(key)["Restore"]


async def test_packs_of_locked_versions_are_locked_in_the_bucket(
    tmp_path: Path, aws: AwsServer
) -> None:
    """Until the same date, and longer as later locks fall; held while one is held."""
    bucket = Bucket(aws, object_lock=True)
    make_store(tmp_path / "store", [str(tmp_path / "a"), bucket.url], object_lock=True)
    async with opened(tmp_path / "store") as disk:
        disk.write("free", b"free" * 1000)
        await keep(disk)
        (free,) = bucket.keys("packs")
        disk.write("locked", b"locked" * 1000)
        await disk.ask(SetRetention((b"locked",), "GOVERNANCE", "30d"))
        await keep(disk)
        (locked,) = set(bucket.keys("packs")) - {free}
        assert "ObjectLockMode" not in bucket.head(free)
        assert bucket.head(locked)["ObjectLockMode"] == "GOVERNANCE"
        first: datetime = bucket.head(locked)["ObjectLockRetainUntilDate"]

        await disk.ask(SetRetention((b"locked",), "COMPLIANCE", "60d"))
        await disk.ask(SetLegalHold((b"locked",), "case 7", "asked for"))
        await disk.fs.pack_keeping.keep()
        head = bucket.head(locked)
        assert head["ObjectLockMode"] == "COMPLIANCE"
        assert head["ObjectLockRetainUntilDate"] - first > timedelta(days=29)
        assert head["ObjectLockLegalHoldStatus"] == "ON"
        with pytest.raises(ClientError, match="AccessDenied"):
            bucket.client.delete_object(Bucket=bucket.name, Key=locked, VersionId=head["VersionId"])

        await disk.ask(ClearLegalHold((b"locked",), "case 7", "over"))
        await disk.fs.pack_keeping.keep()
        assert bucket.head(locked)["ObjectLockLegalHoldStatus"] == "OFF"
        assert disk.fs.pack_keeping.shortcomings == {}


async def test_a_pack_that_is_mended_is_locked_anew(tmp_path: Path, aws: AwsServer) -> None:
    """The mended copy is another version, which nobody locked yet."""
    bucket = Bucket(aws, object_lock=True)
    make_store(tmp_path / "store", [str(tmp_path / "a"), bucket.url], object_lock=True)
    async with opened(tmp_path / "store") as disk:
        disk.write("locked", b"locked" * 1000)
        await disk.ask(SetRetention((b"locked",), "COMPLIANCE", "30d"))
        await keep(disk)
        (key,) = bucket.keys("packs")
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"rubbish")
        assert all(piece["Repaired"] for piece in (await disk.ask_scrub())["Damaged"])
        await disk.fs.pack_keeping.keep()

        assert bucket.head(key)["ObjectLockMode"] == "COMPLIANCE"


async def test_garbage_goes_though_the_bucket_keeps_it(tmp_path: Path, aws: AwsServer) -> None:
    """A lock there outlives the reason for it: then the bytes are out of our sight, not free."""
    bucket = Bucket(aws, object_lock=True)
    make_store(tmp_path / "store", [str(tmp_path / "a"), bucket.url], object_lock=True)
    async with opened(tmp_path / "store") as disk:
        disk.write("large", b"\1" * 300_000)
        disk.write("locked", b"locked" * 1000)
        await disk.ask(SetRetention((b"locked",), "COMPLIANCE", "30d"))
        await keep(disk)
        (former,) = bucket.keys("packs")
        await _purge_all(disk, "large")
        garbage = await collect_garbage(disk.fs, dry_run=False)
        await keep(disk)
        (present,) = bucket.keys("packs")

        assert garbage.packs == 1
        assert present != former
        assert bucket.head(present)["ObjectLockMode"] == "COMPLIANCE", "its bytes moved"
        assert await disk.read("locked") == b"locked" * 1000
        versions = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=former)
        kept = [each for each in versions["Versions"] if each["Key"] == former]
        assert len(kept) == 1, "the bucket keeps what it locked"
        assert disk.states == ["well", "well"]


async def _purge_all(disk: StoreOnDisk, name: str) -> None:
    disk.fs.unlink(*disk.place(name), OWNER)
    await disk.sync()
    listing = await disk.ask(ListVersions(name.encode()))
    for version in listing["Versions"]:
        await disk.ask(Purge(name.encode(), version["VersionId"]))


@pytest.mark.parametrize("was_closed", [False, True])
async def test_locked_files_survive_whoever_deletes_all_he_can(
    tmp_path: Path, aws: AwsServer, *, was_closed: bool
) -> None:
    """Root on the host has every disk and the bucket's keys: the bucket alone brings them back.

    The journal is not among what is locked; a store that was closed once expects one.
    """
    bucket = Bucket(aws, object_lock=True)
    make_store(tmp_path / "store", [str(tmp_path / "a"), bucket.url], object_lock=True)
    if was_closed:
        async with opened(tmp_path / "store") as disk:
            disk.write("earlier", b"earlier")
    async with opened(tmp_path / "store") as disk:
        disk.write("locked", b"locked" * 30_000)
        await disk.ask(SetRetention((b"locked",), "COMPLIANCE", "30d"))
        await keep(disk)
    shutil.rmtree(tmp_path / "store")
    shutil.rmtree(tmp_path / "a")
    assert bucket.destroy_all() >= 5
    assert bucket.keys("") == []

    key = Unlocking(key_file=tmp_path / "recovery.key")
    made = await trio.to_thread.run_sync(
        lambda: rebuild(tmp_path / "new", key, zones=(bucket.url,))
    )
    assert made.lost is not None
    assert not made.lost.loses_nothing
    async with opened(tmp_path / "new", key) as disk:
        assert await disk.read("locked") == b"locked" * 30_000
        with pytest.raises(Protected):
            disk.fs.unlink(*disk.place("locked"), OWNER)
        disk.write("after", b"it goes on")
