"""`store.json`: told apart are no store, a store, a newer store and a damaged one."""

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fs_local import errors
from s3fs_local.daemon.store_file import (
    FORMAT,
    STORE_FILE_NAME,
    StoreRecord,
    ZoneRecord,
    new_record,
    read_store_file,
    write_store_file,
)

RECORD = new_record(
    store_id="0" * 32,
    zones=(ZoneRecord(zone_id="1" * 32, url="zones/zone-1"),),
    key_file="unlock.key",
    keyring=False,
    test_clock=False,
)


def members() -> dict[str, object]:
    """The file's members, to be spoilt."""
    built: dict[str, object] = msgspec.to_builtins(RECORD)
    return built


def write(store: Path, content: object) -> None:
    """The store's file holds this."""
    data = content if isinstance(content, bytes) else msgspec.json.encode(content)
    (store / STORE_FILE_NAME).write_bytes(data)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """And nobody else may read it: it tells where the zones are."""
    write_store_file(tmp_path, RECORD)

    assert read_store_file(tmp_path) == RECORD
    assert (tmp_path / STORE_FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_directory_without_the_file_is_no_store(tmp_path: Path) -> None:
    """Nor is a file, nor nothing."""
    with pytest.raises(errors.NotAStore):
        read_store_file(tmp_path)
    with pytest.raises(errors.NotAStore):
        read_store_file(tmp_path / "missing")
    with pytest.raises(errors.NotAStore):
        read_store_file(Path(__file__))


def test_a_newer_format_is_named_as_such_whatever_else_it_holds(tmp_path: Path) -> None:
    """A newer release may add members; the advice is to update, not to restore a copy."""
    write(tmp_path, {**members(), "format": FORMAT + 1, "novelty": [1]})

    with pytest.raises(errors.FormatTooNew, match=f"format {FORMAT + 1}"):
        read_store_file(tmp_path)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"what": "another program's file"},
        {"format": 0},
        {"format": "1"},
        {"store_id": "short"},
        {"zones": []},
        {"zones": [{"zone_id": "1" * 32}]},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_file_that_no_release_wrote_is_damaged(tmp_path: Path, spoilt: dict[str, object]) -> None:
    """Guessing at a store's description could mount it wrongly."""
    write(tmp_path, {**members(), **spoilt})

    with pytest.raises(errors.StoreDamaged, match=STORE_FILE_NAME):
        read_store_file(tmp_path)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_damage_is_noticed_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, position: int
) -> None:
    """Bytes overwritten anywhere never lead to a traceback."""
    store = tmp_path_factory.mktemp("store")
    text = bytearray(msgspec.json.encode(RECORD))
    text[position : position + len(noise)] = noise
    write(store, bytes(text))

    with suppress(errors.StoreError):
        assert isinstance(read_store_file(store), StoreRecord)
