"""A store that is not mounted is looked at too, and is free again soon after."""

from pathlib import Path
from typing import Final

import pytest
import trio

from s3fs_local import errors
from s3fs_local.browse.answers import Answers, answer_of
from s3fs_local.browse.own_store import OwnStore
from s3fs_local.control.requests import DescribeStatus, ListDirectory, ReadVersion
from s3fs_local.control.results.browsing import DirectoryListing
from s3fs_local.control.results.store import Status
from s3fs_local.control.results.versions import Content
from s3fs_local.daemon.assembly import open_store
from s3fs_local.daemon.unlocking import Unlocking
from tests.store_on_disk import make_store, opened

SECONDS_MAX: Final = 120


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """With one file."""
    path = tmp_path / "store"
    make_store(path, [tmp_path / "zone"])
    async with opened(path) as disk:
        disk.write("letter", b"dear all")
    return path


async def test_many_questions_open_the_store_once(store: Path) -> None:
    """Opening takes longer than an answer; and all questions of a page come at once."""
    listings: list[DirectoryListing] = []
    with trio.fail_after(SECONDS_MAX):
        async with trio.open_nursery() as nursery:
            answers = Answers(store, answer_of(store, OwnStore(store, Unlocking(), nursery)))

            async def look() -> None:
                listings.append(await answers.ask(ListDirectory(b""), DirectoryListing))

            async with trio.open_nursery() as lookers:
                for _ in range(12):
                    lookers.start_soon(look)
            content = await answers.content(ReadVersion(b"letter"), Content)
            status = await answers.ask(DescribeStatus(), Status)
            nursery.cancel_scope.cancel()

    assert [row.name for listing in listings for row in listing.names] == ["letter"] * 12
    assert content[1] == b"dear all"
    assert status.mount_point is None


async def test_a_store_that_nobody_looks_at_can_be_mounted(store: Path) -> None:
    """The page may stay open for days."""
    with trio.fail_after(SECONDS_MAX):
        async with trio.open_nursery() as nursery:
            own_store = OwnStore(store, Unlocking(), nursery, idle_seconds=0.01)
            answers = Answers(store, answer_of(store, own_store))
            await answers.ask(ListDirectory(b""), DirectoryListing)
            while True:
                try:
                    async with open_store(store, Unlocking()):
                        break
                except errors.StoreInUse:
                    await trio.sleep(0.01)
            await answers.ask(ListDirectory(b""), DirectoryListing)
            nursery.cancel_scope.cancel()


async def test_what_keeps_a_store_from_opening_is_told_each_time(store: Path) -> None:
    """A page says so, and the next one tries again."""
    with trio.fail_after(SECONDS_MAX):
        async with trio.open_nursery() as nursery:
            own_store = OwnStore(store, Unlocking(), nursery)
            answers = Answers(store, answer_of(store, own_store))
            async with open_store(store, Unlocking()):
                for _ in range(2):
                    with pytest.raises(errors.StoreInUse):
                        await answers.ask(ListDirectory(b""), DirectoryListing)
            await answers.ask(ListDirectory(b""), DirectoryListing)
            nursery.cancel_scope.cancel()


async def test_a_store_unmounted_meanwhile_is_told(store: Path) -> None:
    """Where nothing is known that opens its keys."""
    with pytest.raises(errors.DaemonUnreachable):
        await Answers(store, answer_of(store, None)).ask(ListDirectory(b""), DirectoryListing)


async def test_a_store_stays_open_while_it_is_used(store: Path) -> None:
    """A large picture may take longer to send than a store stays open for nobody."""
    with trio.fail_after(SECONDS_MAX):
        async with trio.open_nursery() as nursery:
            own_store = OwnStore(store, Unlocking(), nursery, idle_seconds=0)
            async with own_store.in_use() as used:
                for _ in range(100):
                    await trio.lowlevel.checkpoint()
                async with own_store.in_use() as again:
                    assert again is used
            nursery.cancel_scope.cancel()
