"""A database for a mounted store whose own cannot be used any more: its disk failed, or is gone.

The facts are in the zones: a copy of the metadata, and the journal after it. From them a database
is made in a directory for temporary files, up to the position of the last commit; what came later
the engine has in memory. Nothing is written to the store's own directory, which may be read-only.
Such a database goes with the process: the next mount has the store's own, or makes it anew.
"""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from s3fs_local import errors
from s3fs_local.daemon.checkpointing import rebuild_metadata
from s3fs_local.daemon.layout import METADATA_NAME
from s3fs_local.engine.draft_records import ChangeBatch, decode
from s3fs_local.metadata.changes import Change
from s3fs_local.metadata.interface import Metadata
from s3fs_local.packs.checkpoints import Checkpoints
from s3fs_local.packs.journal import Journal

log = logging.getLogger(__name__)

_PREFIX: Final = "s3fs-local-metadata-"


class MetadataRescue:
    """Makes them, for one store."""

    def __init__(
        self,
        store_id: str,
        checkpoints: Checkpoints,
        *,
        open_metadata: Callable[[Path], Metadata],
        open_journal: Callable[[], Journal],
    ) -> None:
        """Nothing is left of what a killed process of this store had made.

        Args:
            store_id: in the name of the directory.
            checkpoints: the copies of the metadata.
            open_metadata: of the database at a path.
            open_journal: gives one to be read, beside the one that grows.
        """
        self._prefix = f"{_PREFIX}{store_id}-"
        self._checkpoints = checkpoints
        self._open_journal = open_journal
        self._open_metadata = open_metadata
        # Whether the zones are not full themselves; what the last commit had and no journal has.
        self.has_room: Callable[[], bool] = lambda: False
        self.unjournaled: Callable[[], Sequence[Change]] = lambda: ()
        self.reason = ""  # why the store's own database is not used
        self._made: list[Path] = []
        for left in Path(tempfile.gettempdir()).glob(f"{self._prefix}*"):
            shutil.rmtree(left, ignore_errors=True)

    def __call__(self, position: int, *, for_room: bool) -> Path:
        """See `Rescue`."""
        if for_room and not self.has_room():
            raise errors.StoreFull("no space left for the metadata, nor in the zones")
        with self._new_home(
            "its disk is full" if for_room else "its disk fails, or is gone"
        ) as home:
            rebuild_metadata(home, self._checkpoints)
            metadata = self._open_metadata(home / METADATA_NAME)
            try:
                self._catch_up(metadata, position)
            finally:
                metadata.close()
        return home / METADATA_NAME

    def at_opening(self) -> Path:
        """The newest copy in a zone is a database there, for a store whose own disk has no room.

        Raises:
            StoreFull: there is none for this either.
            S3fsLocalError: it cannot be made.
        """
        with self._new_home("its disk is full") as home:
            rebuild_metadata(home, self._checkpoints)
        return home / METADATA_NAME

    @contextmanager
    def _new_home(self, reason: str) -> Iterator[Path]:
        """What the block puts there is the database from now on; nothing is left if it fails."""
        try:
            home = Path(tempfile.mkdtemp(prefix=self._prefix))
        except OSError as error:
            raise errors.MetadataDamaged(
                f"the metadata database cannot be used, nor another be made: {error.strerror}"
            ) from error
        try:
            yield home
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise
        self._made.append(home)
        self.reason = reason
        log.error("the store's own database is not used, %s; now it is in %s", reason, home)

    def _catch_up(self, metadata: Metadata, position: int) -> None:
        for reached, payload in self._open_journal().replay(metadata.position()):
            if reached > position:
                break
            record = decode(payload)
            if isinstance(record, ChangeBatch) and record.changes:
                metadata.apply(record.changes)
        metadata.apply(self.unjournaled())
        metadata.commit(position)

    def forget(self) -> None:
        """Nothing of them is left."""
        for home in self._made:
            shutil.rmtree(home, ignore_errors=True)
