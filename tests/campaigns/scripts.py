"""Lines that have a script of their own: what they print last is their figure."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.campaigns.line import Failed, Figures, Piece

PROJECT: Final = Path(__file__).resolve().parents[2]
PJDFSTEST: Final = "S3FS_LOCAL_PJDFSTEST"
"""Names a checkout of pjdfstest in which `make` has run."""


def _output(*command: str | Path) -> str:
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as script:
        try:
            said, _ = script.communicate()
        finally:
            script.terminate()  # it unmounts what it mounted
    if script.returncode != 0:
        raise Failed(said)
    return said


def lacks_pjdfstest() -> str:
    """The suite is not part of this project; whoever has built it says where."""
    if os.geteuid() != 0:
        return "root"
    folder = os.environ.get(PJDFSTEST)
    return "" if folder else f"pjdfstest (name a built checkout in {PJDFSTEST})"


def posix(piece: Piece) -> Figures:
    """The whole suite, however large the piece."""
    del piece
    said = _output(PROJECT / "scripts/posix-suite", os.environ[PJDFSTEST])
    score = re.search(r"^(\d+) of (\d+) cases", said, re.MULTILINE)
    assert score
    return {"cases that pass": int(score[1]), "cases": int(score[2])}


def random_io(piece: Piece) -> Figures:
    """So many operations beside a copy in memory."""
    arguments = ("--operations", str(piece.size), "--seed", str(piece.seed))
    _output(PROJECT / "scripts/random-io", *arguments, "--folder", piece.folder)
    return {"differences": 0}


def failover(piece: Piece) -> Figures:
    """One region is lost, another takes over, and both hold the same in the end."""
    del piece
    _output(PROJECT / "scripts/failover-rehearsal")
    return {"files or versions that differ": 0}


def attack(piece: Piece) -> Figures:
    """So many steps against locked files, in memory."""
    arguments = ("--steps", str(piece.size), "--seed", str(piece.seed))
    _output(sys.executable, "-m", "tests.simulation.attack_at_length", *arguments)
    return {"locks that did not hold": 0}


def lifecycle_kills(piece: Piece) -> Figures:
    """So many runs of lifecycle, killed."""
    arguments = ("--kills", str(piece.size), "--keys", "300", "--seed", str(piece.seed))
    _output(
        *(sys.executable, "-m", "tests.campaigns.lifecycle_kills"),
        *(*arguments, "--folder", piece.folder),
    )
    return {"other ends than of a run left alone": 0}


def move_kills(piece: Piece) -> Figures:
    """So many moves between storage classes, killed."""
    arguments = ("--kills", str(piece.size), "--seed", str(piece.seed))
    said = _output(
        *(sys.executable, "-m", "tests.scenarios.killed_moves"),
        *(*arguments, "--folder", piece.folder),
    )
    halfway = re.search(r"(\d+) of them", said)
    assert halfway
    return {"with a file on its way": int(halfway[1]), "lost": 0}


def model(piece: Piece) -> Figures:
    """So many sequences on the mount and on a disk."""
    arguments = ("--sequences", str(piece.size), "--seed", str(piece.seed))
    said = _output(
        *(sys.executable, "-m", "tests.fuse.model_at_length"),
        *(*arguments, "--folder", piece.folder),
    )
    last = re.findall(r"(\d+) calls of (\d+) kinds", said)[-1]
    return {"calls": int(last[0]), "most kinds of calls": int(last[1]), "differences": 0}
