"""Replication as people use it: a rule, another store, what `status` says, and a failover."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
import trio
import trio.lowlevel
import trio.testing
from msgspec import structs

from s3fs_local import errors
from s3fs_local.control.client import connect
from s3fs_local.control.replicating import replication_status
from s3fs_local.control.requests import (
    ChangeReplication,
    ChangeSetting,
    ChangeVersioning,
    DescribeReplication,
    DescribeReplicationStatus,
    Promote,
    RemoveReplication,
    Resync,
    SyncReplication,
)
from s3fs_local.daemon.receiving import make_room
from s3fs_local.engine.replica_arrivals import ARRIVING_SETTING
from s3fs_local.metadata.changes import PutSetting
from tests.replication_rules import document, rule
from tests.store_on_disk import StoreOnDisk, make_store, opened

TOO_LONG_S = 240.0


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A source in the east, and a destination in the west."""
    for region in ("east", "west"):
        (tmp_path / region).mkdir()
        make_store(tmp_path / region / "store", [])
    return tmp_path / "east" / "store"


def beside(here: Path) -> Path:
    """The destination."""
    return here.parent.with_name("west") / "store"


async def put_rules(disk: StoreOnDisk, there: Path) -> None:
    """Everything goes to `there`."""
    await disk.ask(ChangeSetting("remotes", f"west={there}"))
    await disk.ask(ChangeReplication(document()))


async def followed(here: Path, name: str) -> Path:
    """Another store, which has a file of this name from here; nobody has either open."""
    there = beside(here)
    async with opened(here) as disk:
        await put_rules(disk, there)
        disk.write(name, b"1")
        await disk.store.following.drain()
    let_go(there)
    return there


def versions_of(disk: StoreOnDisk, path: str) -> list[tuple[str, int]]:
    """The ids and sizes in the history of the path."""
    items = disk.fs.histories.of_name(*disk.place(path)).items
    return [(item.version_id, item.size) for item in items]


def let_go(store: Path) -> None:
    """Nobody has the store open any more."""
    make_room(store)


async def test_what_is_written_is_at_the_destination(here: Path) -> None:
    """And `status` says how far it is: S3's bytes, operations and latency."""
    there = beside(here)
    async with opened(here) as disk:
        await put_rules(disk, there)
        disk.write("a", b"1" * 5000)
        disk.write("a", b"2" * 7000)
        status = replication_status(disk.fs)
        assert status is not None
        assert status.undecided > 0
        await disk.store.following.drain()
        found = await disk.ask(DescribeReplicationStatus())
        mine = versions_of(disk, "a")
    (lag,) = found["Rules"]
    assert (lag["OperationsPending"], lag["BytesPending"], lag["LatencySeconds"]) == (0, 0, 0)
    assert found["Destinations"][0]["Bytes"] == 12_000
    let_go(there)
    async with opened(there) as replica:
        assert versions_of(replica, "a") == mine
        assert await replica.read("a") == b"2" * 7000
        with pytest.raises(errors.ReplicaReadOnly):
            replica.write("a", b"3")


async def test_the_document_is_given_back_and_its_destination_must_be_there(here: Path) -> None:
    """S3 refuses a destination that does not exist, or has no versions, when the rule is put."""
    there = beside(here)
    async with opened(here) as disk:
        with pytest.raises(errors.NoSuchConfiguration, match="ReplicationConfigurationNotFound"):
            await disk.ask(DescribeReplication())
        with pytest.raises(errors.InvalidSetting, match="Destination bucket must exist"):
            await disk.ask(ChangeReplication(document()))
        await disk.ask(ChangeSetting("remotes", f"west={there}-not"))
        with pytest.raises(errors.InvalidSetting, match="Destination bucket must exist"):
            await disk.ask(ChangeReplication(document()))
        await put_rules(disk, there)
        found = await disk.ask(DescribeReplication())
        assert found["Rules"][0]["Destination"] == {"Bucket": "arn:aws:s3:::west"}
        with pytest.raises(errors.VersioningRequired):
            await disk.ask(ChangeVersioning(b'{"Status": "Suspended"}'))
        await disk.ask(RemoveReplication())
        await disk.ask(RemoveReplication())
        await disk.ask(ChangeVersioning(b'{"Status": "Suspended"}'))
    let_go(there)


