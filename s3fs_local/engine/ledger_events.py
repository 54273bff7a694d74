"""The ledger in words: what happened, to which path, for whoever reads an export."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, structs

from s3fs_local.engine.discrepancies import Discrepancies
from s3fs_local.engine.ledger import LedgerEntry, entries
from s3fs_local.engine.told_names import ToldNames
from s3fs_local.metadata.changes import (
    Change,
    CloseEntry,
    OpenEntry,
    PutInode,
    PutSetting,
    PutVersion,
    RemoveSetting,
    RemoveVersion,
)
from s3fs_local.metadata.interface import Metadata
from s3fs_local.packs.ledger import Ledger
from s3fs_local.rules.identifiers import version_id
from s3fs_local.rules.instants import format_rfc3339
from s3fs_local.rules.namespace import Ending
from s3fs_local.rules.retention import Lock, format_until
from s3fs_local.rules.versioning import Version

_COMMIT_RECORDS = 256


class RecordRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One record of the ledger."""

    record: int
    time: str
    digest: str
    events: list[dict[str, Any]]


def events(ledger: Ledger, told: Metadata, *, until: int) -> Iterator[RecordRow]:
    """Every record up to the number; the facts grow in `told`, an empty engine.

    Raises:
        JournalDamaged: records are missing or damaged in every zone.
    """
    names = ToldNames(told, Discrepancies())
    for entry in entries(ledger):
        if entry.number > until:
            return
        yield RecordRow(
            record=entry.number,
            time=format_rfc3339(entry.at_ns),
            digest=entry.digest.hex(),
            events=list(_events_of(entry, told, names)),
        )
        if entry.number % _COMMIT_RECORDS == 0:
            told.commit(entry.number)


def _events_of(entry: LedgerEntry, told: Metadata, names: ToldNames) -> Iterator[dict[str, Any]]:
    for batch in entry.batches:
        for change in batch.changes:
            event = _event_of(change, told, names)
            told.apply([change])
            if event:
                yield event
        for note in batch.notes:
            members: dict[str, Any] = structs.asdict(note)
            row: dict[str, Any] = {"Event": type(note).__name__}
            for name, value in members.items():
                row[_pascal(name)] = structs.asdict(value) if isinstance(value, Struct) else value
            if ino := members.get("ino"):
                row["Key"] = _printed(names.path(ino))
            row["Time"] = format_rfc3339(row.pop("AtNs"))
            yield row


def _event_of(change: Change, told: Metadata, names: ToldNames) -> dict[str, Any]:
    """What the change means to people, judged before it is applied; {} where it means nothing."""
    row: dict[str, Any] = {}
    match change:
        case PutVersion(version):
            row = _version_event(version, told.version(version.ino, version.stamp_ns), names)
        case RemoveVersion(ino, stamp_ns):
            removed = told.version(ino, stamp_ns)
            ident = version_id(stamp_ns, removed.salt) if removed is not None else ""
            row = {"Event": "VersionRemoved", "Key": _printed(names.path(ino)), "VersionId": ident}
        case OpenEntry(entry) if entry.ino:
            row = _name_event("NameMade", names, entry.parent, entry.name)
        case CloseEntry(parent, name, _, _, ending, ended_by) if ending is not Ending.SUPERSEDED:
            row = _name_event(f"Name{ending.name.capitalize()}", names, parent, name)
            row["Uid"] = ended_by
        case PutInode(inode) if inode.policy is not None:
            before = told.inode(inode.ino)
            if before is None or inode.policy != before.policy:
                key = _printed(names.path(inode.ino))
                row = {"Event": "PolicySet", "Key": key, **_pascals(inode.policy)}
        case PutSetting(name, value) if not name.startswith("fact."):
            row = {"Event": "SettingChanged", "Name": name, "Value": value}
        case RemoveSetting(name):
            row = {"Event": "SettingChanged", "Name": name}
        case _:
            pass
    return row


def _version_event(version: Version, before: Version | None, names: ToldNames) -> dict[str, Any]:
    row = {
        "Key": _printed(names.path(version.ino)),
        "VersionId": version_id(version.stamp_ns, version.salt),
    }
    if before is None:
        return {
            "Event": "Committed",
            **row,
            "Size": version.size,
            "Uid": version.uid,
            "Committed": format_rfc3339(version.stamp_ns),
            **_lock_members(version.lock),
        }
    if before.lock != version.lock:
        return {"Event": "LockChanged", **row, **_lock_members(version.lock)}
    return {}


def _lock_members(lock: Lock | None) -> dict[str, Any]:
    if lock is None:
        return {}
    row: dict[str, Any] = {}
    if lock.retention is not None:
        row["ObjectLockMode"] = lock.retention.mode
        row["ObjectLockRetainUntilDate"] = format_until(lock.retention.until_ns)
    if lock.holds:
        row["LegalHolds"] = [hold.case for hold in lock.holds]
    return row


def _name_event(event: str, names: ToldNames, parent: int, name: bytes) -> dict[str, Any]:
    above = names.path(parent)
    return {"Event": event, "Key": _printed(above + b"/" + name if above else name)}


def _printed(path: bytes | None) -> str:
    return "" if path is None else path.decode("utf-8", errors="backslashreplace")


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _pascals(value: Struct) -> dict[str, Any]:
    return {_pascal(name): member for name, member in structs.asdict(value).items()}
