"""Archived versions: not read before they are retrieved, and everything else goes on."""

import os

import pytest
import trio
import trio.testing
from msgspec import structs

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.filesystem import Presentation
from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.engine.purging import purge
from s3fs_local.errors import (
    Archived,
    InvalidArgument,
    NoSuchVersion,
    NotArchived,
    NotPermitted,
    RetrievalRunning,
    WouldWait,
)
from s3fs_local.rules.inode import Caller
from s3fs_local.rules.instants import SECOND_NS, parse_instant
from s3fs_local.rules.retrieval import RetrievalTier
from tests.engine.memory_store import ALICE, MemoryStore
from tests.engine.test_classes_move_bytes import (
    DAY_S,
    TEXT,
    change,
    current,
    pack_bytes,
    placements,
    settle,
)

HOUR_NS = 3600 * SECOND_NS
STANDARD, EXPEDITED, BULK = RetrievalTier.STANDARD, RetrievalTier.EXPEDITED, RetrievalTier.BULK


def archived(wanted: str = "GLACIER", *, standard_ns: int = 0, bulk_ns: int = 0) -> MemoryStore:
    """A store with the file `log` in an archive."""
    store = MemoryStore(
        retrieval_delay_standard=str(standard_ns), retrieval_delay_bulk=str(bulk_ns)
    )
    store.write("log", TEXT)
    change(store, "log", wanted)
    return store


def request(store: MemoryStore, *, days: int = 3, tier: RetrievalTier = STANDARD) -> None:
    """Somebody asks for the current version."""
    inode = store.stat("log")
    store.fs.retrieving.request(inode.ino, inode.version_ns, days=days, tier=tier, caller=ALICE)


def advance(store: MemoryStore) -> None:
    """What is due happens."""
    trio.run(store.fs.retrieving.advance_all, AT_ONCE)
    settle(store)


def restore_header(store: MemoryStore) -> str:
    """`s3.restore` of the file."""
    return store.fs.getxattr(store.stat("log").ino, b"s3.restore").decode()


def test_an_archived_file_is_retrieved_for_some_days() -> None:
    """The story: refused, asked for, read, expired, refused; the class never changes."""
    store = archived()
    store.clock.advance(parse_instant("2030-10-15T10:30:00Z", now_ns=0) - store.clock.now_ns())
    small = pack_bytes(store)
    with pytest.raises(Archived, match="GLACIER"):
        store.open("log", os.O_RDONLY)

    request(store)
    assert restore_header(store) == 'ongoing-request="true"'
    advance(store)

    assert store.read("log") == TEXT
    expiry = 'ongoing-request="false", expiry-date="Sat, 19 Oct 2030 00:00:00 GMT"'
    assert restore_header(store) == expiry
    assert current(store, "log").storage_class == "GLACIER"
    assert placements(store, "log") == {"STANDARD"}

    store.tick(4 * DAY_S)
    advance(store)
    with pytest.raises(Archived):
        store.open("log", os.O_RDONLY)
    assert placements(store, "log") == {"GLACIER"}
    trio.run(lambda: collect_garbage(store.fs, dry_run=False))
    assert pack_bytes(store) < small


def test_each_tier_takes_the_time_that_was_set() -> None:
    """A rehearsal of what a retrieval from a real archive means for a program."""
    store = archived(standard_ns=3 * HOUR_NS)
    request(store)
    store.tick(3 * 3600 - 1)
    advance(store)
    with pytest.raises(Archived, match="is being retrieved"):
        store.open("log", os.O_RDONLY)

    store.tick(2)
    advance(store)

    assert store.read("log") == TEXT


def test_a_second_request_is_refused_unless_it_is_for_a_faster_tier() -> None:
    """S3: RestoreAlreadyInProgress, but upgrades are accepted."""
    store = archived(standard_ns=5 * HOUR_NS, bulk_ns=12 * HOUR_NS)
    request(store, tier=BULK)
    for days, tier in ((3, BULK), (4, STANDARD)):
        with pytest.raises(RetrievalRunning):
            request(store, days=days, tier=tier)

    request(store, tier=STANDARD)
    request(store, tier=EXPEDITED)
    with pytest.raises(RetrievalRunning):
        request(store, tier=STANDARD)
    advance(store)

    assert store.read("log") == TEXT


