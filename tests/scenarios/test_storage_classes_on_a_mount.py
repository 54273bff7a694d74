"""Storage classes as people meet them: commands, xattrs, errnos, du, and a kill -9."""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounting import MountedStore, answer_of, run, s3fs_local
from tests.scenarios.killed_moves import campaign

pytestmark = [pytest.mark.mount, pytest.mark.slow, pytest.mark.timeout(240)]

TEXT = b"".join(b"%d: a line that compresses well\n" % number for number in range(300_000))


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MountedStore]:
    """One mount for all of these."""
    folder = tmp_path_factory.mktemp("classes")
    s3fs_local("init", folder / "store")
    (folder / "mount").mkdir()
    store = MountedStore(folder / "store", folder / "mount")
    try:
        store.mount()
        yield store
    finally:
        store.clean_up()


def disk_use(store: MountedStore) -> int:
    """What du says of the packs, in bytes."""
    zone = store.store / "zones/zone-1/packs"
    return int(run("du", "--bytes", "--summarize", zone).stdout.split()[0])


def test_a_file_goes_to_the_archive_and_comes_back(mounted: MountedStore) -> None:
    """The story of docs/storage-classes.md."""
    file = mounted.path / "log"
    file.write_bytes(TEXT)
    version = os.getxattr(file, "s3.version-id")
    before = disk_use(mounted)

    s3fs_local("class", "set", file, "GLACIER")
    s3fs_local("gc", mounted.path)

    assert disk_use(mounted) < before / 3
    assert os.getxattr(file, "s3.storage-class") == b"GLACIER"
    assert os.getxattr(file, "s3.version-id") == version
    with pytest.raises(OSError, match="remote") as refused:
        file.read_bytes()
    assert refused.value.errno == errno.EREMOTE
    assert file.stat().st_size == len(TEXT)

    answer = answer_of("retrieve", file, "--days", "2")

    assert re.match(r'ongoing-request="false", expiry-date="[A-Z][a-z]{2}, ', answer["Restore"])
    assert answer["StorageClass"] == "GLACIER"
    assert file.read_bytes() == TEXT


def test_a_retrieval_by_xattr_takes_its_time(mounted: MountedStore) -> None:
    """Setfattr asks, getfattr tells, status tells, and asking again is EALREADY."""
    file = mounted.path / "slow"
    file.write_bytes(TEXT)
    s3fs_local("class", "set", file, "DEEP_ARCHIVE")
    s3fs_local("config", "set", mounted.path, "retrieval-delay-bulk", "2d")

    os.setxattr(file, "s3.restore-request", b"3 Bulk")

    assert os.getxattr(file, "s3.restore") == b'ongoing-request="true"'
    with pytest.raises(OSError, match="already") as refused:
        os.setxattr(file, "s3.restore-request", b'{"Days": 3}'.replace(b"3", b"4"))
    assert refused.value.errno == errno.EALREADY
    with pytest.raises(OSError, match="Invalid") as nonsense:
        os.setxattr(file, "s3.restore-request", b"soon")
    assert nonsense.value.errno == errno.EINVAL
    findings = [row["Sentence"] for row in answer_of("status", mounted.path)["Findings"]]
    assert any("'slow' is being retrieved from DEEP_ARCHIVE" in text for text in findings)
    denied = s3fs_local("cat", file, "--version", "latest", check=False)
    assert denied.returncode == 23, denied.stderr
    again = s3fs_local("retrieve", file, "--tier", "Bulk", check=False)
    assert again.returncode == 23


def test_a_directory_has_a_class_for_new_files(mounted: MountedStore) -> None:
    """The worker of the daemon moves them; writing does not wait for it."""
    folder = mounted.path / "cold"
    folder.mkdir()
    said = s3fs_local("class", "set", folder, "STANDARD_IA").stdout
    assert "new files are STANDARD_IA" in said

    (folder / "log").write_bytes(TEXT)

    assert answer_of("class", "get", folder / "log")["StorageClass"] == "STANDARD_IA"
    assert (folder / "log").read_bytes() == TEXT
    wrong = s3fs_local("class", "set", folder / "log", "COLD", check=False)
    assert wrong.returncode == 2
    assert "InvalidStorageClass" in wrong.stderr


def test_nothing_is_lost_when_a_moving_process_is_killed(tmp_path: Path) -> None:
    """The short form of `python -m tests.scenarios.killed_moves`."""
    report = campaign(tmp_path, kills=4, seed=int(os.environ.get("S3FS_LOCAL_TEST_SEED", "5")))

    assert report.kills == 4
