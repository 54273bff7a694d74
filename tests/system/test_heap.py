"""The heap setting reaches the C library."""

import platform

from s3fs_local.system.heap import keep_freed_memory


def test_glibc_keeps_freed_memory() -> None:
    """Elsewhere it is refused politely."""
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
