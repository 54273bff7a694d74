"""Commands, carried out on a store in memory as the daemon carries them out."""

import json
import os
from typing import Any, TypeVar

import msgspec
import pytest
import trio
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.control.commands import carry_out
from s3fs_local.control.context import Context
from s3fs_local.control.requests import (
    ChangeSetting,
    ChangeVersioning,
    ClearLegalHold,
    ClearRetention,
    CollectGarbage,
    DescribeRetention,
    DescribeSettings,
    DescribeStatistics,
    DescribeVersioning,
    Explain,
    ListEvents,
    ListLegalHolds,
    ListVersions,
    Protect,
    Purge,
    ReadVersion,
    Request,
    Restore,
    SetAppendOnly,
    SetLegalHold,
    SetRetention,
    Undelete,
    Unmount,
)
from s3fs_local.control.results.locks import Explanation, HoldListing, LockListing
from s3fs_local.control.results.store import SettingListing, Statistics, Status
from s3fs_local.control.results.versions import EventListing, Removal, Restoration, VersionListing
from s3fs_local.rules.inode import Caller
from s3fs_local.rules.instants import format_rfc3339
from tests.engine.memory_store import ALICE, ROOT, MemoryStore

Wanted = TypeVar("Wanted", bound=Struct)
BOB = Caller(uid=1001, gid=1001)


class Collector:
    """An outlet that keeps what it is given."""

    def __init__(self) -> None:
        self.content = b""
        self.reports = 0

    async def progress(self, what: str, *, done: int, total: int = 0) -> None:
        """Counted."""
        del what, done, total
        self.reports += 1

    async def data(self, chunk: bytes) -> None:
        """Kept."""
        self.content += chunk


def no_status() -> Status:
    """The daemon's business, not tested here."""
    raise AssertionError


def ask(store: MemoryStore, request: Request, caller: Caller = ALICE) -> Any:  # noqa: ANN401  JSON
    """What came of the request, as it would go over the socket."""
    return ask_for_content(store, request, caller)[0]


def ask_for_content(
    store: MemoryStore, request: Request, caller: Caller = ALICE
) -> tuple[Any, bytes]:
    """The result and the data of a request."""
    outlet = Collector()
    context = Context(filesystem=store.fs, caller=caller, outlet=outlet, describe=no_status)
    result = trio.run(carry_out, request, context)
    return msgspec.msgpack.decode(msgspec.msgpack.encode(result)), outlet.content


def ask_as(wanted: type[Wanted], store: MemoryStore, request: Request) -> Wanted:
    """The result as a value."""
    return msgspec.convert(ask(store, request), wanted)


@pytest.fixture
def store() -> MemoryStore:
    """A store with Object Lock; `notes` had three contents, `old` was deleted."""
    made = MemoryStore(object_lock="true")
    for content in (b"one\n", b"two\n", b"three\n"):
        made.write("notes", content)
    made.write("old", b"kept\n")
    made.remove("old")
    return made


def test_versions_has_the_shape_of_list_object_versions(store: MemoryStore) -> None:
    """Scripts written for `aws s3api list-object-versions` read it unchanged."""
    listing = ask(store, ListVersions(b"notes"))

    assert list(listing) == ["Versions", "DeleteMarkers"]
    assert [row["IsLatest"] for row in listing["Versions"]] == [True, False, False]
    newest = listing["Versions"][0]
    assert newest["Key"] == "notes"
    assert newest["Size"] == 6
    assert newest["StorageClass"] == "STANDARD"
    assert newest["ETag"].startswith('"')
    assert newest["Owner"] == {"ID": "1000"}
    assert newest["LastModified"].endswith("Z")
    assert json.loads(json.dumps(listing)) == listing


def test_deleted_names_are_listed_with_their_markers(store: MemoryStore) -> None:
    """What is gone is what people look for."""
    listing = ask_as(VersionListing, store, ListVersions(b"old"))

    assert [marker.is_latest for marker in listing.delete_markers] == [True]
    assert [version.is_latest for version in listing.versions] == [False]


def test_a_directory_lists_its_names(store: MemoryStore) -> None:
    """One question instead of one a file."""
    listing = ask_as(VersionListing, store, ListVersions(b""))

    assert {row.key for row in listing.versions} == {"notes", "old"}


