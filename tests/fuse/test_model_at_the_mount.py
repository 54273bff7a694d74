"""Random sequences of system calls on a mount and on a real directory end alike, step by step.

S3FS_LOCAL_MODEL_EXAMPLES=1000 makes a longer run; `scripts/model-test` makes the long one.
"""

import os
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuse.model import SEQUENCES, Step
from tests.fuse.model_comparison import Grounds
from tests.mounting import MountedStore, s3fs_local

pytestmark = [pytest.mark.mount, pytest.mark.slow, pytest.mark.timeout(300)]

EXAMPLES: Final = int(os.environ.get("S3FS_LOCAL_MODEL_EXAMPLES", "60"))


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    """A mount, and a directory beside it."""
    base = tmp_path_factory.mktemp("model")
    (base / "mount").mkdir()
    (base / "disk").mkdir()
    s3fs_local("init", base / "store")
    options = ["allow_other", "dev", "suid"] if os.geteuid() == 0 else []
    mounted = MountedStore(base / "store", base / "mount", options)
    try:
        mounted.mount()
        yield Grounds(mounted.path, base / "disk", remount=mounted.remount)
    finally:
        mounted.clean_up()


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

    sides_agree()
    grounds.compare_after_remount()
