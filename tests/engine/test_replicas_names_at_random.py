"""Names in another region after random histories: told in parts, by ways that break, and back."""

from collections.abc import Callable
from contextlib import suppress
from random import Random  # noqa: TID251 - with a seed, repeatable on purpose

import pytest

from s3fs_local.engine.purging import purge
from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.replication_messages import Origin
from s3fs_local.engine.restoring import Restoring, deleted_state
from s3fs_local.errors import DestinationUnreachable, S3fsLocalError
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.instants import SECOND_NS
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, MemoryStore
from tests.engine.replicated import Regions
from tests.engine.test_replicas_names import NO_MARKERS, paths
from tests.replication_rules import rule

STEPS = 60
BREAKS = (None, None, 0, 1, 2, 3, 4, 5, 6, 8, 10, 13)


class Walk:
    """Random changes of names in a source, and tellings of them."""

    def __init__(self, seed: int, regions: Regions, *, purges: bool = True) -> None:
        self._random = Random(seed)  # noqa: S311 - repeatable on purpose
        self._regions = regions
        self._purges = purges
        regions.batch = self._random.choice((1, 3, 64))

    @property
    def _store(self) -> MemoryStore:
        return self._regions.here

    def go(self, steps: int) -> None:
        """So many changes, told now and then, as far as the way holds."""
        doings: list[Callable[[], object]] = [self._write, self._mkdir, self._remove]
        doings += [self._rename] * 3 + [self._exchange] * 2
        doings += [self._link, self._symlink, self._undelete, self._restore]
        doings += [self._purge] * self._purges
        for _ in range(steps):
            self._store.tick()
            with suppress(S3fsLocalError):  # it is not allowed there
                self._random.choice(doings)()
            if self._random.random() < 0.25:
                self._tell()

    def _tell(self) -> None:
        with suppress(DestinationUnreachable):
            self._regions.tell(breaks_after=self._random.choice(BREAKS))
        if self._random.random() < 0.3:
            self._regions.there.crash()
        if self._random.random() < 0.2:
            self._store.flush(durable=True)
            self._store.crash()

    def _path(self) -> str:
        return self._random.choice(paths(self._store) or ["/a"])

    def _new_path(self) -> str:
        directories = [path for path in paths(self._store) if self._store.stat(path).is_directory]
        return f"{self._random.choice(['', *directories])}/{self._random.choice('abcd')}"

    def _write(self) -> None:
        self._store.write(self._new_path(), self._random.randbytes(1))

    def _mkdir(self) -> None:
        self._store.mkdir(self._new_path())

    def _remove(self) -> None:
        self._store.remove(self._path())

    def _rename(self) -> None:
        over = self._path() if self._random.random() < 0.3 else self._new_path()
        self._store.rename(self._path(), over)

    def _exchange(self) -> None:
        self._store.rename(self._path(), self._path(), 2)

    def _link(self) -> None:
        self._store.link(self._path(), self._new_path())

    def _symlink(self) -> None:
        self._store.fs.symlink(*self._store.place(self._new_path()), b"t", ALICE)

    def _undelete(self) -> None:
        place = self._store.place(self._new_path())
        was, at_ns = deleted_state(self._store.fs, *place)
        list(Restoring(self._store.fs, ALICE, at_ns=at_ns).restore(*place, was, place[1]))

    def _restore(self) -> None:
        fs = self._store.fs
        at_ns = fs.volume.now_ns() - self._random.choice((2, 10, 30)) * SECOND_NS
        was = fs.histories.inode_at(ROOT_INO, at_ns)
        if was is not None:
            list(Restoring(fs, ALICE, at_ns=at_ns).restore_root(ROOT_INO, was, b""))

    def _purge(self) -> None:
        items = self._store.fs.histories.of_name(*self._store.place(self._new_path())).items
        versions = [item for item in items if item.version is not None]
        if versions:
            purge(self._store.fs, self._random.choice(versions), caller=ALICE, bypass=None)


def names(store: MemoryStore, store_id: bytes) -> dict[str, Origin]:
    """Every path, and what is there, as any region says it."""
    origins = Origins(store.metadata, store_id)
    return {path: origins.of_inode(store.stat(path).ino) for path in paths(store)}


def check_told(regions: Regions) -> tuple[dict[str, Origin], dict[str, Origin]]:
    """All was told, nothing was refused, and both stores fit together; the names of both."""
    regions.tell()
    assert not regions.pending()
    assert not regions.here.metadata.failed_tasks(1)
    check_invariants(regions.there)
    here, there = (regions.here, regions.ids[0]), (regions.there, regions.ids[1])
    return names(*here), names(*there)


@pytest.mark.parametrize("seed", range(10))
def test_in_the_end_all_names_are_there(seed: int) -> None:
    """In batches of one, of three, and of many."""
    regions = Regions(rule())
    Walk(seed, regions).go(STEPS)
    here, there = check_told(regions)
    assert there == here


@pytest.mark.parametrize("seed", range(10))
def test_what_is_live_is_there_where_removals_are_not_told(seed: int) -> None:
    """And beside it what was removed."""
    regions = Regions(rule(**NO_MARKERS))
    Walk(seed, regions).go(STEPS)
    here, there = check_told(regions)
    assert here.items() <= there.items()


@pytest.mark.parametrize("seed", range(10))
def test_after_a_failover_names_come_back_to_the_old_source(seed: int) -> None:
    """Which takes its own files as its own, whatever became of their names.

    Without purges: a version of its own that the new source knows nothing of is a divergence.
    """
    regions = Regions(rule())
    walk = Walk(seed, regions, purges=False)
    walk.go(STEPS // 2)
    check_told(regions)
    regions.delete_rules()
    regions.exchange()
    regions.here.tick(2)
    regions.put_rules(rule(ID="back"))
    regions.replication.request_all(0)
    walk.go(STEPS // 2)
    here, there = check_told(regions)
    assert there == here
