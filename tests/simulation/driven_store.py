"""The filesystem itself, driven by the same calls as its reference."""

import os

import trio
from msgspec import structs

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.purging import purge
from s3fs_local.engine.restoring import Restoring, Step
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.history import HistoryItem
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, ROOT_INO, Inode
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.namespace import Entry
from s3fs_local.rules.versioning import Origin
from tests.engine.memory_store import ALICE, START_NS, MemoryStore
from tests.engine.verified import check_verified

START_S = START_NS // SECOND_NS
DRAFT_MEMORY_BYTES = 9000  # so that drafts are sealed early often


class NothingToCheckpoint:
    """The metadata engine in memory keeps its commits by itself."""

    wal_bytes = 0

    def checkpoint(self) -> None:
        """It is durable already."""


class DrivenStore:
    """See `operations.System`. Knows by which inode number each of the reference's numbers goes."""

    def __init__(self) -> None:
        self.failing = FailingObjects(MemoryObjects())
        self.store = MemoryStore(zone=self.failing)
        self._limit_memory()
        self.inos: dict[int, int] = {ROOT_INO: ROOT_INO}
        self.handles: dict[int, int] = {}
        self.last_handle = 0
        self.settle()

    def _limit_memory(self) -> None:
        volume = self.store.fs.volume
        volume.settings = structs.replace(volume.settings, draft_memory_bytes=DRAFT_MEMORY_BYTES)

    def sealed_early(self) -> set[int]:
        """The inodes whose drafts have cells in packs."""
        return {ino for ino, draft in self.store.fs.volume.drafts.items() if draft.sealed}

    def _place(self, path: str) -> tuple[int, bytes]:
        return self.store.place(path)

    def ino(self, path: str) -> int:
        """The inode number of a path; "" is the root."""
        return self.store.stat(path or "/").ino

    def _add_handle(self, number: int) -> int:
        self.last_handle += 1
        self.handles[self.last_handle] = number
        return self.last_handle

    def create(self, path: str, mode: int) -> int:
        """See `Reference.create`."""
        opened, _ = self.store.fs.create(*self._place(path), 0o100000 | mode, os.O_RDWR, ALICE)
        return self._add_handle(opened.handle)

    def mknod(self, path: str, mode: int) -> None:
        """See `Reference.mknod`."""
        self.store.fs.mknod(*self._place(path), 0o100000 | mode, 0, ALICE)

    def mkdir(self, path: str, mode: int) -> None:
        """See `Reference.mkdir`."""
        self.store.fs.mkdir(*self._place(path), 0o040000 | mode, ALICE)

    def symlink(self, path: str, target: str) -> None:
        """See `Reference.symlink`."""
        self.store.fs.symlink(*self._place(path), target.encode(), ALICE)

    def link(self, old: str, new: str) -> None:
        """See `Reference.link`."""
        self.store.fs.link(self.ino(old), *self._place(new), ALICE)

    def unlink(self, path: str) -> None:
        """See `Reference.unlink`."""
        self.store.fs.unlink(*self._place(path), ALICE)

    def rmdir(self, path: str) -> None:
        """See `Reference.rmdir`."""
        self.store.fs.rmdir(*self._place(path), ALICE)

    def rename(self, old: str, new: str, flags: int) -> None:
        """See `Reference.rename`."""
        self.store.fs.rename(*self._place(old), *self._place(new), flags, ALICE)

    def open(self, path: str, *, writable: bool, truncate: bool) -> int:
        """See `Reference.open`."""
        flags = (os.O_RDWR if writable else os.O_RDONLY) | (os.O_TRUNC if truncate else 0)
        return self._add_handle(self.store.fs.open(self.ino(path), flags, ALICE).handle)

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """See `Reference.write`."""
        self.store.fs.write(self.handles[handle], offset, data)

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """See `Reference.read`."""
        content = self.store.fs.read_nowait(self.handles[handle], offset, size)
        assert content is not None
        return content

    def truncate_handle(self, handle: int, size: int) -> None:
        """See `Reference.truncate_handle`."""
        number = self.handles[handle]
        ino = self.store.fs.open_files.get(number).ino
        self.store.fs.setattr(ino, AttributeChange(size=size), number, ALICE)

    def truncate(self, path: str, size: int) -> None:
        """See `Reference.truncate`."""
        self.store.fs.setattr(self.ino(path), AttributeChange(size=size), None, ALICE)

    def close_duplicate(self, handle: int) -> None:
        """See `Reference.close_duplicate`."""
        self.store.fs.flush(self.handles[handle])

    def close(self, handle: int) -> None:
        """See `Reference.close`."""
        number = self.handles.pop(handle)
        self.store.fs.flush(number)
        self.store.fs.release(number)

    def chmod(self, path: str, mode: int) -> None:
        """See `Reference.chmod`."""
        self.store.fs.setattr(self.ino(path), AttributeChange(mode=mode), None, ALICE)

    def utimes(self, path: str, mtime: int) -> None:
        """See `Reference.utimes`."""
        change = AttributeChange(mtime_ns=mtime * SECOND_NS)
        self.store.fs.setattr(self.ino(path), change, None, ALICE)

    def setxattr(self, path: str, name: str, value: bytes) -> None:
        """See `Reference.setxattr`."""
        self.store.fs.setxattr(self.ino(path), name.encode(), value, ALICE)

    def removexattr(self, path: str, name: str) -> None:
        """See `Reference.removexattr`."""
        self.store.fs.removexattr(self.ino(path), name.encode(), ALICE)

    def fsync(self, handle: int) -> None:
        """See `Reference.fsync`."""
        fs = self.store.fs
        if not fs.fsync_nowait(self.handles[handle]):
            trio.run(fs.fsync, self.handles[handle], False)  # noqa: FBT003 - as fsync(2)

    def flush(self) -> None:
        """See `Reference.flush`."""
        self.store.flush()

    def settle(self) -> None:
        """See `Reference.settle`."""
        self.store.settle()

    def leave_segment(self) -> None:
        """See `Reference.leave_segment`."""
        durability = self.store.fs.volume.durability
        trio.run(durability.leave_segment_behind, NothingToCheckpoint())

    def checkpoint(self, path: str) -> None:
        """See `Reference.checkpoint`."""
        self.store.fs.writing.commit(self.ino(path), origin=Origin.CHECKPOINT)

    def purge(self, number: int, position: int) -> None:
        """See `Reference.purge`."""
        ino = self.inos[number]
        version = self.store.fs.volume.metadata.versions(ino)[::-1][position]
        through = Entry(ROOT_INO, b"", 0, ino)
        item = HistoryItem(entry=through, version=version, since_ns=0)
        purge(self.store.fs, item, caller=ALICE, bypass=None)

    def restore(self, path: str, time: int) -> None:
        """See `Reference.restore`; a dry run before it must tell the same steps."""
        at_ns = end_of(time)
        told = self._restoring(path, at_ns, dry_run=True)
        done = self._restoring(path, at_ns, dry_run=False)
        assert told == done

    def _restoring(self, path: str, at_ns: int, *, dry_run: bool) -> list[Step]:
        walk = Restoring(self.store.fs, ALICE, at_ns=at_ns, dry_run=dry_run)
        if not path:
            was = self.store.fs.histories.inode_at(ROOT_INO, at_ns)
            assert was is not None
            return list(walk.restore_root(ROOT_INO, was, b""))
        *above, last = path.split("/")[1:]
        number = ROOT_INO
        for name in above:
            number = self.store.fs.histories.child_at(number, name.encode(), at_ns).ino
        was = self.store.fs.histories.child_at(number, last.encode(), at_ns)
        return list(walk.restore(*self._place(path), was, path.encode()))

    def look_back(self, time: int) -> list[tuple[object, ...]]:
        """See `Reference.look_back`; through `.versions/@…` of the root, as a person would."""
        versions = self.store.fs.lookup(ROOT_INO, b".versions")
        name = b"@%d.5" % time
        root = self.store.fs.lookup(versions.ino, name)
        found: list[tuple[object, ...]] = []
        self._look_back(root, "", found)
        self.store.fs.forget(root.ino, 1)
        self.store.fs.forget(versions.ino, 1)
        assert not len(self.store.fs.views), "nodes of views are kept for ever"
        return sorted(found, key=lambda row: str(row[0]))

    def _look_back(self, inode: Inode, path: str, found: list[tuple[object, ...]]) -> None:
        fs = self.store.fs
        kind = "directory" if inode.is_directory else "symlink" if inode.is_symlink else "file"
        content = self.store.read_ino(inode.ino) if inode.is_file else b""
        target = fs.readlink(inode.ino).decode() if inode.is_symlink else ""
        mode = inode.mode & 0o555
        mtime = inode.mtime_ns // SECOND_NS
        xattrs = tuple(sorted((k.decode(), v) for k, v in inode.xattrs.items()))
        found.append((path, mtime, kind, mode, target, xattrs, content))
        if not inode.is_directory:
            return
        handle = fs.opendir(inode.ino, ALICE)
        entries = list(fs.readdir(handle, 0))
        fs.releasedir(handle)
        for name, child, _ in entries:
            assert child.ino >= FIRST_VIRTUAL_INO
            self._look_back(child, f"{path}/{name.decode()}", found)
            fs.forget(child.ino, 1)

    def crash(self, *, power: bool) -> None:
        """See `Reference.crash`."""
        if power:
            self.failing.power_cut()
        self.handles.clear()
        self.store.crash()
        self._limit_memory()
        self.settle()
        check_verified(self.store)


def end_of(time: int) -> int:
    """An instant after everything that happened in that second."""
    return time * SECOND_NS + SECOND_NS // 2
