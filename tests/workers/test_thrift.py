"""Memory that was needed once goes back to the machine."""

import os
import subprocess
import sys

SCRIPT = """
from s3fs_local.system.heap import prepare_heap, resident_bytes
from s3fs_local.engine.use import Use
from s3fs_local.workers.thrift import Thrift
import trio

assert prepare_heap()
thrift = Thrift(Use())
needed = [b"x" * (1 << 20) for _ in range(100)]
stays = bytes(10)
del needed
kept = resident_bytes()
trio.run(thrift.look)
print((kept - resident_bytes()) >> 20)
"""


def test_what_was_needed_once_goes_back_to_the_machine() -> None:
    """A verification would make a daemon large for good, and the next one larger."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=os.environ
    )

    assert int(result.stdout) >= 90
