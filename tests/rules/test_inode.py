"""What happens to set-id bits, as the kernel has it for its own filesystems."""

import pytest

from s3fs_local.rules.inode import set_id_bits_lost


@pytest.mark.parametrize(
    ("mode", "is_in_group", "lost"),
    [
        (0o100644, False, 0),
        (0o104755, True, 0o4000),
        (0o102755, True, 0o2000),
        (0o102755, False, 0o2000),
        (0o106711, True, 0o6000),
        (0o102644, False, 0o2000),
        (0o102644, True, 0),
        (0o106644, True, 0o4000),
    ],
)
def test_bits_that_would_run_a_changed_program_go(
    mode: int, lost: int, *, is_in_group: bool
) -> None:
    """Who may write a program must not get its owner's rights by that."""
    assert set_id_bits_lost(mode, is_in_group=is_in_group) == lost