def test_a_name_that_never_was_is_an_error(store: MemoryStore) -> None:
    """An empty listing would look like a file without history."""
    for path in (b"absent", b"absent/f", b"notes/f"):
        with pytest.raises(errors.NamespaceError):
            ask(store, ListVersions(path))


def test_names_below_a_removed_directory_are_found(store: MemoryStore) -> None:
    """`versions DIR/FILE` works after `rm -r DIR`."""
    store.mkdir("d")
    store.write("d/f", b"x")
    store.remove("d/f")
    store.remove("d")

    assert len(ask_as(VersionListing, store, ListVersions(b"d/f")).versions) == 1


def test_a_name_that_is_no_text_is_shown_escaped(store: MemoryStore) -> None:
    """JSON is UTF-8; a name is bytes."""
    parent, _ = store.place("x")
    handle = store.fs.create(parent, b"\xff", 0o100644, os.O_RDWR, ALICE)[0].handle
    store.close(handle)

    listing = ask_as(VersionListing, store, ListVersions(b"\xff"))
    assert listing.versions[0].key == "\\xff"


def test_log_tells_the_story_of_a_name(store: MemoryStore) -> None:
    """Oldest first."""
    events = ask_as(EventListing, store, ListEvents(b"old")).events

    assert [event.event for event in events][-1] == "deleted"
    assert events[0].time < events[-1].time


def test_cat_gives_any_version(store: MemoryStore) -> None:
    """By word, by id, by the beginning of an id, and by time."""
    rows = ask_as(VersionListing, store, ListVersions(b"notes")).versions
    store.tick(3600)

    def content(version: str | None = None, at: str | None = None) -> bytes:
        return ask_for_content(store, ReadVersion(b"notes", version=version, at=at))[1]

    assert content() == b"three\n"
    assert content(version="previous") == b"two\n"
    assert content(version=rows[2].version_id) == b"one\n"
    assert content(at=rows[1].last_modified) == b"two\n"
    assert content(at="5m") == b"three\n"
    assert ask_for_content(store, ReadVersion(b"old"))[1] == b"kept\n"


def test_cat_of_much_arrives_in_pieces(store: MemoryStore) -> None:
    """A file of any size passes through a bounded frame."""
    content = bytes(range(256)) * 4096 * 3
    store.write("large", content)

    assert ask_for_content(store, ReadVersion(b"large"))[1] == content


def test_versions_that_do_not_exist_are_refused(store: MemoryStore) -> None:
    """Neither an id, nor a time, nor a text that is neither."""
    for request, kind in (
        (ReadVersion(b"notes", version="zzzz"), errors.NoSuchVersion),
        (ReadVersion(b"notes", at="1970-01-02"), errors.NoSuchName),
        (ReadVersion(b"notes", at=""), errors.InvalidTime),
        (ReadVersion(b"notes", at="yesterdayish"), errors.InvalidTime),
    ):
        with pytest.raises(kind):
            ask(store, request)


def test_restore_without_more_undoes_the_last_change(store: MemoryStore) -> None:
    """And doing it again undoes the undoing."""
    ask(store, Restore(b"notes"))
    assert store.read("notes") == b"two\n"

    ask(store, Restore(b"notes"))
    assert store.read("notes") == b"three\n"


def test_restore_takes_an_id_or_a_time_or_another_name(store: MemoryStore) -> None:
    """Nothing is lost: all contents stay in the history."""
    rows = ask_as(VersionListing, store, ListVersions(b"notes")).versions
    ask(store, Restore(b"notes", version=rows[2].version_id))
    assert store.read("notes") == b"one\n"
    ask(store, Restore(b"notes", at=rows[1].last_modified))
    assert store.read("notes") == b"two\n"
    ask(store, Restore(b"notes", version=rows[0].version_id, to=b"copy"))

    assert store.read("copy") == b"three\n"
    assert len(store.history("notes")) == 5


