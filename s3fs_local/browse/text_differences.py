"""How two texts differ, line by line, found by diff(1)."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import trio
from msgspec import Struct

TEXT_BYTES_MAX: Final = 1 << 20
"""Of each of the two."""
LINES_MAX: Final = 4000
"""That are shown."""
SECONDS_MAX: Final = 20.0


class Line(Struct, frozen=True):
    """One line of a difference."""

    kind: str  # "same", "removed", "added" or "gap"
    text: str
    older: int | None = None  # its number there
    newer: int | None = None


class TextDifference(Struct, frozen=True):
    """The lines that differ, with a few around them."""

    lines: list[Line]
    is_cut: bool = False  # there are more than are shown
    took_too_long: bool = False


async def text_difference(older: bytes, newer: bytes) -> TextDifference:
    """How the second differs from the first."""
    with ExitStack() as closing:
        files = [closing.enter_context(_in_memory(text)) for text in (older, newer)]
        with trio.move_on_after(SECONDS_MAX):
            found = await trio.run_process(
                ["diff", "--text", "-U3", "--", *(f"/proc/self/fd/{file}" for file in files)],
                capture_stdout=True,
                stderr=subprocess.DEVNULL,
                check=False,
                pass_fds=files,
            )
            return _parsed(found.stdout)
    return TextDifference([], took_too_long=True)


@contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """A file that never touches a disk: an earlier content may be secret."""
    file = os.memfd_create("s3fs-local-diff")
    try:
        with open(file, "wb", closefd=False) as writer:
            writer.write(content)
        yield file
    finally:
        os.close(file)


def _parsed(output: bytes) -> TextDifference:
    lines: list[Line] = []
    older = newer = 0
    for line in output.decode("utf-8", "replace").split("\n")[2:]:
        if len(lines) >= LINES_MAX:
            return TextDifference(lines, is_cut=True)
        sign, text = line[:1], line[1:]
        if sign == "@":
            ranges = text.split("@")[1].split()
            older, newer = (int(one[1:].split(",")[0]) for one in ranges)
            lines.append(Line("gap", f"line {newer}"))
        elif sign == "-":
            lines.append(Line("removed", text, older=older))
            older += 1
        elif sign == "+":
            lines.append(Line("added", text, newer=newer))
            newer += 1
        elif sign == " ":
            lines.append(Line("same", text, older=older, newer=newer))
            older, newer = older + 1, newer + 1
        elif sign == "\\":
            lines.append(Line("gap", text.strip()))
    return TextDifference(lines)
