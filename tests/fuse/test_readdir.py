"""Listing directories: whole, once each, and to an end, while entries come and go."""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.mount, pytest.mark.slow, pytest.mark.timeout(600)]

ENTRIES = int(os.environ.get("S3FS_LOCAL_TEST_ENTRIES", "20000"))
NAME_OFFSET = 19  # of d_name in the `struct dirent` of 64-bit Linux

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.opendir.restype = ctypes.c_void_p
_LIBC.readdir.restype = ctypes.c_void_p
_LIBC.telldir.restype = ctypes.c_long
for _function in (_LIBC.readdir, _LIBC.telldir, _LIBC.rewinddir, _LIBC.closedir):
    _function.argtypes = (ctypes.c_void_p,)
_LIBC.seekdir.argtypes = (ctypes.c_void_p, ctypes.c_long)


class Listing:
    """An open `DIR`, entry by entry."""

    def __init__(self, stream: int) -> None:
        self._stream = stream

    def next_name(self) -> str | None:
        """The next entry, save `.` and `..`; None at the end."""
        while address := _LIBC.readdir(self._stream):
            name = os.fsdecode(ctypes.string_at(address + NAME_OFFSET))
            if name not in {".", ".."}:
                return name
        return None

    def rest(self) -> list[str]:
        """All that is still to come."""
        return list(iter(self.next_name, None))

    def tell(self) -> int:
        """Where it stands."""
        return int(_LIBC.telldir(self._stream))

    def seek(self, place: int) -> None:
        """It stands where it stood."""
        _LIBC.seekdir(self._stream, place)

    def rewind(self) -> None:
        """It stands at the start, and looks anew."""
        _LIBC.rewinddir(self._stream)


@contextmanager
def listing(folder: Path) -> Iterator[Listing]:
    """The directory, open."""
    stream = _LIBC.opendir(os.fsencode(folder))
    assert stream
    yield Listing(stream)
    _LIBC.closedir(stream)


def fill(folder: Path, count: int) -> list[str]:
    """That many empty files."""
    names = [f"entry-{number:06}-with-a-name-of-common-length" for number in range(count)]
    for name in names:
        os.mknod(folder / name)
    return names


def test_every_directory_lists_itself_and_its_parent(folder: Path) -> None:
    """`ls -a` shows them on every disk, with their inode numbers."""
    (folder / "sub").mkdir()
    stream = _LIBC.opendir(os.fsencode(folder / "sub"))
    found = {}
    while address := _LIBC.readdir(stream):
        ino = ctypes.c_uint64.from_address(address).value
        found[ctypes.string_at(address + NAME_OFFSET)] = ino
    _LIBC.closedir(stream)

    assert found == {b".": (folder / "sub").stat().st_ino, b"..": folder.stat().st_ino}


def test_a_large_directory_is_listed_whole_while_others_change_it(folder: Path) -> None:
    """What stays is listed exactly once, whatever comes and goes meanwhile."""
    names = fill(folder, ENTRIES)
    gone = set(names[::7])
    with listing(folder) as opened:
        seen = [opened.next_name() for _ in range(ENTRIES // 3)]
        for number, name in enumerate(gone):
            os.unlink(folder / name)
            os.mknod(folder / f"new-{number}")
        seen += opened.rest()
    stayed = [name for name in seen if name not in gone and not str(name).startswith("new-")]

    assert len(set(seen)) == len(seen)
    assert sorted(map(str, stayed)) == sorted(set(names) - gone)
    assert len(os.listdir(folder)) == ENTRIES


def test_a_place_in_a_listing_stays_true(folder: Path) -> None:
    """seekdir(3) to where telldir(3) was, with entries removed on both sides."""
    names = fill(folder, 300)
    with listing(folder) as opened:
        first = [opened.next_name() for _ in range(150)]
        place = opened.tell()
        rest = opened.rest()
        for name in (*names[:20], names[150], names[299]):
            os.unlink(folder / name)
        opened.seek(place)
        again = opened.rest()
        opened.rewind()
        anew = opened.rest()

    assert [*first, *rest] == names
    assert again == [name for name in rest if name not in {names[150], names[299]}]
    assert anew == [*names[20:150], *names[151:299]]


@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.rename(path, f"{path}.x"),
        lambda path: os.link(path, f"{path}.x"),
        lambda path: os.mkdir(f"{path}.x"),
    ],
    ids=["rename", "link", "mkdir"],
)
def test_who_changes_all_that_is_listed_comes_to_an_end(
    folder: Path, change: Callable[[Path], object]
) -> None:
    """`for f in *; mv f f.x` by readdir: new entries must not feed the loop for ever."""
    fill(folder, 500)
    with listing(folder) as opened:
        changed = 0
        while (name := opened.next_name()) is not None:
            change(folder / name)
            changed += 1
            assert changed <= 1000

    assert changed >= 500


def test_who_removes_all_that_is_listed_leaves_nothing(folder: Path) -> None:
    """`rm -r` reads and removes by turns."""
    fill(folder, 1000)
    with listing(folder) as opened:
        while (name := opened.next_name()) is not None:
            os.unlink(folder / name)
    folder.rmdir()


def test_a_rewound_listing_shows_what_is_new(folder: Path) -> None:
    """POSIX promises it of rewinddir(3)."""
    fill(folder, 3)
    with listing(folder) as opened:
        opened.rest()
        os.mknod(folder / "new")
        opened.rewind()
        assert "new" in opened.rest()


def test_links_count_subdirectories(folder: Path) -> None:
    """`find` skips what the count says cannot be a directory."""
    counts = [folder.stat().st_nlink]
    for name in "abc":
        (folder / name).mkdir()
    (folder / "file").touch()
    counts.append(folder.stat().st_nlink)
    (folder / "a").rmdir()
    (folder / "b").rename(folder / "c" / "b")
    counts += [folder.stat().st_nlink, (folder / "c").stat().st_nlink]

    assert counts == [2, 5, 3, 3]
