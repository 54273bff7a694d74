"""What becomes of an inode that loses a name: kept in the history, or gone if nothing keeps it."""

from typing import Final

import msgspec

from s3fs_local.engine.delete_markers import reopen_marker
from s3fs_local.engine.locks import Locks
from s3fs_local.engine.open_files import OpenFiles
from s3fs_local.engine.version_removal import forget_nameless, remove_version
from s3fs_local.engine.volume import Volume
from s3fs_local.engine.writing import Writing
from s3fs_local.metadata.changes import (
    Change,
    CloseEntry,
    PutInode,
    PutSetting,
    RemoveEntry,
    RemoveInode,
    RemoveSetting,
)
from s3fs_local.rules.inode import Caller, Inode
from s3fs_local.rules.namespace import Ending, Entry
from s3fs_local.rules.retention import Operation
from s3fs_local.rules.versioning import Origin, VersioningState

WAITING_SETTING: Final = "fact.closing"
"""Files that lost their last name while they were open, of which nothing is kept: as JSON, inodes.
So a crash keeps nothing of them either."""


class Releasing:
    """Takes names from the inodes of one volume."""

    def __init__(
        self, volume: Volume, *, locks: Locks, writing: Writing, open_files: OpenFiles
    ) -> None:
        self._volume = volume
        self._metadata = volume.metadata
        self._locks = locks
        self._writing = writing
        self._open_files = open_files
        self._purged_while_open: set[int] = set()

    def keep_content(self, inode: Inode) -> Inode:
        """What was written but not closed is committed before the last name goes.

        So an undelete gives the file as it was when it was removed. A file that never held
        anything, or never had a version and is being written without a name, has nothing to keep.
        """
        draft = self._volume.drafts.get(inode.ino)
        if draft is None or inode.nlink != 1 or not draft.is_altered or not draft.size:
            return inode
        if self._volume.settings.versioning is VersioningState.UNVERSIONED:
            return inode
        self._writing.commit(inode.ino, origin=Origin.CLOSE)
        return self._volume.inode(inode.ino)

    def keep_rotated(self, inode: Inode, caller: Caller) -> Inode:
        """A log that was never saved is, before it is sealed: what locks it lies on a version."""
        if inode.version_ns:
            return inode
        self._writing.save_first(inode, uid=caller.uid)
        return self._volume.inode(inode.ino)

    def release_name(
        self, entry: Entry, inode: Inode, stamp_ns: int, caller: Caller, ending: Ending
    ) -> list[Change]:
        """The changes by which the entry means the inode no longer."""
        if inode.is_directory:
            nlink = 0
        else:
            nlink = inode.nlink - 1
            if nlink:
                ending = Ending.LAPSED if ending is Ending.EXPIRED else Ending.MOVED
        released = msgspec.structs.replace(inode, nlink=nlink, ctime_ns=stamp_ns)
        changes: list[Change] = [PutInode(released)]
        if self._volume.settings.versioning is VersioningState.UNVERSIONED:
            changes.append(RemoveEntry(entry.parent, entry.name, entry.from_ns))
        else:
            changes.append(
                CloseEntry(entry.parent, entry.name, entry.from_ns, stamp_ns, ending, caller.uid)
            )
        return changes

    def after_release(self, inode: Inode) -> None:
        """Versions that S3's state does not keep are gone, at once or at the last close."""
        if not inode.is_file or inode.nlink != 1:
            return
        if not self._open_files.is_open(inode.ino):
            self._destroy_whole(inode.ino)
            return
        if self._volume.settings.versioning is not VersioningState.ENABLED:
            waiting = self._waiting()
            if inode.ino not in waiting:
                self._note_waiting({*waiting, inode.ino})
        self._open_files.when_closed(inode.ino, self._destroy_closed)

    def destroy_all_waiting(self) -> None:
        """After a crash nobody has anything open: what waited for that is gone."""
        waiting = self._waiting()
        for ino in waiting:
            self._destroy_whole(ino)
        if waiting:
            self._note_waiting(set())

    def _destroy_closed(self, ino: int) -> None:
        self.destroy_unkept(ino)
        waiting = self._waiting()
        if ino in waiting:
            self._note_waiting(waiting - {ino})

    def _destroy_whole(self, ino: int) -> None:
        self.destroy_unkept(ino)
        if self._volume.settings.versioning is not VersioningState.ENABLED:
            forget_nameless(self._volume, ino)

    def _waiting(self) -> set[int]:
        """Nameless files that go when they are closed."""
        stored = self._metadata.setting(WAITING_SETTING)
        return set() if stored is None else set(msgspec.json.decode(stored, type=list[int]))

    def _note_waiting(self, inodes: set[int]) -> None:
        noted = PutSetting(WAITING_SETTING, msgspec.json.encode(sorted(inodes)).decode())
        self._volume.apply([noted if inodes else RemoveSetting(WAITING_SETTING)])

    def destroy_unkept(self, ino: int) -> None:
        """The nameless file's draft is gone, and its null versions if versioning is not Enabled."""
        inode = self._metadata.inode(ino)
        if inode is None or inode.nlink:
            return  # an undelete gave it a name again
        self._writing.discard(ino)
        state = self._volume.settings.versioning
        if state is VersioningState.ENABLED:
            return
        for version in self._metadata.versions(ino):
            if version.is_null or state is VersioningState.UNVERSIONED:
                self._locks.check_version(Operation.REPLACE_VERSION, version)
                remove_version(self._volume, version)

    def note_purged(self, ino: int) -> None:
        """If the file is still open, its last close does not take it for one never saved.

        Another region may have it, and learns from what is left here that its names ended.
        """
        inode = self._volume.inode(ino)
        if not inode.nlink and not inode.version_ns and self._open_files.is_open(ino):
            self._purged_while_open.add(ino)

    def forget_never_saved(self, inode: Inode) -> None:
        """A temporary file that was removed before it was ever closed leaves nothing behind."""
        if not inode.is_file or inode.version_ns or self._metadata.versions(inode.ino):
            return
        if inode.ino in self._purged_while_open:
            self._purged_while_open.remove(inode.ino)
            if self._volume.settings.versioning is VersioningState.ENABLED:
                return
        changes: list[Change] = []
        for entry in self._metadata.entries_of(inode.ino):
            changes.append(RemoveEntry(entry.parent, entry.name, entry.from_ns))
            marker = self._metadata.entry(entry.parent, entry.name)
            if marker is None or not marker.is_marker or marker.is_null:
                continue  # a null marker took the place of one before, so it stays
            if marker.from_ns == entry.to_ns:
                changes.append(RemoveEntry(marker.parent, marker.name, marker.from_ns))
                changes += self._reopened_marker(entry)
        self._volume.apply([*changes, RemoveInode(inode.ino)])

    def _reopened_marker(self, entry: Entry) -> list[Change]:
        """The delete marker that the entry superseded lies on top again."""
        for before in self._metadata.name_history(entry.parent, entry.name):
            if before.is_marker and before.to_ns == entry.from_ns:
                return reopen_marker(before)
        return []
