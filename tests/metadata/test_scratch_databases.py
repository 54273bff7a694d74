"""Databases that exist while something is compared: `verify` and `ledger export`, also at once."""

from pathlib import Path

from s3fs_local.daemon.assembly import Scratches
from s3fs_local.metadata.changes import PutSetting


def test_two_at_once_know_nothing_of_each_other(tmp_path: Path) -> None:
    """Else one of two commands would take the other's facts away, and report damage."""
    scratches = Scratches(tmp_path)
    with scratches.make() as first:
        first.apply([PutSetting("versioning", "1")])
        with scratches.make() as second:
            second.apply([PutSetting("versioning", "2")])
            second.commit(1)
        with scratches.make() as third:
            assert third.settings() == {}
        first.commit(1)
        assert first.settings() == {"versioning": "1"}

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """A disk must not fill with the remains of comparisons that nobody ended."""
    for left in ("verify.sqlite-1", "verify.sqlite-1-wal", "verify.sqlite-7"):
        (tmp_path / left).write_text("rubbish")
    with Scratches(tmp_path).make() as made:
        assert made.settings() == {}

    assert list(tmp_path.iterdir()) == []
