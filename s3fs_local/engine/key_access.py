"""Whether the keys of a file are at hand when it is opened: there, enabled, and the service asked.

Opening is the moment at which a program learns that a key is missing, disabled or not for it.
Afterwards close(2) must be able to seal what was written without waiting for a service, so the keys
of files that are open for writing are *pinned*: they stay open until the file is closed.
"""

import os
from contextlib import suppress

from s3fs_local.engine.open_files import O_ACCMODE, OpenFiles
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import EncryptionError
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO
from s3fs_local.rules.versioning import Version


class KeyAccess:
    """Asked by whoever opens a file, before."""

    def __init__(self, volume: Volume, open_files: OpenFiles) -> None:
        self._volume = volume
        self._open_files = open_files
        volume.keys.is_pinned = self._is_pinned

    def lacks(self, ino: int, version: Version | None, flags: int) -> bool:
        """Whether a key service must be asked before the version can be opened so.

        Then put the question (`Volume.keys.questions`), in a thread, and ask here again.

        Raises:
            EncryptionError: a key is missing, disabled or refused, or the service does not answer.
        """
        keys = self._volume.keys
        if keys.is_simple:
            return False
        if not flags & os.O_TRUNC:
            for key_id in () if version is None else version.key_ids:
                if keys.open_nowait(key_id, fresh=True) is None:
                    return True
        is_written = ino < FIRST_VIRTUAL_INO and flags & (O_ACCMODE | os.O_TRUNC)
        return bool(is_written) and self.lacks_for_writing(ino)

    def lacks_for_writing(self, ino: int) -> bool:
        """As `lacks`, for what will be written to the file."""
        new_keys = self._volume.new_keys
        inode = self._volume.inode(ino)
        if inode.key_id and new_keys.fits(inode.key_id):
            return self._volume.keys.open_nowait(inode.key_id, fresh=True) is None
        return not new_keys.can_make_nowait(ino)

    def open_written(self) -> None:
        """The keys of files that are open for writing are open, as far as that needs no service."""
        keys = self._volume.keys
        for ino in self._open_files.written():
            inode = self._volume.metadata.inode(ino)
            if inode is None or not inode.version_ns:
                continue
            version = self._volume.metadata.version(ino, inode.version_ns)
            for key_id in () if version is None else version.key_ids:
                with suppress(EncryptionError):
                    keys.open_nowait(key_id)

    def _is_pinned(self, key_id: int) -> bool:
        if any(draft.key_id == key_id for draft in self._volume.drafts.values()):
            return True
        written = self._open_files.written()
        if key_id == self._volume.new_keys.bucket_number:
            return bool(written)
        return any(self._needs(ino, key_id) for ino in written)

    def _needs(self, ino: int, key_id: int) -> bool:
        inode = self._volume.metadata.inode(ino)
        if inode is None:
            return False
        if inode.key_id == key_id or not inode.version_ns:
            return inode.key_id == key_id
        version = self._volume.metadata.version(ino, inode.version_ns)
        return version is not None and key_id in version.key_ids
