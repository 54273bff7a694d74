"""Starting a process like this one, and what the kernel tells of others."""

import select
import sys
from pathlib import Path


def interpreter() -> list[str]:
    """The command that starts this program's own Python, as much kept apart as it is here (-I).

    Without that, a variable such as PYTHONPATH would decide what a daemon of the package imports.
    """
    return [sys.executable, *(["-I"] if sys.flags.isolated else [])]


def supplementary_groups(process_id: int) -> frozenset[int]:
    """Groups of the process beside its own; none if it is gone."""
    try:
        lines = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    groups = next((line for line in lines if line.startswith("Groups:")), "Groups:")
    return frozenset(int(word) for word in groups.split()[1:])


def has_ended(process: int, *, seconds_max: float) -> bool:
    """Whether the process of that descriptor (`os.pidfd_open`) ends within the time. Blocks."""
    waiting = select.poll()  # select(2) takes no descriptor above 1023
    waiting.register(process, select.POLLIN)
    return bool(waiting.poll(seconds_max * 1000))


def program_of(process_id: int) -> str:
    """The path of the program that the process runs, or its name for itself; "" if it is gone."""
    try:
        return str(Path(f"/proc/{process_id}/exe").readlink())
    except OSError:
        pass  # a thread of the kernel, or not ours to know
    try:
        return Path(f"/proc/{process_id}/comm").read_text(encoding="utf-8", errors="replace")[:-1]
    except OSError:
        return ""
