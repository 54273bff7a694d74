"""What is told of other processes."""

import os
import subprocess
import sys

import pytest

from s3fs_local.system.processes import supplementary_groups


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses its groups")
def test_groups_are_those_of_the_process() -> None:
    """By them it is decided what a user may keep."""
    program = subprocess.Popen(
        [sys.executable, "-c", "print('up', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        extra_groups=[2000, 2001],
    )
    assert program.stdout is not None
    program.stdout.readline()
    groups = supplementary_groups(program.pid)
    program.communicate("")

    assert groups == {2000, 2001}


def test_a_process_that_is_gone_is_in_no_group() -> None:
    """Nothing is granted for lack of knowledge."""
    program = subprocess.Popen(["true"])
    program.wait()

    assert supplementary_groups(program.pid) == frozenset()
