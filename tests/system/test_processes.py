"""What is told of other processes."""

import os
import resource
import subprocess
import sys

import pytest

from s3fs_local.system.processes import has_ended, supplementary_groups


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


def test_the_end_of_a_process_is_seen_by_whoever_has_more_than_a_thousand_files_open() -> None:
    """`select` takes no descriptor above 1023: making room for a mount failed by a bug."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    program = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = os.pidfd_open(program.pid)
    high = os.dup2(process, 2000)
    try:
        assert not has_ended(high, seconds_max=0)
        program.kill()
        assert has_ended(high, seconds_max=60)
    finally:
        os.close(process)
        os.close(high)
        program.communicate()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
