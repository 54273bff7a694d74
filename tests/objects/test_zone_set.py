"""A set of zones goes on without any one of them, and never acknowledges less than it says."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from s3fs_local.errors import StoreFull, TooFewZones, ZoneUnavailable
from s3fs_local.objects import membership
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.lanes import DirectLane, Work
from s3fs_local.objects.local_directory import LocalDirectory
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone import Zone, ZoneState
from s3fs_local.objects.zone_record import RECORD_NAME, newest_record
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.rules.placement import EVERYWHERE, Homes
from tests.objects.hanging import HangingObjects

GONE = ZoneUnavailable("scripted")
FULL = StoreFull("scripted")


class Set:
    """Zones in memory, each of which can fail or hang."""

    def __init__(self, number: int, *, quorum: int = 0, threads: bool = False) -> None:
        self.memories = [MemoryObjects() for _ in range(number)]
        self.failing = [FailingObjects(memory) for memory in self.memories]
        self.hanging = [HangingObjects(failing) for failing in self.failing]
        self.kept: list[bytes] = []
        self.zones = ZoneSet(
            [
                Zone(store, zone_id=f"{index:032x}", url=f"zone {index}", has_threads=threads)
                for index, store in enumerate(self.hanging)
            ],
            wanted_quorum=quorum,
            timeout_seconds=2.0,
            keep_record=self.kept.append,
        )

    @property
    def states(self) -> list[str]:
        """How each is doing."""
        return [zone.state.value for zone in self.zones.zones]


@pytest.fixture
def threaded() -> Iterator[Set]:
    """Three zones, each with threads of its own; what hangs is let go at the end."""
    zones = Set(3, threads=True)
    yield zones
    for each in zones.hanging:
        each.goes_on.set()
    zones.zones.members.close()


@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("method", ["create", "append", "sync"])
@pytest.mark.parametrize("error", [GONE, FULL], ids=["gone", "full"])
def test_any_one_of_three_zones_may_fail_at_any_call(
    failing: int, method: str, error: ZoneUnavailable | StoreFull
) -> None:
    """The others hold everything, and say who does not before the sync returns."""
    zones = Set(3)
    zones.failing[failing].fail(method, error, for_ever=True)
    appender = zones.zones.create("a")
    appender.append(b"one")
    appender.append(b"two")
    appender.sync()

    whole = [memory for index, memory in enumerate(zones.memories) if index != failing]
    assert [memory.read("a", 0, 9) for memory in whole] == [b"onetwo"] * 2
    assert [state == "behind" for state in zones.states] == [i == failing for i in range(3)]
    for memory in whole:
        record = newest_record([memory.read(RECORD_NAME, 0, 9999)])
        assert [zone.zone_id for zone in record.behind] == [f"{failing:032x}"]
    assert newest_record(zones.kept).epoch == 1


def test_two_of_three_zones_gone_is_an_error_and_never_less_than_promised() -> None:
    """The quorum is two; what the third has is called durable by nobody."""
    zones = Set(3)
    appender = zones.zones.create("a")
    for failing in zones.failing[:2]:
        failing.fail("sync", GONE, for_ever=True)
    appender.append(b"one")
    with pytest.raises(TooFewZones):
        appender.sync()

    with pytest.raises(TooFewZones, match=r"zone 0: scripted; zone 1: scripted"):
        zones.zones.check_writable()
    with pytest.raises(TooFewZones):
        appender.append(b"two")
    assert RECORD_NAME not in zones.memories[2].list(""), "nobody missed what nobody was promised"


def test_two_zones_go_on_with_one_unless_the_quorum_says_two() -> None:
    """The choice between going on and being twice safe is the user's."""
    for quorum, is_enough in ((0, True), (1, True), (2, False)):
        zones = Set(2, quorum=quorum)
        appender = zones.zones.create("a")
        zones.failing[0].fail("append", GONE, for_ever=True)
        if is_enough:
            appender.append(b"one")
            appender.sync()
            assert zones.memories[1].read("a", 0, 9) == b"one"
        else:
            with pytest.raises(TooFewZones):
                appender.append(b"one")


def test_as_long_as_two_are_well_an_acknowledgement_waits_for_both() -> None:
    """Or the loss of the faster one would take what the slower one had not got yet."""
    zones = Set(2)
    appender = zones.zones.create("a")
    appender.append(b"one")
    appender.sync()
    for failing in zones.failing:
        failing.power_cut()

    assert [memory.read("a", 0, 9) for memory in zones.memories] == [b"one"] * 2


def test_all_zones_full_is_a_full_store_and_no_zone_is_blamed() -> None:
    """With room made they all go on."""
    zones = Set(3)
    for failing in zones.failing:
        failing.fail("create", FULL)
    with pytest.raises(StoreFull):
        zones.zones.create("a")

    assert zones.states == ["well"] * 3
    zones.zones.create("b").append(b"one")
    assert [memory.read("b", 0, 9) for memory in zones.memories] == [b"one"] * 3


