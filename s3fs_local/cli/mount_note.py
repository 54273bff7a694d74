"""What mount(8) and umount(8) note down of a mount for each other: the helper to call.

To save itself a look into the mount table, umount(8) may ask the kernel for the type of a mount.
That is `fuse` for all of FUSE, and a helper of that name is not ours to install. It looks into its
notes first, where the option `helper` names one for a single mount (mount(8)).
"""

import os
import subprocess
from pathlib import Path
from typing import Final

from s3fs_local.control.mount_table import FILESYSTEM_TYPE

HELPER: Final = "s3fs_local"
NOTES: Final = Path("/run/mount/utab")


def note_helper(store: str, directory: str) -> bool:
    """Whether umount(8) will call a helper of ours for the mount.

    Only root may note that; for others it reads the table of mounts, to see whether they may
    unmount at all, and finds the helper by the type there.
    """
    if os.geteuid() != 0:
        return True
    note = ("mount", "--internal-only", "--fake", "--no-canonicalize", "-t", FILESYSTEM_TYPE)
    return _succeeds(*note, "-o", f"helper={HELPER}", "--", store, directory)


def forget_note(directory: Path) -> None:
    """There is no note of a mount there; umount(8) does the same itself."""
    try:
        notes = NOTES.read_text(errors="replace")
    except OSError:
        return
    if os.geteuid() == 0 and f"helper={HELPER}" in notes:
        _succeeds("umount", "--internal-only", "--fake", "--", str(directory))


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603  no shell
