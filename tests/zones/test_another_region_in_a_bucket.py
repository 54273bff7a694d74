"""A destination of replication whose bytes are all in a bucket of a real S3 server."""

from pathlib import Path

import pytest
import trio

from s3fs_local.control.requests import ChangeReplication, ChangeSetting
from s3fs_local.daemon.receiving import make_room
from tests.aws_server import AwsServer
from tests.replication_rules import document
from tests.store_on_disk import make_store, opened

pytestmark = pytest.mark.s3


async def test_a_store_in_a_bucket_is_a_destination(tmp_path: Path, aws: AwsServer) -> None:
    """A region in the cloud: only its facts lie here, and every zone can make them anew."""
    bucket = aws.make_bucket("region-west")
    here, there = tmp_path / "east" / "store", tmp_path / "west" / "store"
    here.parent.mkdir()
    there.parent.mkdir()
    make_store(here, [])
    make_store(there, [f"s3://{bucket}/west?endpoint={aws.url}&region=eu-central-1"])
    async with opened(here) as disk:
        await disk.ask(ChangeSetting("remotes", f"west={there}"))
        await disk.ask(ChangeReplication(document()))
        disk.write("a", b"one" * 100_000)
        disk.write("a", b"two" * 1000)
        await disk.store.following.drain()
        ids = [(v.stamp_ns, v.salt) for v in disk.fs.volume.metadata.versions(disk.stat("a").ino)]
    await trio.to_thread.run_sync(make_room, there)
    async with opened(there) as replica:
        found = replica.fs.volume.metadata.versions(replica.stat("a").ino)
        assert [(version.stamp_ns, version.salt) for version in found] == ids
        assert await replica.read("a") == b"two" * 1000
