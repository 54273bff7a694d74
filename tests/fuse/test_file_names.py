"""Names: any bytes, any length that a disk takes, any depth."""

import errno
import os
import string
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuse.calls import fails_with

pytestmark = [pytest.mark.mount, pytest.mark.slow]

PATH_MAX = 4096
STRANGE = [
    b"\xff\xfe not UTF-8",
    b"\xc3\x28",
    b"line\nfeed",
    b"\r\t\x01\x7f",
    b" ",
    b"-rf",
    b"*?[a]",
    b"$(reboot)",
    b"a\\b",
    b"'\"`",
    b"@",
    b"@yesterday",
    b"@@twice",
    b"...",
    b".hidden",
    b"..x",
    b"~",
    "né".encode(),  # composed
    "né".encode(),  # decomposed: another name
    "名前".encode(),
    b"CON",
    b"con",
    b"latest",
    b"x" * 255,
    b"\xf0\x9f\x98\x80" * 63,
    b"@" + b"y" * 254,
]


@pytest.mark.parametrize("name", STRANGE, ids=lambda name: repr(name[:12]))
def test_a_name_is_bytes(folder: Path, name: bytes) -> None:
    """Made, found, listed, moved, kept in the history, and removed, byte for byte."""
    base = os.fsencode(folder)
    path = os.path.join(base, name)
    with open(path, "wb") as file:
        file.write(name)
    with open(path, "rb") as file:
        assert file.read() == name
    assert os.listdir(base) == [name]
    os.rename(path, os.path.join(base, b"moved"))
    os.mkdir(path)
    os.rmdir(path)
    os.rename(os.path.join(base, b"moved"), path)
    os.unlink(path)
    assert os.listdir(base) == []

    kept = os.path.join(base, b".versions")
    shown = b"@" + name if name.startswith(b"@") else name
    assert shown in os.listdir(kept)
    with open(os.path.join(kept, shown, b"latest"), "rb") as file:
        assert file.read() == name


def test_every_single_byte_can_be_a_name(folder: Path) -> None:
    """Save two: the end of a string and the separator; and `.`, which is taken."""
    base = os.fsencode(folder)
    names = {bytes([byte]) for byte in range(1, 256)} - {b"/", b"."}
    for name in names:
        os.close(os.open(os.path.join(base, name), os.O_CREAT))

    assert set(os.listdir(base)) == names


def test_names_differ_in_case(folder: Path) -> None:
    """As on every Unix disk."""
    for name in ("readme", "README", "ReadMe"):
        (folder / name).write_text(name)

    assert [(folder / name).read_text() for name in ("readme", "README")] == ["readme", "README"]
    assert len(os.listdir(folder)) == 3


@pytest.mark.parametrize("length", [256, 1000, 4000])
def test_a_name_too_long_says_so_in_every_call(folder: Path, length: int) -> None:
    """ENAMETOOLONG, never "no such file"."""
    long = folder / ("x" * length)
    (folder / "file").touch()
    calls: list[Callable[[], object]] = [
        lambda: os.stat(long),
        lambda: os.open(long, os.O_CREAT | os.O_WRONLY),
        lambda: os.mkdir(long),
        lambda: os.symlink("x", long),
        lambda: os.link(folder / "file", long),
        lambda: os.rename(folder / "file", long),
        lambda: os.unlink(long),
        lambda: os.getxattr(long, "user.x"),
    ]
    for call in calls:
        with fails_with(errno.ENAMETOOLONG):
            call()


def test_paths_reach_path_max_and_trees_go_deeper(folder: Path) -> None:
    """The limit is one of a call, not of the tree: relative steps go on."""
    name = "d" * 200
    top = os.open(folder, os.O_RDONLY)
    descriptor = top
    for _ in range(30):
        os.mkdir(name, dir_fd=descriptor)
        deeper = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        if descriptor != top:
            os.close(descriptor)
        descriptor = deeper
    file = os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor)
    os.close(file)
    os.close(descriptor)

    path = str(folder)
    while len(path) + len(name) + 1 < PATH_MAX:
        path += "/" + name
    assert os.stat(path).st_nlink == 3
    with fails_with(errno.ENAMETOOLONG):
        os.stat(path + "/" + name)
    files = sum(len(found) for _, _, found, _ in os.fwalk(".", dir_fd=top))
    os.close(top)
    assert files == 1


def test_symbolic_links_hold_any_target(folder: Path) -> None:
    """Of up to PATH_MAX bytes, whether or not there is anything; loops end."""
    longest = "t" * (PATH_MAX - 1)
    (folder / "long").symlink_to(longest)
    os.symlink(b"\xff\n", os.fsencode(folder) + b"/bytes")
    (folder / "loop").symlink_to("loop")

    assert os.readlink(folder / "long") == longest
    assert os.readlink(os.fsencode(folder) + b"/bytes") == b"\xff\n"
    assert os.lstat(folder / "long").st_size == PATH_MAX - 1
    with fails_with(errno.ELOOP):
        os.stat(folder / "loop")


def test_names_of_the_filesystem_itself_are_not_to_be_had(folder: Path) -> None:
    """`.versions` is a door in every directory."""
    for make in (os.mkdir, lambda path: os.close(os.open(path, os.O_CREAT | os.O_EXCL))):
        with pytest.raises(OSError, match=r"exists|permitted|Read-only"):
            make(folder / ".versions")
    (folder / "sub").mkdir()
    with pytest.raises(OSError, match=r"exists|permitted|Read-only|not empty"):
        os.rename(folder / "sub", folder / ".versions")
    for name in (".versions2", ".version", string.ascii_letters):
        (folder / name).mkdir()
