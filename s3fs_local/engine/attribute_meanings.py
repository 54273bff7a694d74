"""What the attributes `s3.*` say, and what may be written to them: for the reference."""

from typing import Final

from msgspec import Struct


class AttributeMeaning(Struct, frozen=True):
    """One attribute, in words."""

    says: str  # "" = it is only written
    takes: str = ""  # "" = it is only read


ATTRIBUTES: Final = {
    "version-id": AttributeMeaning("The id of the version."),
    "versions": AttributeMeaning("How many versions the file has."),
    "etag": AttributeMeaning("The ETag of the version, in quotes; no MD5."),
    "storage-class": AttributeMeaning("The storage class of the version."),
    "restore": AttributeMeaning(
        "As S3's header x-amz-restore: whether a retrieval goes on or ended."
    ),
    "restore-request": AttributeMeaning(
        "", "DAYS and a tier, as `3 Bulk`: retrieves from the archive."
    ),
    "replicas": AttributeMeaning(
        "One line a zone: what it has of the file, and since when verified."
    ),
    "replication-status": AttributeMeaning("PENDING, COMPLETED, FAILED or REPLICA."),
    "server-side-encryption": AttributeMeaning("AES256, aws:kms or aws:kms:dsse."),
    "server-side-encryption-aws-kms-key-id": AttributeMeaning("The key that wraps the file's."),
    "server-side-encryption-bucket-key-enabled": AttributeMeaning("`true` where S3 would say so."),
    "object-lock": AttributeMeaning(
        "Mode and end of the retention.", "The same, or a duration: `GOVERNANCE 30d`."
    ),
    "object-lock-mode": AttributeMeaning(
        "GOVERNANCE or COMPLIANCE.", "The same, of a locked file."
    ),
    "object-lock-retain-until-date": AttributeMeaning("When the retention ends.", "A later date."),
    "object-lock-legal-hold": AttributeMeaning("ON or OFF.", "The same."),
    "lock-reason": AttributeMeaning("Everything that locks the file, in words."),
    "append-only": AttributeMeaning("`1` where the file only grows.", "`1`, for ever."),
    "tags": AttributeMeaning("The tags, as S3's header x-amz-tagging.", "The same."),
}
