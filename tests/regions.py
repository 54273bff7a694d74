"""Two stores on a disk, and the words that people type to have one told of the other."""

import subprocess
import sys
from pathlib import Path

from tests.replication_rules import document
from tests.store_on_disk import make_store


def type_command(*words: str | Path, text: bytes | None = None, code: int = 0) -> str:
    """What the command prints; it ends with the code."""
    done = subprocess.run(
        [sys.executable, "-m", "s3fs_local", *map(str, words)],
        input=text,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr.decode()
    return (done.stdout if not code else done.stderr).decode()


def make_regions(directory: Path, *, object_lock: bool = False) -> tuple[Path, Path]:
    """A source and a destination that it has a rule for."""
    here, there = directory / "east" / "store", directory / "west" / "store"
    here.parent.mkdir()
    there.parent.mkdir()
    make_store(here, [], object_lock=object_lock)
    make_store(there, [], object_lock=object_lock)
    type_command("config", "set", here, "remotes", f"west={there}")
    type_command("bucket", "replication", "put", here, "-", text=document())
    return here, there
