"""How a bucket keeps objects that grow no more: their storage class, and locks that it enforces.

Objects of ours are never put into a class that must be asked to give them back. A rule of the
bucket may do that behind our back: then they are asked for, and made readable at once for good.

A bucket with Object Lock has versions. To delete or replace an object there hides the former one,
and never fails; a rule of the bucket frees the hidden ones, not before their locks end.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from s3fs_local.errors import ZoneUnavailable
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.keeping import OFF, Keeping, bucket_class, stricter
from s3fs_local.rules.retention import Retention

logger = logging.getLogger(__name__)

CHECKSUM: Final = "CRC32"
DAYS_BACK: Final = 7
"""For so long an archived object is asked back: enough to make it readable for good."""
ARCHIVED: Final = "InvalidObjectState"
"""What S3 says to a read of an object that must be asked back first."""

_NEVER_CHANGE: Final = ("packs/", "checkpoint/")
"""Objects of such names hold the same bytes for ever once they are locked."""
_UNREADABLE: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_NO_LOCKS: Final = frozenset(
    {"ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed", "NoSuchKey"}
)
Head = Mapping[str, Any]


def code_of(error: ClientError) -> str:
    """S3's word for what went wrong."""
    return str(error.response.get("Error", {}).get("Code", ""))


class BucketKeeping:
    """The objects of one bucket, by key. Raises ClientError and BotoCoreError."""

    def __init__(self, client: Any, bucket: str, choice: str) -> None:  # noqa: ANN401 - as in s3.py
        """`choice`: see `rules.keeping.bucket_class`."""
        self.client = client  # replaced where credentials were
        self._bucket = bucket
        self._choice = choice
        self.has_classes = choice != OFF
        self.locks_objects = self._has_object_lock()

    def keep(self, key: str, wanted: Keeping) -> str:
        """The object is kept so; else why not. Raises ZoneUnavailable while it is asked back."""
        is_locked = wanted.retention is not None or wanted.is_held
        wants_class = self.has_classes and bool(wanted.storage_class)
        reason = self._put_into_class(key, wanted.storage_class) if wants_class else ""
        if not is_locked and not self.locks_objects:
            return reason
        if not self.locks_objects:
            return reason or "the bucket has no Object Lock"
        return self._lock(key, wanted) or reason

    def ask_back(self, key: str) -> None:
        """An archived object is on its way back, unless it is already, or cannot be asked for."""
        with suppress(ClientError):
            self.client.restore_object(
                Bucket=self._bucket,
                Key=key,
                RestoreRequest={"Days": DAYS_BACK, "GlacierJobParameters": {"Tier": "Standard"}},
            )
            logger.warning("the bucket had archived %s: it was asked for", key)

    def bring_back(self, root: str) -> int:
        """Locked objects below `root` that were deleted or replaced are as they were locked."""
        if not self.locks_objects:
            return 0
        present: set[str] = set()
        former: dict[str, list[str]] = {}  # versions that a plain reader does not see
        pages = self.client.get_paginator("list_object_versions").paginate(
            Bucket=self._bucket, Prefix=root
        )
        for page in pages:
            for version in page.get("Versions", []):
                if version["IsLatest"]:
                    present.add(version["Key"])
                else:
                    former.setdefault(version["Key"], []).append(version["VersionId"])
        return sum(
            self._bring_newest_back(key, versions)
            for key, versions in former.items()
            if key not in present or key.removeprefix(root).startswith(_NEVER_CHANGE)
        )

    def _bring_newest_back(self, key: str, versions: Sequence[str]) -> bool:
        """Of these versions, the newest first, the newest that is locked; False for none."""
        for version in versions:
            head = self._head(key, VersionId=version)
            if _retention_in(head) is not None or head.get("ObjectLockLegalHoldStatus") == "ON":
                source = {"Bucket": self._bucket, "Key": key, "VersionId": version}
                self.client.copy_object(
                    Bucket=self._bucket, Key=key, CopySource=source, ChecksumAlgorithm=CHECKSUM
                )
                return True
        return False

    def _put_into_class(self, key: str, ours: str) -> str:
        head = self._head(key)
        present = head.get("StorageClass", "STANDARD")
        wanted = bucket_class(ours, present, self._choice)
        if wanted == present:
            return ""
        if present in _UNREADABLE and 'ongoing-request="false"' not in head.get("Restore", ""):
            self.ask_back(key)
            raise ZoneUnavailable(f"a rule of the bucket archived {key}: it was asked for")
        try:
            self.client.copy_object(
                Bucket=self._bucket,
                Key=key,
                CopySource={"Bucket": self._bucket, "Key": key},
                CopySourceIfMatch=head["ETag"],
                StorageClass=wanted,
                ChecksumAlgorithm=CHECKSUM,
            )
        except ClientError as error:
            if code_of(error) != "InvalidStorageClass":
                raise
            self.has_classes = False
            return f"the bucket does not know the class {wanted}"
        return ""

    def _lock(self, key: str, wanted: Keeping) -> str:
        """What is there is made stricter, never less; a hold that nobody wants ends."""
        head = self._head(key)
        try:
            target = stricter(_retention_in(head), _in_seconds(wanted.retention))
            if target is not None and target != _retention_in(head):
                self.client.put_object_retention(
                    Bucket=self._bucket,
                    Key=key,
                    Retention={"Mode": target.mode, "RetainUntilDate": _datetime(target.until_ns)},
                    ChecksumAlgorithm=CHECKSUM,
                )
            if (head.get("ObjectLockLegalHoldStatus") == "ON") != wanted.is_held:
                self.client.put_object_legal_hold(
                    Bucket=self._bucket,
                    Key=key,
                    LegalHold={"Status": "ON" if wanted.is_held else "OFF"},
                    ChecksumAlgorithm=CHECKSUM,
                )
        except ClientError as error:
            return f"the bucket does not lock {key}: {error}"
        return ""

    def _head(self, key: str, **more: str) -> Head:
        head: Head = self.client.head_object(Bucket=self._bucket, Key=key, **more)
        return head

    def _has_object_lock(self) -> bool:
        try:
            answer = self.client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError as error:
            if code_of(error) not in _NO_LOCKS:
                logger.warning("whether %s has Object Lock is not told: %s", self._bucket, error)
            return False
        configuration = answer.get("ObjectLockConfiguration", {})
        return bool(configuration.get("ObjectLockEnabled") == "Enabled")


def _retention_in(head: Head) -> Retention | None:
    mode, until = head.get("ObjectLockMode"), head.get("ObjectLockRetainUntilDate")
    if mode is None or until is None:
        return None
    return Retention(mode, round(until.timestamp()) * SECOND_NS)


def _in_seconds(retention: Retention | None) -> Retention | None:
    """No earlier: S3 counts in seconds."""
    if retention is None:
        return None
    return Retention(retention.mode, -(-retention.until_ns // SECOND_NS) * SECOND_NS)


def _datetime(instant_ns: int) -> datetime:
    return datetime.fromtimestamp(instant_ns // SECOND_NS, tz=UTC)
