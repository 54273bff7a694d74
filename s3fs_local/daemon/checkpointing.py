"""The metadata's copies in the zones: made now and then, and turned into a database again."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Final, Protocol

from s3fs_local import errors
from s3fs_local.daemon.layout import IMAGE_NAME, METADATA_NAME
from s3fs_local.packs.checkpoints import PIECE_BYTES, Checkpoints, checkpoint_name
from s3fs_local.packs.journal import Journal
from s3fs_local.system import durable_files

log = logging.getLogger(__name__)

JOURNAL_BYTES_MIN: Final = 64 << 20
"""With a large database it is copied after as much journal as it is long, so each byte of a change
is copied twice at most; with a small one not before the journal is as long as this."""
SMALL_IMAGE_BYTES: Final = 4 << 20
"""Copied whenever the journal could be cut: that takes milliseconds."""
SEGMENTS_MAX: Final = 64


class Imaged(Protocol):
    """A metadata engine that can be copied whole."""

    @property
    def home(self) -> Path:
        """A directory that can be written to."""
        ...

    def write_image(self, target: Path) -> int:
        """What the last commit left is at `target`; returns its journal position. Blocks."""
        ...


class MetadataCopies:
    """Keeps a copy of the metadata in every zone that, with the journal, is all of it."""

    def __init__(self, metadata: Imaged, checkpoints: Checkpoints, journal: Journal) -> None:
        self._metadata = metadata
        self._checkpoints = checkpoints
        self._journal = journal
        self._mutex = Lock()  # one copy is made at a time

    def renew_if_due(self) -> bool:
        """Whether journal segments that the database does not need may go. Blocks."""
        size = self._checkpoints.size_bytes()
        if size > SMALL_IMAGE_BYTES:
            segments, length = self._journal.extent()
            if length < max(JOURNAL_BYTES_MIN, size) and segments < SEGMENTS_MAX:
                return False
        try:
            self.renew()
        except (errors.MetadataDamaged, errors.StoreFull) as error:
            # Its disk failed, and the next commit is elsewhere; or room is made some day.
            log.warning("the metadata cannot be copied now: %s", error)
            return False
        return True

    def renew(self) -> str:
        """The newest copy is of now; returns its name. Blocks."""
        with self._mutex:
            image = self._metadata.home / IMAGE_NAME
            try:
                position = self._metadata.write_image(image)
                self._checkpoints.write(position, _pieces(image))
            finally:
                with suppress(OSError):
                    image.unlink(missing_ok=True)
        return checkpoint_name(position)


def rebuild_metadata(path: Path, checkpoints: Checkpoints) -> None:
    """The database is the newest copy that a zone has; replaying the journal does the rest.

    What was there before is set aside, and only when the copy is whole.

    Raises:
        StoreDamaged: no zone that answers has a copy.
        DataDamaged: none has a whole one.
        StoreFull, PathUnusable: it cannot be written; everything is as it was.
    """
    positions = checkpoints.positions()
    if not positions:
        raise errors.StoreDamaged("no zone holds a copy of the metadata")
    image = path / IMAGE_NAME
    failure: errors.DataDamaged | None = None
    for position in positions:
        try:
            with _written(image) as file:
                file.writelines(checkpoints.read(position))
        except errors.DataDamaged as error:
            failure = error
            continue
        set_database_aside(path)
        durable_files.move_durably(image, path / METADATA_NAME)
        log.warning("rebuilt the metadata from the copy at journal position %d", position)
        return
    assert failure is not None
    raise failure


@contextmanager
def _written(image: Path) -> Iterator[BinaryIO]:
    """What the block writes lies there; nothing does if it fails."""
    try:
        with image.open("wb") as file:
            image.chmod(0o600)
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        with suppress(OSError):
            image.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        if error.errno in durable_files.NO_SPACE:
            raise durable_files.store_full(error.errno, image) from error
        raise errors.PathUnusable(f"{image}: {error.strerror}") from error


def set_database_aside(path: Path) -> None:
    """The present database is not used; it is kept beside, for whoever wants to look at it.

    One that was set aside before stays: a rebuild that is killed and begun again would else leave
    only its own work. The log goes first: SQLite takes one that is left for the new database's.
    """
    names = (f"{METADATA_NAME}.set-aside{number or ''}" for number in count())
    target = next(name for name in names if not (path / name).exists())
    for suffix in ("-shm", "-wal", ""):
        file = path / f"{METADATA_NAME}{suffix}"
        if file.exists():
            durable_files.move_durably(file, path / f"{target}{suffix}")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