def test_a_dry_run_changes_nothing_and_says_the_same(store: MemoryStore) -> None:
    """It is there to be believed."""
    before = store.history("notes")
    tried = ask_as(Restoration, store, Restore(b"notes", dry_run=True))
    assert store.history("notes") == before
    done = ask_as(Restoration, store, Restore(b"notes"))

    assert tried.changes == done.changes
    assert tried.dry_run
    assert not done.dry_run


def test_undelete_brings_a_file_back(store: MemoryStore) -> None:
    """And refuses to touch what is there."""
    ask(store, Undelete(b"old"))

    assert store.read("old") == b"kept\n"
    with pytest.raises(errors.NotDeleted):
        ask(store, Undelete(b"old"))


def test_undelete_of_a_tree_brings_back_what_went_with_it(store: MemoryStore) -> None:
    """`rm -r` empties a directory before it removes it; an empty one is not what people want.

    What was removed long before, on its own, stays removed.
    """
    for folder in ("d", "d/e"):
        store.mkdir(folder)
    for name in ("d/gone", "d/f", "d/e/g"):
        store.write(name, name.encode())
    store.remove("d/gone")
    store.tick(3600)
    for name in ("d/e/g", "d/e", "d/f", "d"):
        store.remove(name)

    ask(store, Undelete(b"d"))

    assert store.read("d/f") == b"d/f"
    assert store.read("d/e/g") == b"d/e/g"
    assert not store.exists("d/gone")


def test_undelete_goes_back_no_further_than_the_last_change(store: MemoryStore) -> None:
    """A file made between two removals came after the first: it comes back, the other does not."""
    store.mkdir("d")
    store.write("d/early", b"1")
    store.remove("d/early")
    store.write("d/late", b"2")
    store.remove("d/late")
    store.remove("d")

    ask(store, Undelete(b"d"))

    assert store.read("d/late") == b"2"
    assert not store.exists("d/early")


def test_a_tree_that_came_back_elsewhere_is_undeleted_where_it_was(store: MemoryStore) -> None:
    """Its directory went on with its life at the other place: what it did there is no matter here.

    Before, the undelete made the directory, empty, and said that all was well.
    """
    store.mkdir("a")
    store.mkdir("a/tree")
    store.mkdir("elsewhere")
    store.write("a/tree/early", b"1")
    seen = store.tick(3600)
    store.write("a/tree/late", b"2")
    for name in ("a/tree/early", "a/tree/late", "a/tree"):
        store.remove(name)
    ask(store, Restore(b"a/tree", at=format_rfc3339(seen), to=b"elsewhere/tree"))
    store.write("elsewhere/tree/new", b"3")

    ask(store, Undelete(b"a/tree"))

    assert sorted(store.listing("a/tree")) == [b"early", b"late"]
    assert store.read("a/tree/late") == b"2"
    assert sorted(store.listing("elsewhere/tree")) == [b"early", b"new"]


def test_a_removed_tree_of_hard_links_comes_back_whole(store: MemoryStore) -> None:
    """`cp -al` makes such trees, and so do programs that back up by them.

    A name that is removed from a file with others ends as one that was renamed away does: the
    undelete took it for that, and made an empty directory.
    """
    store.mkdir("daily.0")
    store.mkdir("daily.1")
    for name in ("a", "b"):
        store.write(f"daily.0/{name}", name.encode())
        store.link(f"daily.0/{name}", f"daily.1/{name}")
    store.rename("daily.1/b", "daily.1/c")
    store.tick(3600)
    for name in ("daily.1/a", "daily.1/c", "daily.1"):
        store.remove(name)
    store.write("daily.0/a", b"written since")

    ask(store, Undelete(b"daily.1"))

    assert sorted(store.listing("daily.1")) == [b"a", b"c"]
    assert store.read("daily.1/a") == b"a"
    assert store.read("daily.1/c") == b"b"
    assert store.read("daily.0/a") == b"written since"
    store.remove("daily.1/c")
    ask(store, Undelete(b"daily.1/c"))
    assert store.read("daily.1/c") == b"b"


def test_one_removed_name_of_several_is_undeleted(store: MemoryStore) -> None:
    """It has no delete marker, for the file is still there. A name that moved away is no such."""
    store.write("one", b"1")
    store.link("one", "two")
    store.remove("two")
    ask(store, Undelete(b"two"))
    assert store.read("two") == b"1"
    store.rename("one", "elsewhere")
    with pytest.raises(errors.NothingToRestore):
        ask(store, Undelete(b"one"))


