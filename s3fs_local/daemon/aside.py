"""A store that cannot be written: on a read-only disk, or in somebody's directory without write.

It is opened as any other, and recovers from its last end as any other, but beside itself: its own
files are copied to a directory for temporary files, its zones are read through an `Overlay`. So it
shows what it would show if it could be written, and not a byte of it changes. What was written
beside it goes with the process.
"""

import errno
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from s3fs_local import errors
from s3fs_local.daemon.layout import KEY_RING_NAME, METADATA_NAME, VERIFIED_NAME
from s3fs_local.objects.zone_record import RECORD_NAME
from s3fs_local.system import durable_files
from s3fs_local.system.held_directories import HeldDirectories

log = logging.getLogger(__name__)

_PREFIX: Final = "s3fs-local-aside-"
_COPIED: Final = (KEY_RING_NAME, METADATA_NAME, f"{METADATA_NAME}-wal", VERIFIED_NAME, RECORD_NAME)


@contextmanager
def copied_aside(path: Path, store_id: str) -> Iterator[Path]:
    """A directory with copies of the store's own files, but for its zones; gone after the block.

    What a killed process of this store left is removed first. A database that its disk does not
    give is left out: it is made anew, from the zones.

    Raises:
        StoreFull: there is no room for them.
        PathUnusable: no directory for temporary files can be written, or a file cannot be read.
    """
    prefix = f"{_PREFIX}{store_id}-"
    held = HeldDirectories()
    try:
        home = Path(_made(prefix, held))
        try:
            for name in _COPIED:
                _copy(path / name, home / name)
            yield home
        finally:
            shutil.rmtree(home, ignore_errors=True)
    finally:
        held.release()


def _made(prefix: str, held: HeldDirectories) -> str:
    try:
        folder = Path(tempfile.gettempdir())
        for left in folder.glob(f"{prefix}*"):
            with suppress(errors.StorageError):  # a process that lives has it: of a copy, say
                held.hold(left, of=left.name)
                shutil.rmtree(left, ignore_errors=True)
        home = tempfile.mkdtemp(prefix=prefix)
    except OSError as error:
        raise errors.PathUnusable(
            "what a store that cannot be written needs must be written somewhere, and there is no"
            f" place for it: set TMPDIR to a directory that has room ({error.strerror})"
        ) from error
    held.hold(Path(home), of=home)
    return home


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno in durable_files.NO_SPACE:
            raise errors.StoreFull(
                f"{target.parent.parent} has no room for a copy of {source}: set TMPDIR to a"
                " directory that has"
            ) from error
        if error.errno != errno.EIO:
            raise errors.PathUnusable(f"{source}: {error.strerror}") from error
        log.warning("%s cannot be read, and is made anew from the zones", source)
        target.unlink(missing_ok=True)
