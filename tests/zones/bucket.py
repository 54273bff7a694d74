"""A bucket that is a zone, and what lies in it, seen past our code."""

from itertools import count
from typing import Any, Final

import trio
from botocore.exceptions import ClientError

from s3fs_local.control.requests import ChangeSetting
from s3fs_local.engine.pace import AT_ONCE
from tests.aws_server import REGION, AwsServer
from tests.store_on_disk import StoreOnDisk

_BUCKETS: Final = count()


class Bucket:
    """A bucket, and what lies in it, seen past our code."""

    def __init__(self, aws: AwsServer, *, object_lock: bool = False) -> None:
        self.client = aws.client("s3")
        self.name = aws.make_bucket(f"keeping-{next(_BUCKETS)}", object_lock=object_lock)
        self.url = f"s3://{self.name}/zone?endpoint={aws.url}&region={REGION}"

    def keys(self, part: str) -> list[str]:
        """Of the objects that a plain reader sees."""
        return list(self.classes(part))

    def classes(self, part: str) -> dict[str, str]:
        """Of the same, by key, as they all are at one instant: pieces are joined at any time."""
        listed = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return {each["Key"]: each["StorageClass"] for each in listed if part in each["Key"]}

    def head(self, key: str) -> Any:  # noqa: ANN401 - boto3 makes it as it runs
        """What S3 says of the object."""
        return self.client.head_object(Bucket=self.name, Key=key)

    def destroy_all(self) -> int:
        """As somebody with every right does it; returns how many versions were refused."""
        refused = 0
        versions = self.client.list_object_versions(Bucket=self.name)
        for version in versions["Versions"]:
            try:
                self.client.delete_object(
                    Bucket=self.name, Key=version["Key"], VersionId=version["VersionId"]
                )
            except ClientError:
                refused += 1
        for key in self.keys(""):
            self.client.delete_object(Bucket=self.name, Key=key)
        return refused


async def keep(disk: StoreOnDisk) -> None:
    """No pack grows, and the zones were told how to keep them; pytest can remove directories."""
    await disk.ask(ChangeSetting("immutable-packs", "off"))
    await disk.sync()
    await disk.fs.settling.settle_all(AT_ONCE)
    disk.fs.volume.blocks.leave_open_packs()
    await trio.to_thread.run_sync(disk.fs.volume.durability.packs.sync)
    await disk.fs.pack_keeping.keep()
