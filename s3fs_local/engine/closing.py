"""What a close makes: a version of what was written, and an end of what nobody can reach."""

from s3fs_local.engine.locks import Locks
from s3fs_local.engine.open_files import Handle, OpenFiles
from s3fs_local.engine.releasing import Releasing
from s3fs_local.engine.volume import Volume
from s3fs_local.engine.writing import Writing
from s3fs_local.rules.versioning import Origin


class Closing:
    """Closes the open files of one volume."""

    def __init__(
        self,
        volume: Volume,
        open_files: OpenFiles,
        *,
        locks: Locks,
        writing: Writing,
        releasing: Releasing,
    ) -> None:
        self._volume = volume
        self._open_files = open_files
        self._locks = locks
        self._writing = writing
        self._releasing = releasing

    def flush(self, handle: int) -> None:
        """close(2) of a descriptor: what was written through this handle is a version.

        Duplicates of a descriptor (a shell's redirection, inherited by each child) close one by
        one; the version made at each close is replaced by that of the next.
        """
        opened = self._open_files.get(handle)
        if not opened.wrote:
            return
        inode = self._volume.metadata.inode(opened.ino)
        if inode is None or not inode.nlink:
            return  # removed while open: what it held was kept when its name went
        replaces_ns = opened.provisional_ns
        if replaces_ns != inode.version_ns or inode.lock is not None:
            replaces_ns = 0
        version = self._writing.commit(opened.ino, origin=Origin.CLOSE, replaces_ns=replaces_ns)
        if version is not None:
            opened.provisional_ns = version.stamp_ns
        opened.wrote = False

    def release(self, handle: int) -> None:
        """The last descriptor is closed; late pages of a mapping are committed now."""
        opened = self._open_files.get(handle)
        try:
            self.flush(handle)
        finally:
            self._open_files.remove(handle)
        if not opened.is_of_view:
            self._after_close(opened)

    def _after_close(self, closed: Handle) -> None:
        inode = self._volume.metadata.inode(closed.ino)
        if inode is None:
            return
        if not self._open_files.is_written(closed.ino):
            self._volume.new_keys.release(closed.ino)
        is_unwritten = closed.writable and not self._open_files.is_written(inode.ino)
        if is_unwritten and inode.nlink and inode.ino in self._volume.drafts:
            self._writing.commit(inode.ino, origin=Origin.CLOSE)
        if inode.ino not in self._volume.drafts:
            self._locks.pending.lock_closed_unwritten(inode.ino)
        if not inode.nlink and not self._open_files.is_open(inode.ino):
            self._writing.discard(inode.ino)
            self._releasing.forget_never_saved(inode)