def test_a_path_tells_nothing_of_what_its_former_directory_does_elsewhere(
    store: MemoryStore,
) -> None:
    """A name made there was told of here, with an end before its beginning.

    So an undelete took it for what was removed last, and brought back an empty directory.
    """
    store.mkdir("d")
    seen = store.tick(3600)
    store.remove("d")
    store.mkdir("d")
    store.mkdir("d/x")
    store.write("d/x/f", b"1")
    ask(store, Restore(b"d", at=format_rfc3339(seen), to=b"elsewhere"))
    store.mkdir("elsewhere/x")
    store.mkdir("elsewhere/only there")
    store.tick(3600)
    for name in ("d/x/f", "d/x"):
        store.remove(name)

    ask(store, Undelete(b"d/x"))
    assert store.read("d/x/f") == b"1"
    with pytest.raises(errors.NothingToRestore):
        ask(store, Undelete(b"d/only there"))


def test_a_directory_that_was_removed_twice_at_a_path_was_there_once(store: MemoryStore) -> None:
    """What it held is told of once."""
    store.mkdir("d")
    store.write("d/f", b"1")
    for _ in range(2):
        store.tick(3600)
        for name in ("d/f", "d"):
            store.remove(name)
        ask(store, Undelete(b"d"))
    store.tick(3600)
    for name in ("d/f", "d"):
        store.remove(name)
    store.mkdir("d")

    intervals = store.fs.histories.of_name(*store.place("d/f")).intervals
    assert len(intervals) == len(set(intervals))


def test_one_file_of_a_removed_tree_comes_back_with_its_folders(store: MemoryStore) -> None:
    """Nobody wants to bring back everything for one file."""
    store.mkdir("d")
    store.chmod("d", 0o750)
    for name in ("d/f", "d/g"):
        store.write(name, b"x")
    for name in ("d/f", "d/g", "d"):
        store.remove(name)

    ask(store, Undelete(b"d/f"))

    assert store.listing("d") == [b"f"]
    assert store.stat("d").mode & 0o777 == 0o750


