"""The three streams of a process, whatever whoever started it made of them."""

import io
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
OUTPUT: Final = "standard output"


class _Output(io.FileIO):
    """Standard output, whose errors name it: they are told as those of any file."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """As any file. Raises OSError."""
        try:
            return super().write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, OUTPUT) from None


def open_standard_streams() -> None:
    """Each is open: one that was closed (`>&-`) leads nowhere.

    Else the first file that is opened would have its number, and be written to in its place.
    """
    for descriptor, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115
    before = sys.stdout
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(before.fileno(), "w", closefd=False)),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.isatty(),
    )


def drop_unwritten_output() -> None:
    """Nothing is left that the end of the process would try to write, and complain about."""
    try:
        sys.stdout.flush()
    except OSError:
        forget_output()


def forget_output() -> None:
    """What is still buffered for standard output, and what is printed from now on, goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
