"""How a zone should keep an object that grows no more: as what class, and out of whose reach.

A pack holds blocks of many versions, so it is protected as the most careful of them wants: while
any of them is held it is held; its retention ends with the last; and it is COMPLIANCE if any is.
What a zone was told is never taken back but for holds, which S3 lets end.
"""

from typing import Final

from msgspec import Struct, structs

from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.policies import later
from s3fs_local.rules.retention import Lock, Retention, protected_until_ns
from s3fs_local.rules.storage_classes import ARCHIVE_CLASSES, StorageClass

OFF: Final = "off"
"""As the choice of a bucket's classes: all objects have the bucket's default."""

_READABLE_ARCHIVE: Final = "GLACIER_IR"
_COLDNESS: Final = {
    name: rank
    for rank, name in enumerate(
        ("STANDARD", "INTELLIGENT_TIERING", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR")
    )
}


class Keeping(Struct, frozen=True):
    """How one object is kept."""

    storage_class: str = ""  # of its blocks, one of ours; "" = it has none
    is_immutable: bool = False  # where a disk can do that
    retention: Retention | None = None
    is_held: bool = False  # until somebody lifts the hold


def protected_too(kept: Keeping, lock: Lock, now_ns: int) -> Keeping:
    """The same, for an object that holds bytes of a version with this lock besides."""
    retention = kept.retention
    if lock.retention is not None and now_ns < lock.retention.until_ns < OPEN_NS:
        retention = stricter(retention, lock.retention)
    is_held = kept.is_held or protected_until_ns(lock) == OPEN_NS
    return structs.replace(kept, retention=retention, is_held=is_held)


def stricter(one: Retention | None, other: Retention | None) -> Retention | None:
    """What forbids all that either of them forbids."""
    return one if other is None else later(one, other)


def bucket_class(ours: str, present: str, choice: str) -> str:
    """The class that an object in a bucket should get; the present one where nothing is to change.

    An object never gets a class that cannot be read at once: what cannot be read can be neither
    verified nor moved, mend no other zone and rebuild no store. And it is never made warmer, for a
    rule of the bucket may have cooled it.

    Args:
        ours: the class of its blocks; "" = it has none.
        present: the class that it has.
        choice: "" = as ours, `OFF`, or the class of all packs.
    """
    if not ours or choice == OFF:
        return present
    wanted = choice or (_READABLE_ARCHIVE if ours in ARCHIVE_CLASSES else StorageClass(ours).value)
    if choice or present not in _COLDNESS:
        return wanted
    return max(present, wanted, key=_COLDNESS.__getitem__)