def test_the_whole_store_goes_back_to_an_instant(store: MemoryStore) -> None:
    """After ransomware: one command."""
    at = str(store.clock.now_ns() // 10**9)
    store.write("notes", b"encrypted, pay!")
    store.write("README-to-decrypt", b"pay!")

    ask(store, Restore(b"", at=at))

    assert store.read("notes") == b"three\n"
    assert not store.exists("README-to-decrypt")


def test_a_tree_is_restored_to_a_time_only(store: MemoryStore) -> None:
    """It has no versions of its own; and over another tree it would remove that."""
    store.mkdir("d")
    store.mkdir("e")
    store.tick()
    with pytest.raises(errors.InvalidArgument, match="--at"):
        ask(store, Restore(b"d"))
    with pytest.raises(errors.NameTaken):
        ask(store, Restore(b"d", at="0s", to=b"e"))


def test_purge_destroys_one_version(store: MemoryStore) -> None:
    """A dry run only says so."""
    rows = ask_as(VersionListing, store, ListVersions(b"notes")).versions
    wanted = rows[1].version_id
    assert ask_as(Removal, store, Purge(b"notes", version=wanted, dry_run=True)).dry_run
    assert len(store.history("notes")) == 3

    removal = ask_as(Removal, store, Purge(b"notes", version=wanted))

    assert removal.version_id == wanted
    assert store.history("notes") == [b"three\n", b"one\n"]


def test_purge_takes_the_names_that_other_commands_take(store: MemoryStore) -> None:
    """Who reads `latest` in a listing types it."""
    ask(store, Purge(b"notes", version="previous"))
    assert store.history("notes") == [b"three\n", b"one\n"]

    ask(store, Purge(b"notes", version="latest"))
    assert store.history("notes") == [b"one\n"]

    with pytest.raises(errors.NoSuchVersion, match="no previous version"):
        ask(store, Purge(b"notes", version="previous"))


def test_purging_the_latest_delete_marker_undeletes(store: MemoryStore) -> None:
    """As in S3."""
    marker = ask_as(VersionListing, store, ListVersions(b"old")).delete_markers[0]

    assert ask_as(Removal, store, Purge(b"old", version=marker.version_id)).delete_marker
    assert store.read("old") == b"kept\n"


def test_a_locked_version_is_not_purged_not_even_in_a_dry_run(store: MemoryStore) -> None:
    """A dry run that promised what the real one refuses would be a lie."""
    lock = SetRetention((b"notes",), mode="compliance", until="1d")
    row = ask_as(LockListing, store, lock).locks[0]
    assert row.version_id is not None

    for dry_run in (True, False):
        with pytest.raises(errors.Protected):
            ask(store, Purge(b"notes", version=row.version_id, dry_run=dry_run), ROOT)


def test_retention_is_set_shown_and_only_grows(store: MemoryStore) -> None:
    """With S3's names."""
    ask(store, SetRetention((b"notes",), mode="governance", until="1d"))
    lock = ask(store, DescribeRetention(b"notes"))["Locks"][0]
    assert lock["ObjectLockMode"] == "GOVERNANCE"
    assert lock["ObjectLockRetainUntilDate"].startswith("2027-")

    with pytest.raises(errors.Protected):
        ask(store, SetRetention((b"notes",), mode="governance", until="1h"))
    with pytest.raises(errors.Protected):
        ask(store, ClearRetention(b"notes"))


def test_governance_yields_to_root_with_a_reason_and_to_nobody_else(store: MemoryStore) -> None:
    """The bypass is asked for explicitly, by who may, saying why."""
    ask(store, SetRetention((b"notes",), mode="governance", until="1d"))
    bypass = ClearRetention(b"notes", bypass_governance=True, reason="ticket 7")

    with pytest.raises(errors.BypassNotPermitted):
        ask(store, bypass)
    with pytest.raises(errors.BypassNotPermitted):
        ask(store, ClearRetention(b"notes", bypass_governance=True), ROOT)
    assert ask(store, bypass, ROOT)["Locks"][0].get("ObjectLockMode") is None


def test_the_bypass_group_may_bypass(store: MemoryStore) -> None:
    """A setting names who else is entitled."""
    ask(store, ChangeSetting("bypass-group", "1000"))
    ask(store, SetRetention((b"notes",), mode="governance", until="1d"))

    ask(store, ClearRetention(b"notes", bypass_governance=True, reason="ticket 8"))


def test_locks_are_set_on_all_paths_or_the_first_missing_one_is_named(store: MemoryStore) -> None:
    """A typing mistake in the last of many paths must not leave half of them locked."""
    with pytest.raises(errors.NoSuchName, match="absent"):
        ask(store, SetRetention((b"notes", b"absent"), mode="governance", until="1d"))

    assert ask(store, DescribeRetention(b"notes"))["Locks"][0].get("ObjectLockMode") is None


def test_legal_holds_are_by_case(store: MemoryStore) -> None:
    """Lifting one case's hold leaves the other's, and the list finds deleted files too."""
    for case in ("7/24", "9/24"):
        ask(store, SetLegalHold((b"notes",), case=case, reason="subpoena"))
    holds = ask_as(HoldListing, store, ListLegalHolds("9/24")).legal_holds
    assert [(hold.key, hold.reason) for hold in holds] == [("notes", "subpoena")]

    left = ask(store, ClearLegalHold((b"notes",), case="7/24", reason="closed"))["Locks"][0]

    assert left["ObjectLockLegalHoldStatus"] == "ON"
    assert [hold["Case"] for hold in left["LegalHolds"]] == ["9/24"]
    with pytest.raises(errors.Protected):
        store.remove("notes")


def test_append_only_files_take_appends_only(store: MemoryStore) -> None:
    """The command does what the attribute does."""
    assert ask(store, SetAppendOnly((b"notes",)))["Locks"][0]["AppendOnly"]

    store.append("notes", b"four\n")
    with pytest.raises(errors.Protected):
        store.patch("notes", 0, b"forged")


def test_protect_locks_what_is_made_from_now_on(store: MemoryStore) -> None:
    """What is there already stays as it is."""
    store.mkdir("d")
    store.write("d/before", b"1")
    ask(store, Protect(b"d", mode="compliance", period="30d"))
    store.write("d/after", b"2")

    store.remove("d/before")
    with pytest.raises(errors.Protected):
        store.remove("d/after")


def test_why_names_rule_end_and_who_may(store: MemoryStore) -> None:
    """It asks the very gate that the operation would ask."""
    assert ask_as(Explanation, store, Explain("delete", b"notes")).allowed
    ask(store, SetRetention((b"notes",), mode="compliance", until="2035-01-01"))

    refusal = ask_as(Explanation, store, Explain("rm", b"notes"))
    assert not refusal.allowed
    assert refusal.operation == "unlink"
    assert refusal.rule is not None
    assert "COMPLIANCE" in refusal.rule
    assert refusal.until == "2035-01-01T00:00:00Z"
    assert refusal.who_may is not None
    assert "nobody" in refusal.who_may
    with pytest.raises(errors.InvalidArgument, match="unlink"):
        ask(store, Explain("frobnicate", b"notes"))


def test_settings_are_shown_and_changed(store: MemoryStore) -> None:
    """As `config show` prints them, `config set` takes them."""
    ask(store, ChangeSetting("checkpoint-interval", "90s"))

    rows = ask_as(SettingListing, store, DescribeSettings()).settings
    assert {row.name: row.value for row in rows}["checkpoint-interval"] == "1m30s"
    for name, value in (("checkpoint-interval", "soon"), ("no-such", "1"), ("object-lock", "off")):
        with pytest.raises(errors.InvalidSetting):
            ask(store, ChangeSetting(name, value))


def test_settings_are_the_owners_and_roots_to_change(store: MemoryStore) -> None:
    """Whoever else gets as far as the socket."""
    with pytest.raises(errors.NotPermitted):
        ask(store, ChangeSetting("checkpoint-interval", "90s"), BOB)


def test_versioning_takes_the_documents_of_s3() -> None:
    """`bucket versioning put` takes what `get` prints."""
    store = MemoryStore()
    assert ask(store, DescribeVersioning()) == {"Status": "Enabled"}
    ask(store, ChangeVersioning(b'{"Status": "Suspended"}'))

    assert ask(store, DescribeVersioning()) == {"Status": "Suspended"}
    with pytest.raises(errors.InvalidSetting, match="MalformedXML"):
        ask(store, ChangeVersioning(b'{"Status": "suspended"}'))


def test_versioning_stays_enabled_beside_object_lock(store: MemoryStore) -> None:
    """S3's InvalidBucketState, by either command."""
    with pytest.raises(errors.VersioningRequired):
        ask(store, ChangeVersioning(b'{"Status": "Suspended"}'))
    with pytest.raises(errors.VersioningRequired):
        ask(store, ChangeSetting("versioning", "Suspended"))


def test_object_lock_needs_versioning() -> None:
    """The other way round, too."""
    store = MemoryStore()
    ask(store, ChangeVersioning(b'{"Status": "Suspended"}'))

    with pytest.raises(errors.VersioningRequired):
        ask(store, ChangeSetting("object-lock", "on"))


def test_statistics_count(store: MemoryStore) -> None:
    """Names, files and versions."""
    counted = ask_as(Statistics, store, DescribeStatistics())

    assert counted.files == 1
    assert counted.versions == 4


def test_gc_can_be_tried(store: MemoryStore) -> None:
    """Nothing is garbage here."""
    assert ask(store, CollectGarbage(dry_run=True))["FreedBytes"] == 0


def test_what_a_command_changed_is_durable_when_it_answers(store: MemoryStore) -> None:
    """A lock that was confirmed and then lost in a power cut would be no lock."""
    ask(store, SetRetention((b"notes",), mode="compliance", until="1d"))

    store.crash()

    with pytest.raises(errors.Protected):
        store.remove("notes")


def test_only_a_daemon_can_unmount(store: MemoryStore) -> None:
    """A command on an unmounted store has nothing to unmount."""
    with pytest.raises(errors.Unsupported):
        ask(store, Unmount(b"/mnt"))