def test_a_zone_that_never_said_how_much_room_it_has_is_not_full() -> None:
    """One that just joined may be slow to say; with a quorum of all, writes met a full disk."""
    zones = Set(3, quorum=3)
    zones.failing[2].fail("free_bytes", GONE)

    assert zones.zones.free_bytes() == zones.memories[0].free_bytes()


def test_a_zone_that_hangs_is_waited_for_once(threaded: Set) -> None:
    """Then it is suspended, and nobody waits again; what it does later harms nobody."""
    appender = threaded.zones.create("a")
    threaded.hanging[1].goes_on.clear()
    threaded.hanging[2].goes_on.clear()
    with pytest.raises(TooFewZones):
        appender.append(b"one")
    assert threaded.states == ["well", "behind", "behind"]
    with pytest.raises(TooFewZones):
        threaded.zones.create("b")
    assert threaded.zones.zones[1].hangs


class LeftLane(DirectLane):
    """The zone is suspended just when something is handed to it, which then is never done."""

    def __init__(self, zones: ZoneSet, zone: Zone) -> None:
        self._zones = zones
        self._zone = zone

    def submit(self, work: Work, size_bytes: int = 0) -> None:
        """Nobody will say that it is done."""
        del work, size_bytes
        self._zones.members.suspend(self._zone, "scripted")


