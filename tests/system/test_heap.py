"""Memory is set up for a process that lives long."""

import platform
import subprocess
import sys
from typing import Final

from s3fs_local.system.heap import keep_freed_memory

SPARED: Final = """
import gc
import s3fs_local.daemon.lifetime
from s3fs_local.system.heap import spare_what_stays
before = len(gc.get_objects())
spare_what_stays()
print(before, len(gc.get_objects()), gc.get_threshold()[0])
"""


def test_glibc_keeps_freed_memory() -> None:
    """Elsewhere it is refused politely."""
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


def test_the_collector_leaves_modules_alone() -> None:
    """Or it goes through all of them every few thousand requests, and one has to wait for it."""
    output = subprocess.run([sys.executable, "-c", SPARED], capture_output=True, check=True).stdout
    before, after, young = map(int, output.split())
    assert before > 10_000
    assert after < 1000
    assert young >= 10_000