def test_a_copy_that_is_there_stays_for_as_long_as_the_last_request_says() -> None:
    """S3: a request for a retrieved version only moves its expiry, both ways."""
    store = archived()
    request(store, days=1)
    advance(store)
    request(store, days=30)
    store.tick(20 * DAY_S)
    advance(store)
    assert store.read("log") == TEXT

    request(store, days=1)
    store.tick(2 * DAY_S)
    advance(store)

    with pytest.raises(Archived):
        store.open("log", os.O_RDONLY)


def test_what_makes_no_sense_is_refused() -> None:
    """Each refusal has its own error."""
    store = archived("DEEP_ARCHIVE")
    with pytest.raises(InvalidArgument, match="Standard and Bulk"):
        request(store, tier=EXPEDITED)
    with pytest.raises(InvalidArgument, match="days"):
        request(store, days=0)
    inode = store.stat("log")
    with pytest.raises(NotPermitted):
        store.fs.retrieving.request(
            inode.ino, inode.version_ns, days=1, tier=STANDARD, caller=Caller(uid=7, gid=7)
        )
    store.write("log", b"new")
    with pytest.raises(NotArchived):
        request(store)


def test_everything_but_reading_works_on_an_archived_file() -> None:
    """stat, rename, attributes, unlink, restore and a whole new content need none of its bytes."""
    store = archived()
    ino = store.stat("log").ino

    assert store.stat("log").size == len(TEXT)
    store.rename("log", "moved")
    store.fs.setxattr(ino, b"user.a", b"1", ALICE)
    store.fs.setattr(ino, AttributeChange(mode=0o600), None, ALICE)
    store.remove("moved")
    store.write("log", b"another")
    old = store.metadata.versions(ino)[0]
    version = store.fs.restore_content(store.stat("log").ino, ino, old.stamp_ns, caller=ALICE)

    assert version.storage_class == "GLACIER"
    settle(store)
    assert placements(store, "log") == {"GLACIER"}
    with pytest.raises(Archived):
        store.open("log", os.O_RDONLY)
    store.write("log", b"whole")
    assert store.read("log") == b"whole"


def test_a_change_of_a_part_needs_the_rest() -> None:
    """What cannot be kept is refused when the file is opened, not when it is closed."""
    store = archived()
    for flags in (os.O_RDWR, os.O_WRONLY, os.O_WRONLY | os.O_APPEND):
        with pytest.raises(Archived):
            store.open("log", flags)
    with pytest.raises(Archived):
        store.fs.setattr(store.stat("log").ino, AttributeChange(size=10), None, ALICE)

    store.fs.setattr(store.stat("log").ino, AttributeChange(size=0), None, ALICE)

    assert store.read("log") == b""


def test_an_archived_version_in_the_history_is_retrieved_alone() -> None:
    """`.versions` follows the same rules, version by version."""
    store = archived()
    old = current(store, "log")
    store.write("log", b"new")
    names = [name.decode() for name in store.listing(".versions/log")]
    shown = [store.stat(f".versions/log/{name}") for name in names]
    (view,) = [node for node in shown if store.fs.views.version_shown(node.ino) == old]
    with pytest.raises(Archived):
        store.fs.open(view.ino, os.O_RDONLY, ALICE)

    store.fs.retrieving.request(old.ino, old.stamp_ns, days=1, tier=STANDARD, caller=ALICE)
    advance(store)

    assert store.read_ino(view.ino) == TEXT
    assert store.read("log") == b"new"


def test_a_reader_that_is_set_to_wait_gets_the_bytes() -> None:
    """Mount option `archived=wait`: the first open asks, and all wait for the one retrieval."""
    store = archived()
    store.fs.presentation = structs.replace(Presentation(), waits_for_archives=True)
    ino = store.stat("log").ino
    found: list[bytes] = []

    async def read() -> None:
        handle = (await store.fs.open_archived(ino, os.O_RDONLY, ALICE)).handle
        found.append(await store.fs.read(handle, 0, len(TEXT)))

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(WouldWait):
                await store.fs.open_archived(ino, os.O_RDONLY | os.O_NONBLOCK, ALICE)
            await store.fs.retrieving.advance_all(AT_ONCE)

    trio.run(scenario)

    assert found == [TEXT, TEXT]


