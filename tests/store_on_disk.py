"""A store on a real disk, opened in this process without a mount, and worked with by paths."""

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from s3fs_local.control.commands import carry_out
from s3fs_local.control.context import Context
from s3fs_local.control.requests import Request, Scrub
from s3fs_local.control.results.store import Status
from s3fs_local.daemon.assembly import OpenStore, open_store
from s3fs_local.daemon.creation import StorePlan, create_store
from s3fs_local.daemon.description import describe
from s3fs_local.daemon.inspectors import register_inspectors
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.rules.inode import ROOT_INO, Caller, Inode
from s3fs_local.workers.zone_keeper import ZoneKeeper

OWNER = Caller(uid=os.getuid(), gid=os.getgid(), pid=os.getpid())


class _NobodyListens:
    """An outlet for commands whose progress is not looked at."""

    async def progress(self, what: str, *, done: int, total: int = 0) -> None:
        """Not looked at."""

    async def data(self, chunk: bytes) -> None:
        """Not looked at."""


class StoreOnDisk:
    """An open store."""

    def __init__(self, store: OpenStore) -> None:
        self.store = store

    @property
    def fs(self) -> FileSystem:
        """The file system."""
        return self.store.filesystem

    @property
    def zones(self) -> ZoneSet:
        """Its zones."""
        return self.store.zones

    @property
    def states(self) -> list[str]:
        """How each zone is doing."""
        return [zone.state.value for zone in self.zones.zones]

    def place(self, path: str) -> tuple[int, bytes]:
        """The directory and name that the path means."""
        *above, name = path.encode().split(b"/")
        ino = ROOT_INO
        for part in above:
            ino = self.fs.lookup(ino, part).ino
        return ino, name

    def stat(self, path: str) -> Inode:
        """The attributes of the path."""
        return self.fs.lookup(*self.place(path))

    def write(self, path: str, content: bytes) -> None:
        """The file is new, or has this content now, as after `> path`."""
        parent, name = self.place(path)
        flags = os.O_WRONLY | os.O_TRUNC
        if self.fs.volume.metadata.lookup(parent, name) is None:
            handle = self.fs.create(parent, name, 0o100644, flags, OWNER)[0].handle
        else:
            handle = self.fs.open(self.stat(path).ino, flags, OWNER).handle
        try:
            if content:
                self.fs.write(handle, 0, content)
            self.fs.flush(handle)
        finally:
            self.fs.release(handle)

    async def read(self, path: str) -> bytes:
        """The whole content."""
        handle = self.fs.open(self.stat(path).ino, os.O_RDONLY, OWNER).handle
        try:
            return await self.fs.read(handle, 0, 1 << 30)
        finally:
            self.fs.release(handle)

    async def sync(self) -> None:
        """Whatever was written is durable."""
        await self.fs.volume.durability.flush(durable=True)

    async def wait_for_zones(self) -> None:
        """Every zone that is well has all that was told to it: a quorum acknowledges before."""
        await trio.to_thread.run_sync(self.zones.members.wait_for_lanes)

    async def sync_everywhere(self) -> None:
        """Whatever was written is durable, in every zone that is well."""
        await self.sync()
        await self.wait_for_zones()

    async def ask(self, request: Request) -> Any:  # noqa: ANN401  as it goes over the socket
        """What comes of a command."""
        context = Context(
            filesystem=self.fs,
            caller=OWNER,
            outlet=_NobodyListens(),
            describe=lambda: describe(self.store),
            zoning=self.store.zoning,
            following=self.store.following,
        )
        return await carry_out(request, context)

    async def ask_scrub(self) -> Any:  # noqa: ANN401  as above
        """What a scrub of everything says."""
        return await self.ask(Scrub())

    def status(self) -> Status:
        """As `s3fs-local status` shows it."""
        return describe(self.store)

    async def look_after_zones(self) -> None:
        """What the daemon does every second."""
        await self.store.zoning.care.look()

    def keeper(self) -> ZoneKeeper:
        """The daemon's task for zones."""
        zoning = self.store.zoning
        volume = self.fs.volume
        keeping = self.fs.pack_keeping
        return ZoneKeeper(volume, volume.durability.packs, zoning.care, zoning.scrubbing, keeping)


def make_store(path: Path, zones: Sequence[Path | str], *, object_lock: bool = False) -> None:
    """A new store with these zones; a key file and a recovery key lie beside it."""
    plan = StorePlan(
        owner=OWNER,
        zones=tuple(map(str, zones)),
        object_lock=object_lock,
        recovery_key=path.with_name("recovery.key"),
    )
    create_store(path, plan)


def make_store_of_zones(place: Path, number: int = 3, *, object_lock: bool = False) -> list[Path]:
    """A new store, `place / "store"`, with so many zones beside it: these."""
    zones = [place / f"zone-{index}" for index in range(number)]
    make_store(place / "store", zones, object_lock=object_lock)
    return zones


@asynccontextmanager
async def opened(path: Path, unlocking: Unlocking | None = None) -> AsyncIterator[StoreOnDisk]:
    """The store, closed cleanly at the end."""
    async with open_store(path, unlocking or Unlocking()) as store:
        register_inspectors(store, mount_point=None)
        yield StoreOnDisk(store)


def facts_of(disk: StoreOnDisk) -> Iterator[object]:
    """Everything that is known of the store; after a commit."""
    return iter(disk.store.metadata.facts())


async def wait_until_well(disk: StoreOnDisk, seconds: float = 60) -> None:
    """All zones are well; they are looked after meanwhile."""
    with trio.fail_after(seconds):
        while set(disk.states) != {"well"}:
            await disk.look_after_zones()
            await trio.sleep(0.01)
