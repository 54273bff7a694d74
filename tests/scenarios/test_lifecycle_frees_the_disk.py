"""What lifecycle moves and removes is really less on the disk."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from s3fs_local.cli.main import run
from s3fs_local.daemon.assembly import TEST_CLOCK_VARIABLE, open_store
from s3fs_local.daemon.creation import StorePlan, create_store
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.rules.inode import ROOT_INO, Caller

ME = Caller(uid=os.getuid(), gid=os.getgid())
FILES = 24
FILE_BYTES = 400_000
RULES = {
    "Rules": [
        {
            "ID": "cold",
            "Status": "Enabled",
            "Filter": {"Prefix": "text"},
            "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}],
        },
        {
            "ID": "old",
            "Status": "Enabled",
            "Filter": {"Prefix": "data"},
            "Expiration": {"Days": 60},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        },
    ]
}


@pytest.fixture(autouse=True)
def _umask_as_before() -> Iterator[None]:
    """The program sets a strict umask for itself, which is this process here."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def _bytes_of_packs(store: Path) -> int:
    return sum(
        path.stat().st_size for path in store.rglob("*") if path.is_file() and "pack" in str(path)
    )


async def _fill(store: Path) -> None:
    """Half of the files can be compressed, half cannot."""
    async with open_store(store, Unlocking()) as opened:
        filesystem = opened.filesystem
        for number in range(FILES):
            name = b"%s%d" % (b"text" if number % 2 else b"data", number)
            content = b"a line of a log\n" * (FILE_BYTES // 16)
            if number % 2 == 0:
                content = os.urandom(FILE_BYTES)
            handle = filesystem.create(ROOT_INO, name, 0o100644, os.O_WRONLY, ME)[0].handle
            filesystem.write(handle, 0, content)
            filesystem.flush(handle)
            filesystem.release(handle)


def _run_at(date: str, store: Path, capture: Any, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    monkeypatch.setenv(TEST_CLOCK_VARIABLE, f"{date}T00:00:10Z")
    assert run(["lifecycle", "run", str(store), "--yes", "--json"]) == 0
    return json.loads(capture.readouterr().out)


def test_the_disk_gets_emptier_by_what_moves_and_by_what_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text that moved to a compressed class takes almost nothing, what expired takes nothing."""
    store = tmp_path / "store"
    monkeypatch.setenv(TEST_CLOCK_VARIABLE, "2027-01-01T12:00:00Z")
    create_store(store, StorePlan(owner=ME, test_clock=True))
    trio.run(_fill, store)
    (tmp_path / "rules.json").write_text(json.dumps(RULES))
    assert run(["bucket", "lifecycle", "put", str(store), str(tmp_path / "rules.json")]) == 0
    half = FILES // 2 * FILE_BYTES
    before = _bytes_of_packs(store)
    assert before > 2 * half
    moved = _run_at("2027-02-15", store, capsys, monkeypatch)
    assert len(moved["Days"][0]["Actions"]) == FILES // 2
    assert run(["gc", str(store), "--json"]) == 0
    capsys.readouterr()
    after_moves = _bytes_of_packs(store)
    _run_at("2027-03-10", store, capsys, monkeypatch)
    removed = _run_at("2027-03-12", store, capsys, monkeypatch)
    after_removals = _bytes_of_packs(store)

    assert len(removed["Days"][0]["Actions"]) == FILES // 2
    assert after_moves < 1.1 * half + before * 0.02
    assert removed["FreedBytes"] > 0.9 * half
    assert after_removals < 0.1 * half
