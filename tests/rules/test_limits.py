"""Limits: they agree with what the kernel and the formats can carry."""

from s3fs_local.rules import limits
from s3fs_local.rules.extents import CELL_BYTES


def test_names_and_attributes_have_the_kernels_limits() -> None:
    """<linux/limits.h>: what fits on ext4 fits here, and what fits here can be copied back."""
    assert limits.NAME_BYTES_MAX == 255
    assert limits.TARGET_BYTES_MAX == 4095
    assert limits.XATTR_NAME_BYTES_MAX == 255
    assert limits.XATTR_VALUE_BYTES_MAX == 65536
    assert limits.XATTR_TOTAL_BYTES_MAX >= (
        limits.XATTR_NAME_BYTES_MAX + limits.XATTR_VALUE_BYTES_MAX
    )


def test_the_last_cell_of_the_largest_file_ends_within_off_t() -> None:
    """Offsets never overflow the signed 64 bits of the kernel and of SQLite."""
    cells = -(-limits.FILE_BYTES_MAX // CELL_BYTES)

    assert cells * CELL_BYTES <= 2**63 - 1
    assert limits.FILE_BYTES_MAX + CELL_BYTES == 2**63 - 1


def test_link_counts_stay_positive_in_a_signed_int() -> None:
    """FUSE carries 32 bits; careless programs keep them signed."""
    assert limits.LINKS_MAX == 2**31 - 1
