"""Shares are as protected as copies: `verify` reads them, disks and buckets lock them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from s3fs_local.control.requests import ChangeSetting, CollectGarbage, SetRetention, Verify
from s3fs_local.packs.shares import HEADER_BYTES
from s3fs_local.system.immutable_files import is_immutable, set_immutable
from tests.aws_server import AwsServer
from tests.store_on_disk import make_store, make_store_of_zones, opened
from tests.zones.bucket import Bucket
from tests.zones.shares import (
    archive,
    check_contents,
    copies_in,
    keep_in_shares,
    noise,
    shares_in,
)


def _flip(share: Path) -> None:
    data = bytearray(share.read_bytes())
    data[-7] ^= 1
    share.write_bytes(data)


def _forge(share: Path) -> None:
    """Other bytes, and a header that says that they are right."""
    data = share.read_bytes()
    run = bytes(len(data) - HEADER_BYTES)
    head = data[:80] + blake3(run).digest()
    share.write_bytes(head + blake3(head).digest() + run)


@pytest.mark.parametrize("alter", [_flip, _forge, Path.unlink])
async def test_verify_finds_every_altered_share(
    tmp_path: Path, alter: Callable[[Path], None]
) -> None:
    """In computed shares too, which no block's digest covers; also by somebody who knows how."""
    zones = make_store_of_zones(tmp_path, 3, object_lock=True)
    contents = noise(1)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
        await disk.ask(ChangeSetting("immutable-packs", "off"))
        assert (await disk.ask(Verify(reads_all=True)))["Intact"]
        for zone in zones:
            (share,) = shares_in(zone)
            before = share.read_bytes()
            alter(share)
            disk.fs.volume.durability.packs.coded.doubt_all()

            found = await disk.ask(Verify(reads_all=True))

            assert not found["Intact"], share
            sentences = " ".join(row["Sentence"] for row in found["Discrepancies"])
            assert str(zone) in sentences
            assert "in every zone" not in sentences
            share.write_bytes(before)
        assert (await disk.ask(Verify(reads_all=True)))["Intact"]


async def test_shares_are_immutable_where_packs_are(tmp_path: Path) -> None:
    """In a store with locks; and the daemon can still make them copies again."""
    probe = tmp_path / "probe"
    probe.touch()
    if not set_immutable(probe, wanted=True):
        pytest.skip("this user, or this filesystem, cannot make files immutable")
    set_immutable(probe, wanted=False)
    zones = make_store_of_zones(tmp_path, 3, object_lock=True)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, noise(2))
        await disk.ask(SetRetention((b"file 0",), "COMPLIANCE", "30d"))
        await disk.fs.pack_keeping.keep()
        shares = [shares_in(zone)[0] for zone in zones]
        assert all(map(is_immutable, shares))

        await disk.ask(ChangeSetting("storage-classes", "GLACIER_IR:copies=2,zones=hot,zstd=0"))
        await disk.ask(CollectGarbage())
        assert not any(map(shares_in, zones))
        await disk.ask(ChangeSetting("immutable-packs", "off"))
        copies = [copy for zone in zones for copy in copies_in(zone)]
        assert len(copies) == 2


@pytest.mark.s3
async def test_a_bucket_holds_a_share_and_locks_it(tmp_path: Path, aws: AwsServer) -> None:
    """Two disks and a bucket: a third of the traffic, and the lock is enforced there as well."""
    bucket = Bucket(aws, object_lock=True)
    contents = noise(3)
    disks = [tmp_path / "a", tmp_path / "b"]
    make_store(tmp_path / "store", [*map(str, disks), bucket.url], object_lock=True)
    async with opened(tmp_path / "store") as disk:
        await disk.ask(ChangeSetting("immutable-packs", "off"))
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
        await disk.ask(SetRetention((b"file 0",), "COMPLIANCE", "2099-01-01T00:00:00Z"))
        await disk.fs.pack_keeping.keep()
        (key,) = bucket.keys("shares/")
        assert bucket.head(key)["ObjectLockMode"] == "COMPLIANCE"
        assert bucket.head(key)["ObjectLockRetainUntilDate"].year == 2099
        assert bucket.head(key)["StorageClass"] == "GLACIER_IR"
        assert (await disk.ask_scrub())["Damaged"] == []
        await disk.sync_everywhere()
    shutil.rmtree(disks[0])
    async with opened(tmp_path / "store") as disk:
        await check_contents(disk, contents)
