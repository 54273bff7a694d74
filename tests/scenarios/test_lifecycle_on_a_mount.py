"""Lifecycle while a store is mounted: what programs see is what is so."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import MakeMount, MakeStore
from tests.mounting import answer_of, s3fs_local

pytestmark = [pytest.mark.mount]

RULES = {
    "Rules": [
        {
            "ID": "r",
            "Status": "Enabled",
            "Filter": {"Tag": {"Key": "keep", "Value": "no"}},
            "Expiration": {"Days": 30},
        }
    ]
}


def test_what_a_run_removes_is_gone_for_programs_at_once(
    make_store: MakeStore, make_mount: MakeMount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel keeps names and pages; a run behind its back must make it forget."""
    clock = "S3FS_LOCAL_TEST_CLOCK"
    monkeypatch.setenv(clock, "2027-01-01T12:00:00Z")
    mounted = make_mount(make_store("--test-clock"))
    (mounted.path / "gone").write_text("x")
    (mounted.path / "kept").write_text("y")
    s3fs_local("tag", "set", mounted.path / "gone", "keep=no")
    assert os.getxattr(mounted.path / "gone", "s3.tags") == b"keep=no"
    (tmp_path / "rules.json").write_text(json.dumps(RULES))
    s3fs_local("bucket", "lifecycle", "put", mounted.path, tmp_path / "rules.json")
    mounted.umount()
    monkeypatch.setenv(clock, "2027-03-01T12:00:00Z")
    mounted.mount()
    handle = os.open(mounted.path / "gone", os.O_RDONLY)
    assert (mounted.path / "gone").read_text() == "x"
    planned = answer_of("lifecycle", "plan", mounted.path, "--days", "1")["Days"]
    done = answer_of("lifecycle", "run", mounted.path, "--yes")["Days"]

    assert done == planned
    assert [row["Action"] for row in done[0]["Actions"]] == ["DeleteMarker"]
    assert sorted(os.listdir(mounted.path)) == ["kept"]
    assert not (mounted.path / "gone").exists()
    assert os.pread(handle, 10, 0) == b"x"
    os.close(handle)
    assert (mounted.path / ".versions/gone/latest").read_text() == "x"
    s3fs_local("scrub", mounted.path)  # three months passed without one, which `status` tells
    assert answer_of("status", mounted.path)["Lifecycle"]["Ended"]
