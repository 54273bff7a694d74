"""What machine this is, and what is installed on it."""

import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.bench.place import Place
from tests.bench.report import Machine

PROJECT = Path(__file__).resolve().parents[2]


def this_machine(folder: Path) -> Machine:
    """As it is now; `folder` is where will be measured."""
    return Machine(
        processor=_line("/proc/cpuinfo", "model name"),
        processors=len(os.sched_getaffinity(0)),
        memory_mib=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        kernel=platform.release(),
        system=_line("/etc/os-release", "PRETTY_NAME", "=").strip('"'),
        filesystem=_filesystem_of(folder),
        python=platform.python_version(),
        load=os.getloadavg()[0],
    )


def commit() -> str:
    """The commit that is measured, `-dirty` where files were changed since; empty if unknown."""
    words = ("git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12")
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    return result.stdout.strip()


def split_by_found(
    kinds: Iterable[type[Place]],
) -> tuple[list[type[Place]], dict[str, str]]:
    """Those that are installed; and for the others the command that installs them."""
    found, missing = [], {}
    for kind in kinds:
        if kind.found() is None:
            missing[kind.name] = kind.install
        else:
            found.append(kind)
    return found, missing


def _line(file: str, name: str, separator: str = ":") -> str:
    for line in Path(file).read_text().splitlines():
        before, _, value = line.partition(separator)
        if before.strip() == name:
            return value.strip()
    return ""


def _filesystem_of(folder: Path) -> str:
    words = ("findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(folder))
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
