"""How fast blocks are sealed and opened, beside gocryptfs: see `scripts/sealing-speed`.

gocryptfs measures itself (`gocryptfs -speed`), with blocks of 4 KiB. Both in memory, one thread.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter

from s3fs_local.crypto.frames import SALT_BYTES
from s3fs_local.crypto.sealing import (
    KEY_BYTES,
    TWO_KEYS_BYTES,
    block_key,
    open_frames,
    seal_block,
)
from s3fs_local.system.heap import prepare_heap
from s3fs_local.system.randomness import SystemRandomness

SIZES = {"4 KiB": 4096, "1 MiB": 1 << 20}
LAYERS = {"AES-256-GCM": KEY_BYTES, "two layers (dsse)": TWO_KEYS_BYTES}
ROUND_BYTES = 32 << 20
ROUNDS = 7


def megabytes_a_second(action: Callable[[], object], size: int) -> float:
    """The best of some rounds: others use the machine, too."""
    times = ROUND_BYTES // size
    best = float("inf")
    for _ in range(ROUNDS):
        started = perf_counter()
        for _ in range(times):
            action()
        best = min(best, perf_counter() - started)
    return ROUND_BYTES / best / 1e6


def measure(size: int, key_bytes: int) -> tuple[float, float]:
    """Sealing and opening blocks of that size."""
    randomness = SystemRandomness()
    plain, key = randomness.bytes(size), randomness.bytes(key_bytes)
    salt = randomness.bytes(SALT_BYTES)

    def seal() -> bytearray:
        return seal_block(plain, data_key=key, key_id=1, offset=0, block_id=1, salt=salt)

    sealed = memoryview(seal())[SALT_BYTES:]
    derived = block_key(key, salt)

    def opened() -> bytes:
        return open_frames(sealed, key=derived, key_id=1, offset=0, length=size, block_id=1)

    assert opened() == plain
    return megabytes_a_second(seal, size), megabytes_a_second(opened, size)


def main() -> None:
    """Prints a table."""
    prepare_heap()  # as the daemon does
    out = sys.stdout
    out.write(f"{'':28}{'seal MB/s':>12}{'open MB/s':>12}\n")
    for name, key_bytes in LAYERS.items():
        for words, size in SIZES.items():
            sealing, opening = measure(size, key_bytes)
            out.write(f"{f'{name}, {words}':28}{sealing:>12.0f}{opening:>12.0f}\n")
    out.flush()
    gocryptfs = shutil.which("gocryptfs")
    if gocryptfs is None:
        out.write("gocryptfs is not installed (apt-get install gocryptfs adds its figures)\n")
        return
    out.write("\ngocryptfs -speed (4 KiB)\n")
    out.flush()
    subprocess.run([gocryptfs, "-speed"], check=False)


if __name__ == "__main__":
    main()
