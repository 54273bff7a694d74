"""docs/semantics.md, 8: what is not there. It is the kernel's business, so all on a mount."""

import ctypes
import errno
import fcntl
import os
import sys
from pathlib import Path

import pytest

from tests.fuse.calls import RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2
from tests.mounting import run
from tests.semantics.promises import promise

pytestmark = [pytest.mark.mount, pytest.mark.slow]

FICLONE = 0x40049409
RENAME_WHITEOUT = 4
LIBC = ctypes.CDLL(None, use_errno=True)


@promise("`fallocate` is not there (EOPNOTSUPP).")
def test_space_is_reserved_by_writing(folder: Path) -> None:
    """Programs that use the C library's function notice nothing."""
    with (folder / "f").open("w+b") as file:
        assert LIBC.fallocate(file.fileno(), 0, ctypes.c_long(0), ctypes.c_long(9000))
        assert ctypes.get_errno() == errno.EOPNOTSUPP
        os.posix_fallocate(file.fileno(), 0, 9000)

    assert (folder / "f").stat().st_size == 9000


@promise("`chattr` and `lsattr` do not reach a store.")
def test_chattr_is_refused(folder: Path) -> None:
    """Refused is better than accepted and not kept."""
    (folder / "f").write_text("one")

    assert run("chattr", "+i", folder / "f", check=False).returncode
    (folder / "f").write_text("two")


@promise("Files cannot be cloned: `cp --reflink=always` fails, and plain `cp` copies.")
def test_files_are_not_cloned(folder: Path) -> None:
    """The kernel's module passes no such request on."""
    (folder / "f").write_text("one")
    with (folder / "f").open() as source, (folder / "g").open("w") as target:
        with pytest.raises(OSError, match="not supported") as refused:
            fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
        assert refused.value.errno == errno.EOPNOTSUPP
    run("cp", folder / "f", folder / "h")

    assert (folder / "h").read_text() == "one"


@promise("Files without a name (`O_TMPFILE`) are not there.")
def test_there_are_no_files_without_a_name(folder: Path) -> None:
    """Programs fall back to a name that they remove."""
    with pytest.raises(OSError, match="not supported") as refused:
        os.open(folder, os.O_TMPFILE | os.O_RDWR)
    assert refused.value.errno == errno.EOPNOTSUPP


@promise(
    "`renameat2` exchanges names and can refuse to replace one. "
    "Whiteouts (`RENAME_WHITEOUT`) are not there (EINVAL)."
)
def test_names_are_exchanged_and_never_whited_out(folder: Path) -> None:
    """Who layers another filesystem over a store gets a clear refusal."""
    one, other = folder / "one", folder / "other"
    one.write_text("1")
    other.write_text("2")
    with pytest.raises(FileExistsError):
        renameat2(one, other, RENAME_NOREPLACE)
    with pytest.raises(OSError, match="Invalid argument"):
        renameat2(one, other, RENAME_WHITEOUT)
    renameat2(one, other, RENAME_EXCHANGE)
    assert (one.read_text(), other.read_text()) == ("2", "1")


@promise("`SEEK_DATA` and `SEEK_HOLE` take a whole file for data.")
def test_holes_are_not_told(folder: Path) -> None:
    """A copying program copies zeros, which is slow and right."""
    with (folder / "f").open("w+b") as file:
        file.truncate(1 << 22)
        assert os.lseek(file.fileno(), 0, os.SEEK_DATA) == 0
        assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) == 1 << 22


@promise("Locks of programs (`flock`, `fcntl`) hold among the programs that use one mount.")
def test_programs_lock_each_other_out(folder: Path) -> None:
    """Mail boxes and databases need it."""
    script = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with (folder / "f").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert run(sys.executable, "-c", script, folder / "f", check=False).returncode
    assert not run(sys.executable, "-c", script, folder / "f").returncode


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
@promise(
    "Nobody but the user who mounted sees a mount, unless it was mounted with `-o allow_other`."
)
def test_a_mount_is_for_who_mounted_it(folder: Path) -> None:
    """What the kernel asks of every FUSE filesystem."""
    run("chmod", "0777", folder)
    other = run("setpriv", "--reuid=65534", "--clear-groups", "ls", folder, check=False)

    assert "Permission denied" in other.stderr
