"""How two contents differ, as diff(1) shows it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from s3fs_local.cli.store_access import ask
from s3fs_local.control.mount_table import Place
from s3fs_local.control.requests import ReadVersion
from s3fs_local.control.results.versions import Content

NOTHING: Final = Path(os.devnull)


class Chosen(Struct, frozen=True):
    """One content of a path, by version or time."""

    where: Place
    version: str | None = None
    at: str | None = None


class Fetched(Struct, frozen=True):
    """A content in a file of its own."""

    file: Path
    content: Content


@contextmanager
def fetched(chosen: Chosen, *, about: str) -> Iterator[Fetched]:
    """The content, for the time of the block. Raises as `control.requests.ReadVersion`."""
    with tempfile.NamedTemporaryFile(prefix="s3fs-local-") as file:
        request = ReadVersion(chosen.where.path, version=chosen.version, at=chosen.at)
        content = ask(
            chosen.where.store, request, Content, quiet=True, about=about, on_data=file.write
        )
        file.flush()
        yield Fetched(Path(file.name), content)


def show_difference(before: Fetched | None, after: Fetched | None) -> None:
    """Prints how they differ; None is a file that is not there."""
    labels = [f"--label={_label(side)}" for side in (before, after)]
    files = [str(NOTHING if side is None else side.file) for side in (before, after)]
    colour = "--color=always" if sys.stdout.isatty() else "--color=never"
    sys.stdout.flush()
    # diff(1) copes with files of any size; its exit code 1 only says that they differ.
    command = ["diff", "-u", colour, *labels, "--", *files]
    subprocess.run(command, check=False)  # noqa: S603  no part of it is a shell's


def _label(side: Fetched | None) -> str:
    return "nothing" if side is None else f"{side.content.key}  {side.content.version_id}"
