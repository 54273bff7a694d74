"""A log has a version for each time it was closed: whoever looks back at it holds nobody up."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from s3fs_local.control.commands import carry_out
from s3fs_local.control.context import Context
from s3fs_local.control.requests import ListEvents, ListVersions, ReadVersion, Request
from s3fs_local.control.results.versions import VersionListing
from s3fs_local.engine import views
from s3fs_local.engine.yielding import STEP_ITEMS
from s3fs_local.metadata.sqlite import SqliteMetadata
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.versioning import Version
from tests.control.test_commands_on_a_store import Collector, ask_as, ask_for_content, no_status
from tests.engine.memory_store import ALICE, MemoryStore

VERSIONS = 6 * STEP_ITEMS


class _Noting(SqliteMetadata):
    """Counts the versions that it gives."""

    given = 0

    def versions(self, ino: int) -> list[Version]:
        found = super().versions(ino)
        self.given += len(found)
        return found

    def versions_before(self, ino: int, before_ns: int, limit: int) -> list[Version]:
        found = super().versions_before(ino, before_ns, limit)
        self.given += len(found)
        return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    """With one file that was saved often."""
    metadata = _Noting.create(tmp_path / "facts")
    store = MemoryStore(metadata=metadata)  # type: ignore[arg-type]  # one contract
    for number in range(VERSIONS):
        store.write("/log", str(number).encode())
    yield store
    metadata.close()


def _given(store: MemoryStore) -> int:
    metadata = store.fs.volume.metadata
    assert isinstance(metadata, _Noting)
    given, metadata.given = metadata.given, 0
    return given


def test_the_first_names_below_a_name_are_there_at_once(store: MemoryStore) -> None:
    """Each version is looked up when its name is asked for, and the links look at two."""
    folder = store.fs.lookup(store.fs.lookup(ROOT_INO, b".versions").ino, b"log")
    names = (name for name, _, _ in store.fs.readdir(store.fs.opendir(folder.ino, ALICE), 0))
    _given(store)

    newest = [next(names), next(names)]
    assert _given(store) < 10
    links = [store.fs.lookup(folder.ino, link).target for link in (b"latest", b"previous")]
    assert links == newest
    assert _given(store) < 30
    assert len(list(names)) == VERSIONS - 2 + len([b"latest", b"previous", b"log"])


@pytest.mark.parametrize(
    ("request_", "rows"), [(ListVersions(b"log"), "Versions"), (ListEvents(b"log"), "Events")]
)
def test_others_are_served_while_a_long_history_is_told(
    store: MemoryStore, request_: Request, rows: str
) -> None:
    """Once for each step of some items; all were told in one."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async def look() -> Any:  # noqa: ANN401  JSON
        context = Context(filesystem=store.fs, caller=ALICE, outlet=Collector(), describe=no_status)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(others)
            told = await carry_out(request_, context)
            nursery.cancel_scope.cancel()
        return told

    told = trio.run(look)

    assert len(told[rows]) >= VERSIONS
    assert turns >= VERSIONS // STEP_ITEMS // 2  # it begins late


def test_a_new_version_is_found_without_a_look_at_old_ones(store: MemoryStore) -> None:
    """By `latest`, `previous` and its whole id."""
    listing = ask_as(VersionListing, store, ListVersions(b"log"))
    _given(store)
    for name, place in (("latest", 0), ("previous", 1), (listing.versions[2].version_id, 2)):
        _, content = ask_for_content(store, ReadVersion(b"log", version=name))
        assert content == str(VERSIONS - 1 - place).encode()
        assert _given(store) < 30


def test_a_long_log_says_as_files_of_proc_do_that_it_is_read_to_its_end(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only to say how long it is all of it was made, for each who looked at its attributes."""
    monkeypatch.setattr(views, "SIZED_LOG_EVENTS_MAX", STEP_ITEMS)
    store.write("/short", b"content")
    _given(store)

    assert store.stat("/.versions/log/log").size == 0
    assert _given(store) < VERSIONS
    assert store.read("/.versions/log/log").count(b"\n") == VERSIONS + 1
    short = "/.versions/short/log"
    assert store.stat(short).size == len(store.read(short)) > 0