async def test_a_destination_without_versions_is_refused(here: Path) -> None:
    """With S3's words."""
    there = beside(here)
    async with opened(there) as disk:
        await disk.ask(ChangeVersioning(b'{"Status": "Suspended"}'))
    async with opened(here) as disk:
        with pytest.raises(errors.InvalidSetting, match="must have versioning enabled"):
            await put_rules(disk, there)
    let_go(there)


async def test_a_destination_with_files_of_its_own_is_refused(here: Path) -> None:
    """Nobody loses a store by naming it as a destination."""
    there = beside(here)
    async with opened(there) as disk:
        disk.write("mine", b"x")
    async with opened(here) as disk:
        with pytest.raises(errors.InvalidSetting, match="files of its own"):
            await put_rules(disk, there)
    let_go(there)
    async with opened(there) as disk:
        disk.write("mine", b"y")


async def test_an_outage_stays_pending_and_ends_by_itself(here: Path) -> None:
    """A disk that is not there: nothing fails, nothing is lost, and `status` says since when."""
    there = beside(here)
    async with opened(here) as disk:
        await put_rules(disk, there)
        let_go(there)
        there.rename(there.with_name("away"))
        disk.write("a", b"1")
        with pytest.raises(errors.DestinationUnreachable):
            await disk.store.following.drain()
        found = await disk.ask(DescribeReplicationStatus())
        assert found["Rules"][0]["OperationsPending"] > 0
        assert found["Destinations"][0]["State"] == "unreachable"
        told = [one.sentence for one in disk.status().findings if one.subject == "replication"]
        assert len(told) == 1
        assert told[0].startswith("west is unreachable")
        (version,) = disk.fs.volume.metadata.versions(disk.stat("a").ino)
        assert version.replication == "PENDING"
        there.with_name("away").rename(there)
        await disk.store.following.drain()
        (version,) = disk.fs.volume.metadata.versions(disk.stat("a").ino)
        assert version.replication == "COMPLETED"
    let_go(there)


async def test_a_remote_that_is_taken_away_fails_for_good_until_a_sync(here: Path) -> None:
    """S3: FAILED is not tried again by itself, with a reason; Batch Replication does."""
    there = beside(here)
    async with opened(here) as disk:
        await put_rules(disk, there)
        await disk.ask(ChangeSetting("remotes", "none"))
        disk.write("a", b"1")
        await disk.store.following.drain()
        found = await disk.ask(DescribeReplicationStatus())
        assert {failure["Reason"] for failure in found["Failures"]} == {"DstBucketNotFound"}
        (version,) = disk.fs.volume.metadata.versions(disk.stat("a").ino)
        assert version.replication == "FAILED"
        await disk.ask(ChangeSetting("remotes", f"west={there}"))
        await disk.store.following.drain()
        assert (await disk.ask(DescribeReplicationStatus()))["Failures"]
        synced = await disk.ask(SyncReplication())
        assert synced["Failed"] == 0
        (version,) = disk.fs.volume.metadata.versions(disk.stat("a").ino)
        assert version.replication == "COMPLETED"
    let_go(there)


async def test_a_destination_that_is_killed_goes_on_where_it_was(here: Path) -> None:
    """Kill -9 in the middle, again and again; what it said it had it has."""
    there = beside(here)
    async with opened(here) as disk:
        await put_rules(disk, there)
        for number in range(60):
            disk.write(f"f{number % 7}", b"%d" % number * 1000)
            if number % 20 == 10:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_drain_somehow, disk)
                    await trio.lowlevel.checkpoint()
                    nursery.start_soon(_kill_receiver, there)
        with trio.fail_after(TOO_LONG_S):
            await _drain(disk)
        mine = {f"f{n}": versions_of(disk, f"f{n}") for n in range(7)}
    let_go(there)
    async with opened(there) as replica:
        assert {path: versions_of(replica, path) for path in mine} == mine
        for number in range(53, 60):
            assert await replica.read(f"f{number % 7}") == b"%d" % number * 1000


async def _drain(disk: StoreOnDisk) -> None:
    while True:
        try:
            await disk.store.following.drain()
        except errors.DestinationUnreachable:
            await trio.sleep(0.05)
        else:
            return


