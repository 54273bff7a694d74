"""Keys as lifecycle rules see them: the name that each file counts under, and what lies there.

S3 has keys and their versions; here a name means one file after another, and a file may have
several names. So that each version has one key, a file counts under one name, its *home*: the name
that it has (of several the one it had first), or the last one it had, where a program's temporary
name (vim's `f~`) is left out if there is another. A directory that was removed and made again is
another one, and names in it are other keys. Directories, links and special files have no versions
and are left out, with the delete markers that ended them.
"""

from typing import Final

from msgspec import Struct

from s3fs_local.engine.locks import Locks
from s3fs_local.engine.volume import Volume
from s3fs_local.rules.history import HistoryItem, history_of
from s3fs_local.rules.inode import ROOT_INO, Inode
from s3fs_local.rules.lifecycle import Item, Stack
from s3fs_local.rules.names import is_transient
from s3fs_local.rules.namespace import OPEN_NS, Entry
from s3fs_local.rules.replication import ATTRIBUTES
from s3fs_local.rules.retention import Semantics, protected_until_ns

KEY_PARTS_MAX: Final = 4096
"""Directories above a file; a longer path has a loop, which damaged metadata may have."""


class Key(Struct, frozen=True):
    """A name that files count under."""

    parent: int
    name: bytes


class KeyStack(Struct, frozen=True):
    """What a key has: as rules see it, and as the store has it."""

    key: Key
    stack: Stack
    items: dict[int, HistoryItem]  # by stamp


class Keys:
    """Finds keys and their stacks in one store."""

    def __init__(self, volume: Volume, locks: Locks) -> None:
        self._volume = volume
        self._metadata = volume.metadata
        self._locks = locks

    def home_of(self, ino: int) -> Key | None:
        """The key that the file counts under; None if it never had a name."""
        entries = self._metadata.entries_of(ino)
        live = [entry for entry in entries if entry.to_ns == OPEN_NS]
        if live:
            return Key(live[0].parent, live[0].name)
        lasting = [entry for entry in entries if not is_transient(entry.name)] or entries
        if not lasting:
            return None
        last = max(lasting, key=lambda entry: entry.to_ns)
        return Key(last.parent, last.name)

    def stack_of(self, key: Key) -> KeyStack:
        """All versions and markers of the key, newest first."""
        intervals = self._intervals(key)
        files = {interval.ino for interval in intervals if not interval.is_marker}
        items = history_of(intervals, {ino: self._metadata.versions(ino) for ino in files})
        left_ns = 0 if not items or items[0].is_latest else items[0].entry.to_ns
        stack = Stack(self.path_of(key), tuple(map(self._item, items)), left_ns)
        return KeyStack(key, stack, {item.stamp_ns: item for item in items})

    def path_of(self, key: Key) -> bytes:
        """Where the key is, or was last: a path below the root."""
        parts = [key.name]
        directory = key.parent
        while directory != ROOT_INO and len(parts) < KEY_PARTS_MAX:
            entries = self._metadata.entries_of(directory)
            if not entries:
                break
            parts.append(entries[-1].name)
            directory = entries[-1].parent
        return b"/".join(reversed(parts))

    def _intervals(self, key: Key) -> list[Entry]:
        """The intervals of files that count under the key, and of markers of files."""
        kept: list[Entry] = []
        ended_ns = 0  # when something that is no file lost the name
        for interval in self._metadata.name_history(key.parent, key.name):
            if interval.is_marker:
                if interval.from_ns != ended_ns:
                    kept.append(interval)
                continue
            inode = self._metadata.inode(interval.ino)
            if inode is None or not inode.is_file:
                ended_ns = interval.to_ns
            elif self.home_of(interval.ino) == key:
                kept.append(interval)
        return kept

    def _item(self, item: HistoryItem) -> Item:
        version = item.version
        if version is None:
            return Item(item.stamp_ns, item.since_ns, is_marker=True, is_null=item.is_null)
        inode = self._volume.inode(version.ino)
        is_current = inode.version_ns == version.stamp_ns
        append_only = inode.append_only if is_current else 0
        return Item(
            item.stamp_ns,
            item.since_ns,
            is_null=item.is_null,
            size=version.size,
            tags=version.tags,
            storage_class=version.storage_class,
            tier=version.tier,
            replication=version.replication,
            is_last_to_tell=is_current and self._is_to_be_told(inode),
            named_until_ns=self._named_until_ns(inode) if is_current else 0,
            file=inode.ino,
            has_other_names=is_current and inode.nlink > 1,
            kept_until_ns=protected_until_ns(version.lock, append_only=append_only),
            name_kept_until_ns=self._name_kept_until_ns(inode) if item.is_latest else 0,
        )

    def _is_to_be_told(self, inode: Inode) -> bool:
        """Whether another region has still to hear what the file is called, or that it is gone."""
        return self._volume.outbox.is_kept and any(
            task.stamp_ns == ATTRIBUTES and not task.reason
            for task in self._metadata.tasks_of(inode.ino)
        )

    def _named_until_ns(self, inode: Inode) -> int:
        """When the file lost its last name, be it a temporary one; 0 where it has one."""
        if inode.nlink:
            return 0
        return max([entry.to_ns for entry in self._metadata.entries_of(inode.ino)], default=0)

    def _name_kept_until_ns(self, inode: Inode) -> int:
        """Until when a lock forbids to put a delete marker over the file."""
        is_frozen = self._locks.policies.semantics(inode) is Semantics.FILE
        lock = inode.lock if is_frozen else None
        return protected_until_ns(lock, append_only=inode.append_only)
