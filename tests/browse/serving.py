"""`s3fs-local browse` as a person starts it."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mounting import COMMAND


@contextmanager
def served(store: Path, **environment: str) -> Iterator[str]:
    """The link that lets a browser in, for the time of the block."""
    process = subprocess.Popen(
        [*COMMAND, "browse", store, "--no-open", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert process.stdout is not None
    try:
        printed = ""
        while not printed.rstrip().endswith("}"):
            line = process.stdout.readline()
            assert line, "browse ended without a word"
            printed += line
        yield json.loads(printed)["Url"]
    finally:
        process.terminate()
        process.wait(timeout=120)
        process.stdout.close()
