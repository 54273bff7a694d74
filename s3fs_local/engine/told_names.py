"""Files and versions by the names that people know, for what a verification found."""

from typing import Final

from msgspec import Struct

from s3fs_local.engine.discrepancies import KEPT_MAX, Discrepancies, Discrepancy, Kind
from s3fs_local.metadata.changes import (
    AddBlock,
    Change,
    KeepAttributes,
    MarkUnsettled,
    OpenEntry,
    PlaceBlock,
    PutCell,
    PutInode,
    PutKey,
    PutPack,
    PutPendingLock,
    PutReplica,
    PutSetting,
    PutTask,
    PutVersion,
    ScheduleKey,
    ShareBlocks,
)
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.extents import blocks_of, decode_layout
from s3fs_local.rules.identifiers import version_id
from s3fs_local.rules.inode import ROOT_INO

TOLD_KINDS: Final[dict[type, str]] = {
    PutInode: "the row of attributes and locks",
    KeepAttributes: "a row of earlier attributes",
    OpenEntry: "a row of names",
    PutVersion: "the row of a version",
    PutCell: "a row of the layout of content",
    AddBlock: "the row of a block",
    PutKey: "the row of a data key",
    PutPack: "the row of a pack",
    PutSetting: "a setting",
    ScheduleKey: "a row of what lifecycle looks at",
    PutPendingLock: "the row of a lock that waits",
    PutTask: "a row of what replication has to tell",
    PutReplica: "the row of a replica",
    MarkUnsettled: "a row of what moves between classes",
    ShareBlocks: "a row of shared content",
}
_DEPTH_MAX: Final = 4096


class _Nameless(Struct):
    """Something wrong with a block or key whose file has to be looked for."""

    kind: Kind
    sentence: str
    block_id: int = 0
    key_id: int = 0
    zone: str = ""
    ino: int = 0
    stamp_ns: int = 0


class ToldNames:
    """Names as the facts of the ledger tell them."""

    def __init__(self, told: Metadata, found: Discrepancies) -> None:
        self._told = told
        self._found = found
        self._nameless: list[_Nameless] = []

    def path(self, ino: int) -> bytes | None:
        """The path of the inode, or the last it had; None where nobody knows."""
        parts: list[bytes] = []
        while ino != ROOT_INO:
            entries = self._told.entries_of(ino)
            if not entries or len(parts) > _DEPTH_MAX:
                return b"/".join(parts) or None
            last = max(entries, key=lambda entry: (entry.to_ns, entry.from_ns))
            parts.insert(0, last.name)
            ino = last.parent
        return b"/".join(parts)

    def version_at(self, ino: int, stamp_ns: int) -> tuple[str, int]:
        """Id and instant of the version that was committed then, or of the one before."""
        version = self._told.version_at(ino, stamp_ns)
        if version is None:
            return "", stamp_ns
        return version_id(version.stamp_ns, version.salt), version.stamp_ns

    def tell(self, kind: Kind, sentence: str, change: Change, at_ns: int = 0) -> None:
        """It is found, with the file, version and time that the change is about."""
        named = _named(change)
        if named:
            sentence = f"{sentence} ({named})"
        match change:
            case AddBlock(block) | PlaceBlock(block):
                self.tell_of_block(kind, sentence, block.block_id)
                return
            case PutKey(key_id):
                self._tell_later(_Nameless(kind, sentence, key_id=key_id))
                return
            case _:
                pass
        path, version, instant_ns = self._subject(change)
        self._found.add(
            Discrepancy(kind, sentence, path=path, version=version, at_ns=instant_ns or at_ns)
        )

    def tell_of_block(self, kind: Kind, sentence: str, block_id: int, zone: str = "") -> None:
        """It is found when `finish` has looked for the file that has the block."""
        self._tell_later(_Nameless(kind, sentence, block_id=block_id, zone=zone))

    def _tell_later(self, nameless: _Nameless) -> None:
        if len(self._nameless) < KEPT_MAX:
            self._nameless.append(nameless)
        else:
            self._found.add(Discrepancy(nameless.kind, nameless.sentence, zone=nameless.zone))

    def finish(self) -> None:
        """Everything that waited for its name is found; reads all layouts once, if there is any."""
        if self._nameless:
            self._look_for_files()
        for nameless in self._nameless:
            path, version, at_ns = None, "", 0
            if nameless.ino:
                path = self.path(nameless.ino)
                version, at_ns = self.version_at(nameless.ino, nameless.stamp_ns)
            self._found.add(
                Discrepancy(
                    nameless.kind,
                    nameless.sentence,
                    path=path,
                    version=version,
                    at_ns=at_ns,
                    zone=nameless.zone,
                )
            )
        self._nameless.clear()

    def _look_for_files(self) -> None:
        by_block: dict[int, list[_Nameless]] = {}
        by_key: dict[int, list[_Nameless]] = {}
        for nameless in self._nameless:
            group, number = (
                (by_block, nameless.block_id) if nameless.block_id else (by_key, nameless.key_id)
            )
            group.setdefault(number, []).append(nameless)
        for fact in self._told.facts():
            match fact:
                case PutInode(inode):
                    for nameless in by_key.get(inode.key_id, ()):
                        nameless.ino, nameless.stamp_ns = inode.ino, inode.version_ns
                case PutCell(ino, _, from_ns, _, layout):
                    for block_id in blocks_of(decode_layout(layout)):
                        for nameless in by_block.get(block_id, ()):
                            nameless.ino, nameless.stamp_ns = ino, from_ns
                case _:
                    pass

    def _subject(self, change: Change) -> tuple[bytes | None, str, int]:
        match change:
            case PutVersion(version):
                own = version_id(version.stamp_ns, version.salt)
                return self.path(version.ino), own, version.stamp_ns
            case OpenEntry(entry):
                above = self.path(entry.parent)
                path = entry.name if not above else above + b"/" + entry.name
                instant_ns = entry.from_ns
                ident, _ = self.version_at(entry.ino, entry.to_ns) if entry.ino else ("", 0)
                return path, ident, instant_ns
            case _:
                pass
        ino = _ino_of(change)
        if not ino:
            return None, "", 0
        stamp_ns = getattr(change, "from_ns", getattr(change, "stamp_ns", 0))
        inode = self._told.inode(ino)
        if not stamp_ns and inode is not None:
            stamp_ns = inode.version_ns or inode.ctime_ns
        return self.path(ino), *self.version_at(ino, stamp_ns)


def _named(change: Change) -> str:
    match change:
        case PutSetting(name):
            return name
        case PutPack(pack_id):
            return f"pack {pack_id:016x}"
        case AddBlock(block) | PlaceBlock(block):
            return f"block {block.block_id}"
        case _:
            return ""


def _ino_of(change: Change) -> int:
    match change:
        case PutInode(inode):
            return inode.ino
        case KeepAttributes(kept):
            return kept.ino
        case PutTask(task):
            return task.ino
        case _:
            return int(getattr(change, "ino", 0))
