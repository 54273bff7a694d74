"""Which files are frozen by their locks, and the calls that lock them."""

from dataclasses import replace

from tests.simulation.reference import locks
from tests.simulation.reference.facts import DIRECTORY, FILE, Node
from tests.simulation.reference.files import Files
from tests.simulation.reference.locks import Bypass, Demand, Lock
from tests.simulation.reference.refused import Refused

WRITABLE = 0o222


class Freezing(Files):
    """Retention, legal holds, append-only, and what a directory says of them."""

    def set_retention(
        self, path: str, mode: str, until: int, bypass: Bypass | None, *, cut_writers: bool
    ) -> None:
        """Of the current version; what was written before is in it."""
        node = self._lockable(path)
        now_ns = self.lock_clock.shown
        lock = self.lock_of(node)
        locks.retained(lock, mode, until, now_ns, bypass)
        self._end_writing(node, cut_writers=cut_writers or locks.is_protected(lock, now_ns))
        wanted = locks.retained(self.lock_of(node), mode, until, now_ns, bypass)
        self._put_lock(node, wanted)

    def clear_retention(self, path: str, bypass: Bypass | None) -> None:
        """Of the current version."""
        node = self._lockable(path)
        cleared = locks.cleared(self.lock_of(node), self.lock_clock.shown, bypass)
        self._put_lock(node, cleared)

    def hold(self, path: str, case: str, who: int, *, cut_writers: bool) -> None:
        """A legal hold on the current version; what was written before is in it."""
        node = self.at(path)
        self._end_writing(node, cut_writers=cut_writers)
        self._lockable(path)
        self._put_lock(node, locks.held(self.lock_of(node), case, who))

    def lift_hold(self, path: str, case: str, who: int) -> None:
        """It is gone."""
        node = self._lockable(path)
        self._put_lock(node, locks.lifted(self.lock_of(node), case, who))

    def _lockable(self, path: str) -> Node:
        node = self.at(path)
        if node.kind != FILE:
            raise Refused("IsADirectory")
        return node

    def _end_writing(self, node: Node, *, cut_writers: bool) -> None:
        """A program that writes is not surprised, unless that is asked for."""
        if not (cut_writers or node.append_only) and self.has_writers(node.number):
            raise Refused("WriterActive")
        self._commit(node)

    def _put_lock(self, node: Node, lock: Lock) -> None:
        if not node.versions:
            raise Refused("InvalidArgument")
        self._put_lock_on(node.versions[-1], lock)

    def set_append_only(self, path: str) -> None:
        """It takes bytes at its end and nothing else, for ever."""
        node = self.at(path)
        self._commit(node)
        self._lockable(path)
        if node.append_only != locks.OPEN:
            self._check_free(node)
            node.append_only = locks.OPEN

    def lock_by_habit(self, node: Node, mode: int) -> bool:
        """The last write permission is taken from a file that this locks; False: it does not.

        Until the access time that somebody gave it, if that is ahead.
        """
        asked = self._asked_of(node)
        content, _ = self.shown(node)
        loses_permission = bool(node.mode & WRITABLE) and not mode & WRITABLE
        if not (loses_permission and content and node.kind == FILE and asked.mode):
            return False
        if asked.commit != locks.CHMOD or node.append_only or self.is_locked(node):
            return False
        self._end_writing(node, cut_writers=False)
        node.mode = mode
        node.atime = node.atime if node.atime > self.now else self.now + asked.period
        self._put_lock(node, Lock(asked.mode, node.atime))
        return True

    def touch(self, path: str, atime: float) -> None:
        """The access time. A later one than its lock's extends the lock of a file by habit."""
        node = self.at(path)
        asked, lock = self._asked_of(node), self.lock_of(node)
        by_habit = bool(asked.mode) and asked.commit == locks.CHMOD
        if by_habit and locks.is_retained(lock, self.lock_clock.shown) and atime > lock.until:
            self._put_lock(node, replace(lock, until=atime))
        elif node.atime != atime:
            self._check_attributes_free(node)
        node.atime = atime

    def protect(self, path: str, semantics: str, demand: Demand) -> None:
        """What locks of files below it mean, and how they get one. Never weaker than before."""
        node = self.at(path)
        if node.kind != DIRECTORY:
            raise Refused("NotADirectory")
        is_s3 = semantics == locks.S3
        if is_s3 and self._said(node) == locks.FILE_FROZEN:
            raise Refused("InvalidArgument")
        held = self._asked_in(node)
        demand = locks.completed(demand, node.demand, held)
        if locks.is_weaker(demand, held):
            raise Refused("InvalidArgument")
        if is_s3 and self._meaning(node) == locks.FILE_FROZEN:
            self._check_may_move(node)
        node.semantics, node.demand = semantics, demand
