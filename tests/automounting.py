"""An automount such as systemd makes for `x-systemd.automount`, and what is told of it.

    python -m tests.automounting FSTAB DIRECTORY

An autofs lies on the directory. Who looks into it waits while a process is asked for the mount, and
who looks while a mount that nobody used is taken away again waits for that. Only the process group
of the one who is asked does not wait: with systemd, mount(8), umount(8) and what they start.

Nothing here can wait for ever: everything ends with its time, and leaves no autofs behind.
"""

import ctypes
import fcntl
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CANNOT = 77
"""Our code where the machine makes no automounts."""
SECONDS_MAX = 100
"""Of anything that is done here; what hangs is told as such."""

# <linux/auto_fs.h>
MISSING, EXPIRE = 5, 6  # autofs_ptype_missing_direct, autofs_ptype_expire_direct
READY, FAIL, CATATONIC = 0x9360, 0x9361, 0x9362
EXPIRE_MULTI = 0x40049366
AT_ONCE = struct.pack("i", 1)  # AUTOFS_EXP_IMMEDIATE
PACKET_BYTES = 304

LIBC = ctypes.CDLL(None, use_errno=True)


class Automount:
    """Mounts a line of fstab when somebody looks, and unmounts it when told that nobody does."""

    def __init__(self, fstab: str, point: str) -> None:
        self._fstab, self._point = fstab, point
        self._asked, writer = os.pipe()
        words = f"fd={writer},pgrp={os.getpgrp()},minproto=5,maxproto=5,direct"
        if LIBC.mount(b"systemd-1", os.fsencode(point), b"autofs", 0, words.encode()):
            tell(f"no automount can be made: {os.strerror(ctypes.get_errno())}")
            sys.exit(CANNOT)
        os.close(writer)
        self._root = os.open(point, os.O_RDONLY | os.O_DIRECTORY)  # the autofs, below any mount
        threading.Thread(target=self._serve, daemon=True).start()

    def expire(self) -> bool:
        """Whether the mount is taken away, as after its idle time."""
        try:
            fcntl.ioctl(self._root, EXPIRE_MULTI, AT_ONCE)
        except OSError as error:
            tell(f"not expired: {error.strerror}")
            return False
        return True

    def close(self) -> None:
        """No autofs, and no mount on it, is left; nobody waits for one."""
        with suppress(OSError):
            fcntl.ioctl(self._root, CATATONIC)
        os.close(self._root)
        while not LIBC.umount2(os.fsencode(self._point), 2):  # lazily, all that lie there
            pass

    def _serve(self) -> None:
        commands = {
            MISSING: ("mount", "-T", self._fstab, self._point),
            EXPIRE: ("umount", self._point),
        }
        while packet := os.read(self._asked, PACKET_BYTES):
            _, kind, token = struct.unpack_from("iiI", packet)
            answer = READY if ended_well(commands[kind], seconds_max=SECONDS_MAX / 2) else FAIL
            fcntl.ioctl(self._root, answer, token)


def tell(words: str) -> None:
    """A line for the test."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def ended_well(command: tuple[str, ...], *, seconds_max: float) -> bool:
    """Whether the command, of our own process group, ends with 0 within the time."""
    try:
        return subprocess.run(command, check=False, timeout=seconds_max).returncode == 0
    except subprocess.TimeoutExpired:
        tell(f"hangs: {' '.join(command)}")
        return False


@contextmanager
def automounted(fstab: str, point: str) -> Iterator[Automount]:
    """An automount for a while."""
    automount = Automount(fstab, point)
    try:
        yield automount
    finally:
        automount.close()


def look(line: str) -> None:
    """What a shell line prints, that of somebody else."""
    command = ("sh", "-euc", line)
    try:
        subprocess.run(command, check=False, start_new_session=True, timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        tell(f"waits for ever: {line}")


def main(fstab: str, point: str) -> None:
    """Two people come, one after the other; in between the mount is taken away."""
    signal.alarm(5 * SECONDS_MAX)
    mounts = f"grep -c ' {point} fuse.s3fs_local ' /proc/mounts || true"
    with automounted(fstab, point) as automount:
        look(mounts)
        look(f"echo kept >{point}/f; echo written")
        look(mounts)
        tell(f"expired: {automount.expire()}")
        look(mounts)
        look(f"cat {point}/f")
        look(f"cd {point}; umount {point} 2>/dev/null || echo in use")
        tell(f"expired: {automount.expire()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