async def _drain_somehow(disk: StoreOnDisk) -> None:
    with contextlib.suppress(errors.DestinationUnreachable):
        await disk.store.following.drain()


async def _kill_receiver(there: Path) -> None:
    deadline = time.monotonic() + TOO_LONG_S
    while time.monotonic() < deadline:
        client = connect(there)
        if client is not None:
            with client:
                os.kill(client.daemon_pid(), signal.SIGKILL)
            return
        await trio.sleep(0.01)


async def test_a_failover_and_the_way_back(here: Path) -> None:
    """The source is lost, the replica takes over, the source returns and gets what it lacks."""
    there = beside(here)
    async with opened(here) as disk:
        await put_rules(disk, there)
        disk.write("shared", b"1")
        await disk.store.following.drain()
        disk.write("lost", b"never told")
    let_go(there)
    async with opened(there) as replica:
        await replica.ask(Resync())
        promoted = await replica.ask(Promote())  # that `resync` looked at the source is no use
        assert promoted["Checked"] == f"nobody has the source {here} open on this machine"
        with pytest.raises(errors.NotAReplica):
            await replica.ask(Promote())
        replica.write("shared", b"2")
        replica.write("new", b"3")
        (found,) = (await replica.ask(Resync()))["Regions"]
        rows = {(row["Side"], row["Key"]) for row in found["Rows"]}
        assert rows == {("here", "shared"), ("here", "new"), ("there", "lost")}
        assert found["Both"] == 1
    let_go(here)
    async with opened(here) as disk:
        with pytest.raises(errors.DestinationRefused, match="promoted"):
            await disk.store.following.drain()
        await disk.ask(RemoveReplication())
    let_go(there)
    async with opened(there) as replica:
        await replica.ask(ChangeSetting("remotes", f"west={here}"))
        await replica.ask(ChangeReplication(document(rule(ID="back"))))
        await replica.ask(SyncReplication())
    let_go(here)
    async with opened(here) as disk:
        assert await disk.read("shared") == b"2"
        assert await disk.read("new") == b"3"
        assert await disk.read("lost") == b"never told"
        assert len(versions_of(disk, "shared")) == 2


async def test_a_sync_ends_at_a_destination_that_takes_nothing(here: Path) -> None:
    """Also beside the worker of a mount, for which it waits else: it waited for ever.

    A promoted destination never takes anything again, and `status` says what to do about that.
    """
    there = await followed(here, "shared")
    async with opened(there) as replica:
        await replica.ask(Promote())
    async with opened(here) as disk, trio.open_nursery() as nursery:
        disk.write("lost", b"2")
        with pytest.raises(errors.DestinationRefused):
            await disk.store.following.drain()
        nursery.start_soon(disk.store.following.run)
        await trio.testing.wait_all_tasks_blocked()
        assert disk.store.following.is_running
        with trio.fail_after(TOO_LONG_S):
            with pytest.raises(errors.DestinationRefused, match="takes nothing from here"):
                await disk.ask(SyncReplication())
        (found,) = [one for one in disk.status().findings if one.subject == "replication"]
        assert "`bucket replication delete`" in found.sentence
        assert "by itself" not in found.advice
        let_go(there)
        there.rename(there.with_name("away"))
        with trio.fail_after(TOO_LONG_S), pytest.raises(errors.DestinationUnreachable):
            await disk.ask(SyncReplication())
        await disk.ask(RemoveReplication())
        nursery.cancel_scope.cancel()


async def test_a_replica_is_not_promoted_under_a_source_that_is_alive(here: Path) -> None:
    """Two stores that both believe to be the one cannot be put together again."""
    there = await followed(here, "a")
    async with opened(there) as replica:
        replica.fs.replica.connections += 1
        for dry_run in (True, False):
            with pytest.raises(errors.SourceAlive):
                await replica.ask(Promote(dry_run=dry_run))
        await replica.ask(Promote(force=True))
        replica.fs.replica.connections -= 1
        replica.write("a", b"2")


async def test_a_promotion_can_be_looked_at_first(here: Path) -> None:
    """What would be promoted, and what is known of its source; nothing is changed."""
    there = beside(here)
    async with opened(here) as disk:
        await put_rules(disk, there)
    let_go(there)
    async with opened(there) as replica:
        would = await replica.ask(Promote(dry_run=True))
        assert (would["Promoted"], would["DryRun"]) == (None, True)
        with pytest.raises(errors.ReplicaReadOnly):
            replica.write("a", b"1")
        done = await replica.ask(Promote())
        assert (done["Source"], done["DryRun"]) == (would["Source"], False)
        replica.write("a", b"1")


