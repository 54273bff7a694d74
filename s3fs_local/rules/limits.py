"""Sizes beyond which an operation is refused.

Where Linux has a limit of its own it is taken over, so that a tree copied from ext4 or xfs fits and
a tree copied back does too.
"""

from typing import Final

NAME_BYTES_MAX: Final = 255
"""NAME_MAX of <linux/limits.h>; also what statfs(2) reports."""

TARGET_BYTES_MAX: Final = 4095
"""A symlink's target: PATH_MAX less the terminating zero."""

LINKS_MAX: Final = (1 << 31) - 1
"""Hard links to a file, or 2 + subdirectories of a directory.

FUSE carries the count in 32 bits; programs that keep it in a signed int must not see it negative.
Low limits are no kindness: ext4's 65000 breaks backup programs that link every unchanged file.
"""

XATTR_NAME_BYTES_MAX: Final = 255
"""XATTR_NAME_MAX of <linux/limits.h>, the prefix (`user.`) included."""

XATTR_VALUE_BYTES_MAX: Final = 65536
"""XATTR_SIZE_MAX of <linux/limits.h>: the kernel passes no longer value."""

XATTR_TOTAL_BYTES_MAX: Final = 1 << 20
"""Names and values of one inode together: they travel with every change of its row."""

XATTR_NAMES_BYTES_MAX: Final = 65536
"""XATTR_LIST_MAX of <linux/limits.h>, zeros between names included: more could not be listed."""

TIME_NS_MIN: Final = -(1 << 63)
TIME_NS_MAX: Final = (1 << 63) - 1
"""Times of files lie between the years 1677 and 2262.

Others are taken for the nearest, as the kernel does for disks that cannot hold a time.
"""

FILE_BYTES_MAX: Final = (1 << 63) - 1 - (1 << 20)
"""The largest size: the end of the last 1 MiB cell still fits off_t and a signed 64-bit column."""
