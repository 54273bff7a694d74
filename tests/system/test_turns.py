"""The loop gets its turn soon, whatever threads compute beside it."""

import subprocess
import sys
from typing import Final

TOLD: Final = """
import sys
import s3fs_local.daemon.lifetime
from s3fs_local.system.turns import keep_turns_short
keep_turns_short()
print(sys.getswitchinterval())
"""


def test_a_thread_that_computes_gives_way_within_a_millisecond() -> None:
    """Or every request waits 5 ms for a scrub that digests bytes in Python."""
    output = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, check=True).stdout

    assert float(output) <= 0.001
