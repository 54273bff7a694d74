"""Mapped files: what is written through a mapping arrives, and what is not makes no version."""

import mmap
import os
from pathlib import Path

import pytest

from tests.fuse.calls import starts
from tests.mounting import MountedStore

pytestmark = [pytest.mark.mount, pytest.mark.slow]

PAGE = mmap.PAGESIZE


@pytest.fixture
def file(folder: Path) -> Path:
    """A file of four pages, with one version."""
    file = folder / "file"
    file.write_bytes(b"a" * 4 * PAGE)
    return file


def version_count(file: Path) -> int:
    """How many versions `.versions` lists."""
    listing = file.parent / ".versions" / file.name
    return sum("~" in name for name in os.listdir(listing))


def test_a_shared_mapping_writes_the_file(file: Path) -> None:
    """Databases and linkers write so."""
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as mapped:
        mapped[PAGE : PAGE + 5] = b"hello"
        mapped.flush()
        assert os.pread(opened.fileno(), 5, PAGE) == b"hello"

    assert file.read_bytes() == b"a" * PAGE + b"hello" + b"a" * (3 * PAGE - 5)
    assert version_count(file) == 2


def test_a_private_mapping_leaves_the_file_alone(file: Path) -> None:
    """Program loaders patch their pages so."""
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_WRITE) as mapped,
    ):
        mapped[:5] = b"hello"
        assert mapped[:5] == b"hello"

    assert file.read_bytes() == b"a" * 4 * PAGE
    assert version_count(file) == 1


def test_a_mapping_outlives_its_descriptor(file: Path) -> None:
    """close(2) comes first in most programs; the late pages belong to the last version."""
    descriptor = os.open(file, os.O_RDWR)
    mapped = mmap.mmap(descriptor, 0)
    os.close(descriptor)
    mapped[:5] = b"first"
    mapped.flush()
    mapped[PAGE : PAGE + 6] = b"second"
    mapped.close()

    assert file.read_bytes()[:5] == b"first"
    assert file.read_bytes()[PAGE : PAGE + 6] == b"second"
    assert version_count(file) == 2


def test_pages_written_as_they_were_make_no_version(file: Path) -> None:
    """The kernel sends a whole page for one dirtied byte, even if it is the byte that was there."""
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as mapped:
        mapped[10:11] = b"a"
        mapped.flush()

    assert version_count(file) == 1


def test_mappings_and_descriptors_see_each_other(file: Path) -> None:
    """One page cache for both."""
    with file.open("r+b", buffering=0) as opened, mmap.mmap(opened.fileno(), 0) as mapped:
        opened.write(b"by write")
        assert mapped[:8] == b"by write"
        mapped[2 * PAGE : 2 * PAGE + 6] = b"by map"
        assert os.pread(opened.fileno(), 6, 2 * PAGE) == b"by map"


def test_the_bytes_behind_the_end_of_a_mapped_file_are_not_kept(folder: Path) -> None:
    """A page reaches beyond the end; what is put there must not come back when the file grows."""
    file = folder / "file"
    file.write_bytes(b"short")
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 5) as mapped:
        mapped[:5] = b"SHORT"
        mapped.flush()
        os.ftruncate(opened.fileno(), 100)

    assert file.read_bytes() == b"SHORT" + bytes(95)


def test_a_page_cut_off_kills_who_touches_it(file: Path) -> None:
    """SIGBUS, as on any disk; the mount goes on."""
    program = starts(
        """
import mmap, sys
file = open(sys.argv[1], "r+b")
mapped = mmap.mmap(file.fileno(), 0)
file.truncate(0)
mapped[0]
""",
        file,
    )
    program.communicate()

    assert program.returncode == -7
    assert file.stat().st_size == 0


def test_a_mapping_shows_a_file_that_was_removed(file: Path) -> None:
    """Package managers replace libraries under running programs."""
    with file.open("r+b") as opened:
        mapped = mmap.mmap(opened.fileno(), 0)
    file.unlink()
    mapped[PAGE : PAGE + 5] = b"still"
    mapped.flush()

    assert mapped[:1] == b"a"
    assert mapped[PAGE : PAGE + 5] == b"still"
    mapped.close()


def test_what_msync_made_durable_survives_a_kill(mount: MountedStore) -> None:
    """msync(2) is the fsync of mappings; the file need not be closed for it."""
    file = mount.path / "file"
    file.write_bytes(bytes(4 * PAGE))
    descriptor = os.open(file, os.O_RDWR)
    mapped = mmap.mmap(descriptor, 0)
    os.close(descriptor)
    mapped[PAGE : PAGE + 4] = b"safe"
    mapped.flush()
    mount.kill()
    mapped.close()
    mount.remount()

    assert file.read_bytes()[PAGE : PAGE + 4] == b"safe"
