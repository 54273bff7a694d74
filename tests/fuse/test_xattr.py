"""Extended attributes of every namespace that Linux has."""

import errno
import os
import struct
from pathlib import Path

import pytest

from tests.fuse.calls import fails_with
from tests.mounting import run

pytestmark = [pytest.mark.mount, pytest.mark.slow]

XATTR_SIZE_MAX = 65536
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service+ep
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")


@pytest.fixture
def file(folder: Path) -> Path:
    """A file with content."""
    file = folder / "file"
    file.write_text("content")
    return file


@pytest.mark.parametrize("size", [0, 1, 4096, XATTR_SIZE_MAX])
def test_values_of_any_size_are_kept(file: Path, size: int) -> None:
    """To the last of the 64 KiB that the kernel passes."""
    value = bytes(number % 251 for number in range(size))
    os.setxattr(file, "user.value", value)

    assert os.getxattr(file, "user.value") == value
    assert os.listxattr(file) == ["user.value"]


def test_flags_and_errors_are_those_of_the_manual(file: Path) -> None:
    """setxattr(2) and its relatives."""
    with fails_with(errno.ENODATA):
        os.setxattr(file, "user.a", b"1", os.XATTR_REPLACE)
    os.setxattr(file, "user.a", b"1", os.XATTR_CREATE)
    with fails_with(errno.EEXIST):
        os.setxattr(file, "user.a", b"2", os.XATTR_CREATE)
    with fails_with(errno.EEXIST):
        os.setxattr(file, "user.a", b"2", os.XATTR_CREATE | os.XATTR_REPLACE)
    os.setxattr(file, "user.a", b"3", os.XATTR_REPLACE)
    assert os.getxattr(file, "user.a") == b"3"
    os.removexattr(file, "user.a")
    with fails_with(errno.ENODATA):
        os.removexattr(file, "user.a")
    with fails_with(errno.ENODATA):
        os.getxattr(file, "user.a")
    with fails_with(errno.E2BIG):
        os.setxattr(file, "user.a", bytes(XATTR_SIZE_MAX + 1))
    with fails_with(errno.ERANGE):
        os.setxattr(file, "user." + "n" * 251, b"")
    with fails_with(errno.EOPNOTSUPP):
        os.setxattr(file, "nowhere", b"")


def test_flags_are_heeded_for_the_attributes_of_s3_too(file: Path) -> None:
    """XATTR_CREATE gives a file its first tags, as it gives it its first `user.a`."""
    with fails_with(errno.ENODATA):
        os.setxattr(file, "s3.tags", b"a=1", os.XATTR_REPLACE)
    os.setxattr(file, "s3.tags", b"a=1", os.XATTR_CREATE)
    with fails_with(errno.EEXIST):
        os.setxattr(file, "s3.tags", b"a=2", os.XATTR_CREATE)
    os.setxattr(file, "s3.tags", b"a=3", os.XATTR_REPLACE)
    assert os.getxattr(file, "s3.tags") == b"a=3"


def test_many_attributes_and_names_of_any_bytes(file: Path) -> None:
    """Names are bytes like those of files, of up to 255."""
    names = [f"user.{number}" for number in range(200)] + ["user.\udcff\n", "user." + "n" * 250]
    for name in names:
        os.setxattr(file, name, name.encode(errors="surrogateescape"))

    assert sorted(os.listxattr(file)) == sorted(names)
    assert os.getxattr(file, "user.\udcff\n") == b"user.\xff\n"


def test_no_more_names_than_can_be_listed(file: Path) -> None:
    """listxattr(2) fails beyond 64 KiB, and with it every copy of the file."""
    with fails_with(errno.E2BIG):
        for number in range(300):
            os.setxattr(file, f"user.{number:03}" + "n" * 240, b"")

    assert len(os.listxattr(file)) > 250


def test_directories_have_them_and_links_have_none_of_users(folder: Path) -> None:
    """The kernel keeps `user.` from symbolic links and special files."""
    (folder / "link").symlink_to("nowhere")
    os.setxattr(folder, "user.a", b"1")

    assert os.getxattr(folder, "user.a") == b"1"
    with fails_with(errno.EPERM):
        os.setxattr(folder / "link", "user.a", b"1", follow_symlinks=False)


def test_they_follow_the_file_and_change_its_ctime(folder: Path, file: Path) -> None:
    """They belong to the inode, not to the name."""
    before = file.stat()
    os.setxattr(file, "user.a", b"1")
    after = file.stat()
    os.link(file, folder / "second")
    file.rename(folder / "moved")

    assert os.getxattr(folder / "second", "user.a") == b"1"
    assert os.getxattr(folder / "moved", "user.a") == b"1"
    assert (after.st_mtime_ns, after.st_atime_ns) == (before.st_mtime_ns, before.st_atime_ns)
    assert after.st_ctime_ns > before.st_ctime_ns


def test_setting_what_is_there_already_changes_nothing(file: Path) -> None:
    """As on ext4, so a tool that sets everything anew leaves the file as it found it."""
    for value in (b"1", b""):
        os.setxattr(file, "user.a", value)
        before = file.stat().st_ctime_ns
        os.setxattr(file, "user.a", value)
        assert file.stat().st_ctime_ns == before


@as_root
def test_trusted_attributes_are_for_root_alone(folder: Path, file: Path) -> None:
    """Others neither read nor hear of them."""
    os.setxattr(file, "trusted.secret", b"1")
    os.setxattr(file, "user.open", b"2")
    folder.chmod(0o755)
    seen = run(
        *NOBODY,
        "/usr/bin/python3",
        "-c",
        f"import os; os.chdir({str(folder)!r}); print(os.listxattr('file'))",
        check=False,
    )

    assert sorted(os.listxattr(file)) == ["trusted.secret", "user.open"]
    assert os.getxattr(file, "trusted.secret") == b"1"
    if seen.returncode == 0:  # else the way to the mount is closed to others
        assert seen.stdout.strip() == "['user.open']"
    assert "Permission denied" in seen.stderr or seen.returncode == 0


@as_root
def test_capabilities_are_kept_until_the_program_is_written(file: Path) -> None:
    """What setcap(8) gave is void once the bytes are others."""
    os.setxattr(file, "security.capability", CAPABILITY)
    shown = run("getcap", file).stdout
    kept = os.getxattr(file, "security.capability")
    with file.open("ab") as opened:
        opened.write(b"changed")

    assert "cap_net_bind_service=ep" in shown
    assert kept == CAPABILITY
    with fails_with(errno.ENODATA):
        os.getxattr(file, "security.capability")


def test_orders_to_the_filesystem_are_not_data(file: Path) -> None:
    """`s3.*` is read and never listed, so no backup program copies a lock."""
    assert os.getxattr(file, "s3.version-id")
    assert os.listxattr(file) == []
    with fails_with(errno.ENODATA):
        os.getxattr(file, "s3.no-such-attribute")
