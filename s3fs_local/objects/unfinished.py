"""The hidden files that puts write to until they are whole.

A put that fails takes its own away. One whose process was killed cannot: what it left lies there
until the same object is put again, and most never are.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from s3fs_local.objects.names import is_name
from s3fs_local.system.durable_files import temporary_name


class Unfinished:
    """Which of them are being written. Any thread may call."""

    def __init__(self) -> None:
        self._written: set[Path] = set()
        self._mutex = Lock()

    @contextmanager
    def writing(self, path: Path) -> Iterator[None]:
        """The file that becomes `path` is not taken for one that was left."""
        temporary = path.with_name(temporary_name(path.name))
        with self._mutex:
            self._written.add(temporary)
        try:
            yield
        finally:
            with self._mutex:
                self._written.discard(temporary)

    def remove_left(self, root: Path) -> int:
        """Below the directory there are only those that are being written; how many went.

        Raises:
            OSError: it cannot be read, or one cannot be removed.
        """
        removed = 0
        for folder, _, files in os.walk(root, onerror=_raise_unless_missing):
            for file in filter(_is_temporary, files):
                path = Path(folder) / file
                with self._mutex:  # a put of that name begins before or after
                    if path not in self._written:
                        path.unlink(missing_ok=True)
                        removed += 1
        return removed


UNFINISHED: Final = Unfinished()
"""Those of this process: a zone that came back is opened anew, beside puts that may hang yet."""


def _is_temporary(file: str) -> bool:
    name = file[1:].removesuffix(".tmp")
    return is_name(name) and file == temporary_name(name)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
