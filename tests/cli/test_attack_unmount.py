"""What a store cannot make durable the usual way when it is closed is not lost by that."""

import os
from pathlib import Path

import trio

from s3fs_local.daemon.assembly import open_store
from s3fs_local.daemon.creation import StorePlan, create_store
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.rules.inode import ROOT_INO, Caller

ALICE = Caller(uid=os.getuid(), gid=os.getgid())


def test_a_bug_before_the_unmount_costs_nothing_that_was_written_before(tmp_path: Path) -> None:
    """The store went read-only, so the open file gets no version; the next mount makes it."""
    path = tmp_path / "store"
    create_store(path, StorePlan(owner=ALICE))

    async def write_and_leave() -> None:
        async with open_store(path, Unlocking()) as store:
            fs = store.filesystem
            fs.mkdir(ROOT_INO, b"closed", 0o040755, ALICE)
            opened, _ = fs.create(ROOT_INO, b"open", 0o100644, os.O_RDWR, ALICE)
            fs.write(opened.handle, 0, b"unclosed")
            fs.volume.read_only_reason = "a bug was met"

    async def look() -> tuple[int, bytes | None]:
        async with open_store(path, Unlocking()) as store:
            fs = store.filesystem
            assert fs.lookup(ROOT_INO, b"closed").is_directory
            inode = fs.lookup(ROOT_INO, b"open")
            return store.recovered_files, fs.read_current(inode.ino, 0, 100)

    trio.run(write_and_leave)
    assert trio.run(look) == (1, b"unclosed")
