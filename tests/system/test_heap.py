"""Memory is set up for a process that lives long."""

import platform
import subprocess
import sys
from typing import Final

from s3fs_local.system.heap import prepare_heap

SPARED: Final = """
import gc
import s3fs_local.daemon.lifetime
from s3fs_local.system.heap import spare_what_stays
before = len(gc.get_objects())
spare_what_stays()
print(before, len(gc.get_objects()), gc.get_threshold()[0])
"""


THREADS: Final = """
import ctypes, threading
from s3fs_local.system.heap import prepare_heap
assert prepare_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
places = []
threads = [threading.Thread(target=lambda: places.append(libc.malloc(100_000))) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
line = next(line for line in open("/proc/self/maps") if line.endswith("[heap]\\n"))
start, end = (int(place, 16) for place in line.split()[0].split("-"))
print(len(places), all(start < place < end for place in places))
"""

FREED: Final = """
from s3fs_local.system.heap import give_back_freed_memory, prepare_heap
def resident_pages():
    return int(open("/proc/self/statm").read().split()[1])
assert prepare_heap()
needed = [b"x" * (1 << 20) for _ in range(100)]
stays = bytes(10)
del needed
kept = resident_pages()
give_back_freed_memory()
print((kept - resident_pages()) >> 8)
"""


def test_glibc_keeps_freed_memory() -> None:
    """Elsewhere it is refused politely."""
    assert prepare_heap() == (platform.libc_ver()[0] == "glibc")


def test_threads_have_no_heaps_of_their_own() -> None:
    """What one freed there no other could use, and a daemon grew by it for hours."""
    output = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, check=True).stdout

    assert output == b"8 True\n"


def test_what_was_needed_once_goes_back_to_the_machine() -> None:
    """A verification would make a daemon large for good, and the next one larger."""
    output = subprocess.run([sys.executable, "-c", FREED], capture_output=True, check=True).stdout

    assert int(output) >= 90


def test_the_collector_leaves_modules_alone() -> None:
    """Or it goes through all of them every few thousand requests, and one has to wait for it."""
    output = subprocess.run([sys.executable, "-c", SPARED], capture_output=True, check=True).stdout
    before, after, young = map(int, output.split())
    assert before > 10_000
    assert after < 1000
    assert young >= 10_000
