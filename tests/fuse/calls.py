"""System calls that Python does not have, and several programs at once."""

import ctypes
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
HANDLE_BYTES_MAX = 128
AT_FDCWD = -100

_LIBC = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def renameat2(old: Path | str, new: Path | str, flags: int) -> None:
    """The file has the new name, as the `flags` of the system call ask."""
    _checked(_LIBC.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags))


def handle_of(path: Path) -> bytes:
    """What NFS gives to its clients for the file: the `struct file_handle`."""
    handle = ctypes.create_string_buffer(
        struct.pack("Ii", HANDLE_BYTES_MAX, 0), HANDLE_BYTES_MAX + 8
    )
    mount_id = ctypes.c_int()
    _checked(
        _LIBC.name_to_handle_at(AT_FDCWD, os.fsencode(path), handle, ctypes.byref(mount_id), 0)
    )
    return handle.raw


def open_by_handle(mount_point: Path, handle: bytes, flags: int) -> int:
    """A descriptor of what the handle means. Raises ESTALE where it means nothing any more."""
    mount = os.open(mount_point, os.O_RDONLY)
    try:
        return _checked(_LIBC.open_by_handle_at(mount, handle, flags))
    finally:
        os.close(mount)


def fails_with(number: int) -> "pytest.RaisesExc[OSError]":
    """An OSError of this number."""
    return pytest.RaisesExc(OSError, check=lambda error: error.errno == number)


def starts(script: str, *arguments: object) -> "subprocess.Popen[str]":
    """A Python program that has begun."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def together(script: str, count: int, *arguments: object) -> list[str]:
    """What `count` copies of the program print that run at once; each gets its number first."""
    programs = [starts(script, number, *arguments) for number in range(count)]
    outputs = [program.communicate()[0] for program in programs]
    assert [program.returncode for program in programs] == [0] * count
    return outputs