def test_the_only_zone_may_hang_behind_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who writes is told, at once while it hangs, so nothing piles up; and then it goes on."""
    monkeypatch.setattr(membership, "LAST_SECONDS", 0.2)
    hanging = HangingObjects(MemoryObjects())
    zone = Zone(hanging, zone_id="0", has_threads=True)
    zone.is_far = True
    zones = ZoneSet([zone], timeout_seconds=0.2)
    appender = zones.create("a")
    appender.append(b"abc")
    appender.sync()
    hanging.goes_on.clear()
    with pytest.raises(TooFewZones, match="no answer"):
        appender.sync()
    assert zones.look_at_space()[zone].startswith("no answer for")
    waiting = zone.lane.waiting_bytes
    for _ in range(3):
        with pytest.raises(TooFewZones, match="no answer"):
            zones.create("b").append(b"more")
    assert zone.lane.waiting_bytes == waiting
    is_through = Event()
    zone.lane.submit(is_through.set)
    hanging.goes_on.set()
    is_through.wait()
    appender.sync()
    assert zones.look_at_space() == {}

    assert zones.read("a", 0, 9) == b"abc"
    assert zone.is_well
    zones.members.close()


def test_nobody_waits_for_a_zone_that_was_suspended_meanwhile() -> None:
    """It will never say that it is done: an unmount waited ten seconds for that."""
    for waiting in ("drain", "put"):
        zones = Set(3).zones
        zones.members.timeout_seconds = 3600.0
        zone = zones.zones[1]
        zone.lane = LeftLane(zones, zone)
        if waiting == "put":
            zones.put("a", b"waits for all")
        else:
            with pytest.raises(ZoneUnavailable, match="scripted"):
                zones.members.drain(zone)
        with pytest.raises(ZoneUnavailable, match="scripted"):
            zones.members.drain(zone)


def test_a_slow_zone_beyond_the_quorum_sets_no_pace(threaded: Set) -> None:
    """It gets everything in order, later."""
    appender = threaded.zones.create("a")
    appender.sync()
    threaded.hanging[2].goes_on.clear()
    for number in range(100):
        appender.append(b"%02d" % number)
    appender.sync()
    expected = b"".join(b"%02d" % number for number in range(100))
    assert threaded.memories[0].read("a", 0, 999) == expected
    assert threaded.states == ["well"] * 3
    threaded.hanging[2].goes_on.set()
    threaded.zones.put("b", b"waits for all")

    assert threaded.memories[2].read("a", 0, 999) == expected


def test_reads_come_from_another_zone_while_one_hangs(threaded: Set) -> None:
    """At once, not after the timeout."""
    threaded.zones.put("a", b"12345")
    threaded.hanging[0].goes_on.clear()

    assert threaded.zones.read("a", 1, 3) == b"234"
    assert threaded.zones.read_nowait("a", 1, 3) in (None, b"234")


def test_a_zone_that_was_behind_is_known_so_by_the_next_opening() -> None:
    """Even if it looks well then: it lacks something."""
    zones = Set(3)
    zones.failing[1].fail("create", GONE)
    zones.zones.create("a").sync()
    record = newest_record(zones.kept)
    again = ZoneSet(
        [Zone(store, zone_id=f"{index:032x}") for index, store in enumerate(zones.hanging)],
        record=record,
    )

    assert [zone.state for zone in again.zones] == [
        ZoneState.WELL,
        ZoneState.BEHIND,
        ZoneState.WELL,
    ]


def test_a_zone_that_returns_takes_part_once_it_has_everything() -> None:
    """What grows goes on growing in it; only then does it count."""
    zones = Set(3, quorum=3)
    appender = zones.zones.create("a")
    appender.append(b"one")
    zones.failing[1].fail("append", GONE)
    with pytest.raises(TooFewZones):
        appender.append(b"lost")
    zone = zones.zones.zones[1]
    zones.zones.members.welcome(zone, zones.hanging[1])
    fresh = zones.zones.growing
    assert fresh, "the object that broke is still known"
    zones.zones.members.settle_in(zone)
    second = zones.zones.create("b")
    second.append(b"two")
    second.sync()

    assert [memory.read("b", 0, 9) for memory in zones.memories] == [b"two"] * 3


@pytest.mark.parametrize("too_many", ["bytes", "seconds"])
def test_a_zone_that_hangs_while_it_returns_is_given_up(
    threaded: Set, monkeypatch: pytest.MonkeyPatch, too_many: str
) -> None:
    """What waits for it is in memory, and whoever gives it what it missed waits for it."""
    zone, zones = threaded.zones.zones[2], threaded.zones
    zones.members.suspend(zone, "scripted")
    zones.members.welcome(zone, threaded.hanging[2])
    threaded.hanging[2].goes_on.clear()
    appender = zones.create("a")
    if too_many == "bytes":
        monkeypatch.setattr(membership, "LAG_BYTES_MAX", 1000)
        appender.append(bytes(1001))
    else:
        zones.members.timeout_seconds = 0.0
        while not zone.lane.busy_seconds:
            pass
        zones.members.check_lanes()

    assert zone.state is ZoneState.BEHIND
    assert "a" in zone.doubtful, "nobody knows what it has of it"


def test_a_zone_that_failed_keeps_no_file_open(tmp_path: Path) -> None:
    """One that comes and goes for months would use up the descriptors of the process."""
    folders = [tmp_path / str(number) for number in range(2)]
    for folder in folders:
        folder.mkdir()
    zones = ZoneSet.of([LocalDirectory(folder) for folder in folders])
    appender = zones.create("a")
    zones.members.suspend(zones.zones[0], "scripted")
    appender.append(b"one")
    appender.close()

    held = [entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    assert not [path for path in held if path.is_relative_to(tmp_path)]


def test_an_object_is_joined_by_a_zone_that_returns() -> None:
    """The rest of what it lacks comes before anything that is newer."""
    zones = Set(3)
    appender = zones.zones.create("a")
    appender.append(b"one")
    zones.failing[1].fail("sync", GONE)
    appender.sync()
    appender.append(b"two")
    zone = zones.zones.zones[1]
    zones.zones.members.welcome(zone, zones.hanging[1])
    (growing,) = zones.zones.growing
    assert growing.lacks(zone)
    zones.hanging[1].put("a", b"one")
    growing.join(
        zone, lambda start, end: zones.memories[0].read("a", start, end - start), present=3
    )
    zones.zones.members.settle_in(zone)
    appender.append(b"three")
    appender.sync()

    assert not growing.lacks(zone)
    assert [memory.read("a", 0, 99) for memory in zones.memories] == [b"onetwothree"] * 3
    assert newest_record(zones.kept).behind == ()


def test_the_store_itself_has_a_record_before_any_zone() -> None:
    """A process that is killed in between gives its number to nothing else when it is back."""
    zones = Set(3)
    zones.failing[0].fail("create", GONE, for_ever=True)
    for failing in zones.failing[1:]:
        failing.fail("put", GONE, for_ever=True)
    with pytest.raises(TooFewZones):
        zones.zones.create("a").sync()

    assert newest_record(zones.kept).epoch > 0
    assert not any(RECORD_NAME in memory.list("") for memory in zones.memories)


def test_an_object_with_fewer_copies_lives_where_its_class_wants() -> None:
    """ONEZONE_IA is one zone, whatever the others do."""
    zones = Set(3)
    for number in range(6):
        zones.zones.create(f"{number}", Homes(copies=1), spread=number).append(b"one")

    held = [sorted(memory.list("")) for memory in zones.memories]
    assert held == [["0", "3"], ["1", "4"], ["2", "5"]]


def test_an_object_that_grows_on_is_completed_in_zones_that_have_less_of_it() -> None:
    """A killed process told one zone of the last bytes, and one of nothing; both count as well."""
    zones = Set(3)
    zones.memories[0].put("a", b"onetwo")
    zones.memories[1].put("a", b"one")
    appender = zones.zones.append_to("a", EVERYWHERE)
    appender.append(b"three")
    appender.sync()
    for failing in zones.failing:
        failing.power_cut()

    assert [memory.read("a", 0, 99) for memory in zones.memories] == [b"onetwothree"] * 3
    assert zones.states == ["well"] * 3


def test_a_zone_that_cannot_be_given_the_rest_counts_no_more() -> None:
    """It says so before anything is acknowledged that it lacks."""
    zones = Set(3)
    for memory, content in zip(zones.memories, (b"onetwo", b"onetwo", b"one"), strict=True):
        memory.put("a", content)
    zones.failing[2].fail("append", FULL)
    zones.zones.append_to("a").sync()

    assert zones.states == ["well", "well", "behind"]
    assert newest_record(zones.kept).epoch == 1
