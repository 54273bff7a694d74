"""What every `ObjectStore` promises, asked of each one."""

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from s3fs_local.errors import InvalidArgument
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.local_directory import LocalDirectory
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.overlay import Overlay
from s3fs_local.objects.s3 import S3Objects, S3Place
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_set import ZoneSet
from tests.aws_server import AwsServer

_BUCKETS = count()


def _three_directories(place: Path) -> ZoneSet:
    zones = []
    for number in range(3):
        folder = place / str(number)
        folder.mkdir()
        zones.append(Zone(LocalDirectory(folder), zone_id=str(number), has_threads=True))
    return ZoneSet(zones)


FACTORIES: dict[str, Callable[[Path], ObjectStore]] = {
    "memory": lambda _: MemoryObjects(),
    "local_directory": LocalDirectory,
    "failing_without_faults": lambda _: FailingObjects(MemoryObjects()),
    "over_memory": lambda _: Overlay(MemoryObjects()),
    "over_a_directory": lambda path: Overlay(LocalDirectory(path)),
    "three_zones": lambda _: ZoneSet.of([MemoryObjects() for _ in range(3)]),
    "three_zones_with_threads": _three_directories,
}


@pytest.fixture(params=[*FACTORIES, pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of each kind."""
    if request.param == "s3":
        aws: AwsServer = request.getfixturevalue("aws")
        place = S3Place(bucket=aws.make_bucket(f"bucket-{next(_BUCKETS)}"), prefix="a/zone")
        return S3Objects(place, aws.client("s3"))
    return FACTORIES[request.param](tmp_path)


def test_an_object_grows_and_is_read_back_while_it_grows(store: ObjectStore) -> None:
    """The life of a pack."""
    appender = store.create("packs/00/one.pack")
    assert appender.append(b"abc") == 0
    assert appender.append(memoryview(bytearray(b"defg"))) == 3
    appender.sync()
    assert appender.append(b"h") == 7

    assert appender.length == 8
    assert store.length("packs/00/one.pack") == 8
    assert store.read("packs/00/one.pack", 2, 4) == b"cdef"
    appender.close()


def test_a_sweep_takes_nothing_that_is_there(store: ObjectStore) -> None:
    """Only what nobody can see."""
    store.put("a", b"12345")
    appender = store.create("packs/00/one.pack")
    appender.append(b"abc")

    assert store.sweep() == 0
    assert store.read("a", 0, 9) == b"12345"
    assert appender.append(b"d") == 3
    appender.close()


def test_a_read_past_the_end_is_short(store: ObjectStore) -> None:
    """Callers tell a cut object by the length of what they get."""
    store.put("a", b"12345")

    assert store.read("a", 3, 10) == b"45"
    assert store.read("a", 9, 10) == b""
    assert store.read("a", 0, 0) == b""


def test_a_read_that_must_not_wait_gives_the_same_bytes_or_none(store: ObjectStore) -> None:
    """None is always allowed, other bytes never."""
    store.put("a", b"12345" * 1000)

    assert store.read_nowait("a", 5, 5) in (b"12345", None)
    assert store.read_nowait("a", 4998, 10) in (b"45", None)


def test_appending_goes_on_after_reopening(store: ObjectStore) -> None:
    """After a restart the open pack is used up first."""
    first = store.create("a")
    first.append(b"abc")
    first.close()
    second = store.append_to("a")

    assert second.length == 3
    assert second.append(b"d") == 3
    second.sync()
    second.close()
    assert store.read("a", 0, 9) == b"abcd"


def test_put_replaces_the_whole_object(store: ObjectStore) -> None:
    """Also for a reader that had the former one open."""
    store.put("folder/a", b"long former content")
    assert store.read("folder/a", 0, 4) == b"long"
    store.put("folder/a", b"new")

    assert store.read("folder/a", 0, 99) == b"new"
    assert store.length("folder/a") == 3


def test_an_object_is_not_created_over_another(store: ObjectStore) -> None:
    """A pack id used twice must never cost the older pack its bytes."""
    store.put("a", b"precious")
    with pytest.raises(FileExistsError):
        store.create("a")

    assert store.read("a", 0, 99) == b"precious"


def test_what_is_not_there_is_a_key_error(store: ObjectStore) -> None:
    """Not a fault of the zone: another zone may still have it."""
    with pytest.raises(KeyError):
        store.read("none", 0, 1)
    with suppress(KeyError):  # or None: a network would have to be waited for
        assert store.read_nowait("none", 0, 1) is None
    with pytest.raises(KeyError):
        store.length("no/such")
    with pytest.raises(KeyError):
        store.append_to("none")


def test_a_deleted_object_is_gone_and_deleting_again_is_fine(store: ObjectStore) -> None:
    """Deletes are repeated after a crash."""
    store.put("folder/a", b"1")
    assert store.read("folder/a", 0, 1) == b"1"
    store.delete("folder/a")
    store.delete("folder/a")
    store.delete("never/was")

    with pytest.raises(KeyError):
        store.read("folder/a", 0, 1)
    assert list(store.list("")) == []


def test_a_deleted_object_may_still_be_synced(store: ObjectStore) -> None:
    """Compaction removes a pack that a sync in a thread still holds."""
    appender = store.create("a")
    appender.append(b"1")
    store.delete("a")
    appender.sync()
    appender.close()

    assert list(store.list("")) == []


def test_names_are_listed_in_order_by_prefix(store: ObjectStore) -> None:
    """A prefix may end in the middle of a name."""
    for name in ("b/2", "b/10", "a", "b/1/x", "bb"):
        store.put(name, b"")

    assert list(store.list("")) == ["a", "b/1/x", "b/10", "b/2", "bb"]
    assert list(store.list("b/")) == ["b/1/x", "b/10", "b/2"]
    assert list(store.list("b/1")) == ["b/1/x", "b/10"]
    assert list(store.list("none/")) == []


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "..", "a/../b", ".hidden", "A", "a b", "a\0", "é", "a" * 201]
)
def test_a_name_that_could_lead_elsewhere_is_refused(store: ObjectStore, name: str) -> None:
    """Names may come from a damaged database."""
    with pytest.raises(InvalidArgument):
        store.put(name, b"")
    with pytest.raises(InvalidArgument):
        store.create(name)
    with pytest.raises(InvalidArgument):
        store.read(name, 0, 1)
    with pytest.raises(InvalidArgument):
        store.append_to(name)
    with pytest.raises(InvalidArgument):
        store.length(name)
    with pytest.raises(InvalidArgument):
        store.delete(name)


def test_free_space_is_within_the_total(store: ObjectStore) -> None:
    """It becomes the answer to statfs."""
    free, total = store.free_bytes()

    assert 0 <= free <= total
