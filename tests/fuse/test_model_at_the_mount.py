"""Random sequences of system calls on a mount and on a real directory end alike, step by step.

S3FS_LOCAL_MODEL_EXAMPLES=1000 makes a longer run; `scripts/model-test` makes the long one.
"""

import os
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Flaky

from tests.fuse.model import SEQUENCES, Kind, Step
from tests.fuse.model_at_length import grounds_in
from tests.fuse.model_comparison import Difference, Grounds

pytestmark = [pytest.mark.mount, pytest.mark.slow, pytest.mark.timeout(300)]

EXAMPLES: Final = int(os.environ.get("S3FS_LOCAL_MODEL_EXAMPLES", "60"))


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    """A mount, and a directory beside it."""
    with grounds_in(tmp_path_factory.mktemp("model")) as grounds:
        yield grounds


def test_no_sequence_tells_the_mount_from_a_disk(grounds: Grounds) -> None:
    """Results, errors, attributes, listings, bytes, versions; and all of it after a remount."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        report_multiple_bugs=False,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(SEQUENCES)
    def sides_agree(steps: list[Step]) -> None:
        grounds.attempt(steps)

    try:
        sides_agree()
    except (Difference, Flaky):
        raise grounds.shortest() from None
    grounds.compare_after_remount()


NAMED: Final = {
    "an allocation that does nothing is no write": [
        Step(Kind.CREATE, fourth=1),
        Step(Kind.WRITE, third=1),
        Step(Kind.CLOSE),
        Step(Kind.OPEN, second=2),  # to write only, so the C library could not allocate
        Step(Kind.TRUNCATE, second=1),  # is committed later, since somebody may be writing
        Step(Kind.ALLOCATE, third=1),
        Step(Kind.CLOSE_DUPLICATE),  # commits nothing: nothing was written through it
        Step(Kind.OPEN, second=0),
        Step(Kind.PWRITE, first=1, third=1),
        Step(Kind.CLOSE, first=1),
        Step(Kind.CLOSE),
    ],
    "who makes a file to read it is no writer of it": [
        Step(Kind.CREATE),
        Step(Kind.OPEN),
        Step(Kind.CREATE, third=27),
        Step(Kind.CLOSE),
        Step(Kind.CREATE, third=13, fourth=28),  # to read only
        Step(Kind.CLOSE),
        Step(Kind.CREATE, third=13, fourth=27),  # the same file, to write
        Step(Kind.CLOSE, first=20),  # its last writer: the empty file is a version
        Step(Kind.CREATE),
        Step(Kind.APPEND, first=13),
    ],
    "the history of a name goes with its directory": [
        Step(Kind.CREATE),
        Step(Kind.CREATE, third=30),
        Step(Kind.MKDIR, third=1),
        Step(Kind.CLOSE),
        Step(Kind.LINK, first=1, second=1),
        Step(Kind.RENAME, second=1),
        Step(Kind.EXCHANGE, second=1),
        Step(Kind.CLOSE),
    ],
    "what was made before something was in the way stays": [
        Step(Kind.SET_ACL, third=1),  # of the root: who makes a directory may not write to it
        Step(Kind.MAKE_DEEP, is_other_user=True),
    ],
}
"""Sequences that once differed, shrunk."""


@pytest.mark.parametrize("name", NAMED)
def test_what_once_differed_does_not(grounds: Grounds, name: str) -> None:
    """A difference that was mended stays mended."""
    grounds.attempt(NAMED[name])
