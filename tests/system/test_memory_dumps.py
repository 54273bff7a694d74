"""A crash leaves no keys behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CRASHES = """
import os, resource, signal, sys
resource.setrlimit(resource.RLIMIT_CORE, (-1, resource.getrlimit(resource.RLIMIT_CORE)[1]))
if sys.argv[1] == "private":
    from s3fs_local.system.memory_dumps import keep_memory_private
    keep_memory_private()
os.kill(os.getpid(), signal.SIGABRT)
"""
TELLS = """
import atexit, ctypes, resource, sys
from s3fs_local.cli.main import main
def tell():
    print(*resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3))  # PR_GET_DUMPABLE
atexit.register(tell)
sys.argv = ["s3fs-local", "--version"]
main()
"""


def crash(how: str, folder: Path) -> int:
    """The status of a process that crashed in the folder, as wait(2) gives it."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen([sys.executable, "-c", CRASHES, how], cwd=folder, env=environment)
    status = os.waitpid(process.pid, 0)[1]
    process.returncode = os.waitstatus_to_exitcode(status)  # it need not wait any more
    return status


def test_a_crash_dumps_no_memory(tmp_path: Path) -> None:
    """The kernel says in the status whether it did; a core dump would hold every key in use."""
    status = crash("private", tmp_path)

    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)


def test_without_it_a_crash_dumps_memory(tmp_path: Path) -> None:
    """So that the test above can fail; where the machine dumps nothing there is nothing to see."""
    if not os.WCOREDUMP(crash("as usual", tmp_path)):
        pytest.skip("this machine writes no core dumps (core_pattern, or a hard limit of 0)")


def test_every_command_keeps_its_memory_private() -> None:
    """All of them may open a store; so it is done where all of them begin."""
    shown = subprocess.run(
        [sys.executable, "-c", TELLS],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
    ).stdout

    assert shown.splitlines()[-1] == "0 0 0"