async def test_a_promotion_that_is_killed_keeps_no_bytes_for_ever(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of a version that will never be whole; a promoted store is not promoted again."""
    there = beside(here)
    async with opened(here) as disk:
        await put_rules(disk, there)
    let_go(there)
    async with opened(there) as replica:
        volume = replica.fs.volume
        volume.apply([PutSetting(ARRIVING_SETTING, json.dumps({"77": volume.now_ns()}))])
        left = []

        def die(*_: object, **__: object) -> None:
            left.append(volume.metadata.setting(ARRIVING_SETTING))
            raise errors.StoreReadOnly("as if killed")

        with monkeypatch.context() as patch:
            patch.setattr(replica.fs.replica, "promote", die)
            with pytest.raises(errors.StoreReadOnly):
                await replica.ask(Promote())

    assert left == [None]


async def test_two_stores_do_not_tell_each_other(here: Path) -> None:
    """Rules in both directions at once are refused, so nothing can go to and fro."""
    there = beside(here)
    async with opened(here) as disk:
        await put_rules(disk, there)
        let_go(there)
        async with opened(there) as replica:
            with pytest.raises(errors.ReplicaReadOnly):
                await replica.ask(ChangeReplication(document()))
            await replica.ask(Promote())
            await replica.ask(ChangeSetting("remotes", f"west={here}"))
    async with opened(there) as promoted:
        with pytest.raises(errors.InvalidSetting, match="replication rules of its own"):
            await promoted.ask(ChangeReplication(document(rule(ID="back"))))
    let_go(here)


async def test_promotion_says_what_it_could_not_see(here: Path) -> None:
    """Whoever promotes must know what nobody looked at: two writers cannot be put together."""
    there = beside(here)
    async with opened(here) as disk:
        await put_rules(disk, there)
    let_go(there)
    async with opened(there) as replica:
        role = replica.fs.replica
        assert role.role is not None
        own = role.role
        role.role = structs.replace(own, path=f"{own.path}-not")
        gone = await replica.ask(Promote())
        role.role = structs.replace(own, host="elsewhere")
        far = await replica.ask(Promote())

    assert "is not there" in gone["Checked"]
    assert "on the host elsewhere: whether it is in use cannot be seen from" in far["Checked"]


async def test_a_remote_that_was_exchanged_for_another_store_is_not_told(here: Path) -> None:
    """Else the new disk would look complete, although it never got what the old one had."""
    there = beside(here)
    async with opened(here) as disk:
        await put_rules(disk, there)
        disk.write("a", b"1")
        await disk.store.following.drain()
        let_go(there)
        there.rename(there.with_name("old"))
        (there.parent / "recovery.key").unlink()
        make_store(there, [])
        disk.write("b", b"2")
        with pytest.raises(errors.DestinationRefused, match="another store than the one"):
            await disk.store.following.drain()
        found = await disk.ask(DescribeReplicationStatus())
        assert found["Rules"][0]["OperationsPending"] > 0
        assert not found["Failures"]
        await disk.ask(ChangeReplication(document()))
        await disk.ask(SyncReplication())
        mine = {name: versions_of(disk, name) for name in ("a", "b")}
    let_go(there)
    async with opened(there) as replica:
        assert {name: versions_of(replica, name) for name in mine} == mine


async def test_a_destination_has_one_source(here: Path) -> None:
    """A second one is refused when its rule is put, and changes nothing there."""
    there = beside(here)
    other = here.parent / "other" / "store"
    other.parent.mkdir()
    make_store(other, [])
    async with opened(here) as disk:
        await put_rules(disk, there)
        disk.write("a", b"1")
        await disk.store.following.drain()
        async with opened(other) as second:
            second.write("a", b"mine")
            with pytest.raises(errors.InvalidSetting, match="a replica of another store"):
                await put_rules(second, there)
        mine = versions_of(disk, "a")
    let_go(there)
    async with opened(there) as replica:
        assert versions_of(replica, "a") == mine