def test_readers_go_on_waiting_when_the_first_is_interrupted() -> None:
    """One of them looks for all; it may be any program, and be killed."""
    store = archived()
    ino = store.stat("log").ino
    opened = 0
    first = trio.CancelScope()

    async def wait(scope: trio.CancelScope) -> None:
        nonlocal opened
        with scope:
            await store.fs.open_archived(ino, os.O_RDONLY, ALICE)
            opened += 1

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, first)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(2):
                nursery.start_soon(wait, trio.CancelScope())
            await trio.testing.wait_all_tasks_blocked()
            first.cancel()
            await trio.testing.wait_all_tasks_blocked()
            await store.fs.retrieving.advance_all(AT_ONCE)

    trio.run(scenario)

    assert opened == 2


def test_readers_of_a_version_that_is_purged_wait_no_longer() -> None:
    """They would for ever: nobody retrieves it any more."""
    store = archived()
    old = current(store, "log")
    store.write("log", b"new")
    items = store.fs.histories.of_name(*store.place("log")).items
    (item,) = [item for item in items if item.version == old]
    refused = 0

    async def wait() -> None:
        nonlocal refused
        with pytest.raises(NoSuchVersion):
            await store.fs.retrieving.until_readable(old.ino, old.stamp_ns, may_wait=True)
        refused += 1

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            purge(store.fs, item, caller=ALICE, bypass=None)

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))

    assert refused == 2


def test_a_copy_outlasts_a_move_to_a_deeper_archive() -> None:
    """A rule moves what it is due for; whoever asked for some days has them all the same."""
    store = archived()
    request(store, days=3)
    advance(store)
    version = current(store, "log")

    store.fs.classes.transition(version.ino, version.stamp_ns, "DEEP_ARCHIVE", present="GLACIER")
    settle(store)

    assert store.read("log") == TEXT
    assert placements(store, "log") == {"STANDARD"}
    store.tick(4 * DAY_S)
    advance(store)
    with pytest.raises(Archived, match="DEEP_ARCHIVE"):
        store.open("log", os.O_RDONLY)
    assert placements(store, "log") == {"DEEP_ARCHIVE"}


def test_readers_go_on_waiting_when_the_archive_becomes_a_deeper_one() -> None:
    """What they asked for is not forgotten; nor would they wait for what nobody asked for."""
    store = archived(standard_ns=3 * HOUR_NS)
    version = current(store, "log")

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            waiting = store.fs.retrieving.until_readable
            nursery.start_soon(lambda: waiting(version.ino, version.stamp_ns, may_wait=True))
            await trio.testing.wait_all_tasks_blocked()
            store.fs.classes.transition(
                version.ino, version.stamp_ns, "DEEP_ARCHIVE", present="GLACIER"
            )
            store.tick(4 * 3600)
            await store.fs.retrieving.advance_all(AT_ONCE)

    trio.run(scenario)

    assert store.read("log") == TEXT


def test_a_copy_that_expires_before_its_readers_wake_is_asked_for_again() -> None:
    """Else they would wait for what nobody retrieves."""
    store = archived()
    version = current(store, "log")

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            waiting = store.fs.retrieving.until_readable
            nursery.start_soon(lambda: waiting(version.ino, version.stamp_ns, may_wait=True))
            await trio.testing.wait_all_tasks_blocked()
            present = current(store, "log")
            store.fs.classes.put_version(structs.replace(present, retrieval=None))
            await trio.sleep(10)
            await store.fs.retrieving.advance_all(AT_ONCE)

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))

    assert store.read("log") == TEXT


def test_a_retrieval_that_a_crash_cut_off_goes_on() -> None:
    """The request is a fact; the next mount looks for what is due."""
    store = archived()
    request(store)
    store.flush(durable=True)
    store.crash()

    advance(store)

    assert store.read("log") == TEXT
