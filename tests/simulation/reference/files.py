"""Contents: what is written is a draft until it is committed, and then a version for ever."""

from dataclasses import replace

from tests.simulation.reference.facts import (
    DIRECTORY,
    FILE,
    ROOT,
    Draft,
    Handle,
    Holding,
    Node,
    Version,
)
from tests.simulation.reference.keeping import Keeping
from tests.simulation.reference.locks import (
    CHMOD,
    CLOSE,
    NO_LOCK,
    OPEN,
    QUIET,
    SEALED,
    Bypass,
    Demand,
    Lock,
    check_purge,
    demanded,
)
from tests.simulation.reference.refused import Protected, Refused


class Files(Keeping):
    """Opening, writing, closing; versions, and purging them."""

    def _add_handle(self, handle: Handle) -> int:
        self.last_handle += 1
        self.handles[self.last_handle] = handle
        return self.last_handle

    def open(self, path: str, *, writable: bool, truncate: bool) -> int:
        """A new handle."""
        node = self.at(path)
        if node.kind == DIRECTORY:
            raise Refused("IsADirectory")
        if truncate or (writable and node.append_only != OPEN):
            self._check_free(node)
        if not truncate:
            self._check_readable(node)
        if truncate:
            self._resize(node, 0)
        return self._add_handle(Handle(node.number, writable, has_written=truncate))

    def _draft(self, node: Node) -> Draft:
        if node.number not in self.drafts:
            self.drafts[node.number] = Draft(node.number, node.content, self.now)
        draft = self.drafts[node.number]
        draft.mtime = self.now
        draft.is_written = True
        return draft

    def _resize(self, node: Node, size: int) -> None:
        draft = self._draft(node)
        draft.is_cut = draft.is_cut or size < len(node.content)
        draft.content = draft.content[:size].ljust(size, b"\0")

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """Bytes of the file from `offset`."""
        opened = self.handles[handle]
        if not opened.is_writable:
            raise Refused("BadHandle")
        node = self.facts.nodes[opened.node]
        if node.append_only:
            offset, data = self._appended(node, offset, data)
            if not data:
                return
        else:
            self._check_free(node)
        draft = self._draft(node)
        content = draft.content.ljust(offset, b"\0")
        draft.content = content[:offset] + data + content[offset + len(data) :]
        opened.has_written = True

    def _appended(self, node: Node, offset: int, data: bytes) -> tuple[int, bytes]:
        """What the write adds at the end; bytes that are there already may be written again."""
        content, _ = self.shown(node)
        there = content[offset : offset + len(data)]
        if not data.startswith(there):
            raise Protected
        return offset + len(there), data[len(there) :]

    def truncate_handle(self, handle: int, size: int) -> None:
        """ftruncate(2)."""
        opened = self.handles[handle]
        node = self.facts.nodes[opened.node]
        self._check_free(node)
        self._resize(node, size)
        opened.has_written = True

    def truncate(self, path: str, size: int) -> None:
        """A version is made, unless somebody else will commit."""
        node = self.at(path)
        if node.kind == DIRECTORY:
            raise Refused("IsADirectory")
        if node.kind != FILE:
            raise Refused("InvalidArgument")
        if size:
            self._check_readable(node)
        self._check_free(node)
        self._resize(node, size)
        if not self.has_writers(node.number):
            self._commit(node)

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """What a reader gets: drafts included."""
        content, _ = self.shown(self.facts.nodes[self.handles[handle].node])
        return content[offset : offset + size]

    def _commit(self, node: Node) -> Version | None:
        draft = self.drafts.pop(node.number, None)
        if draft is None:
            return None
        before, node.mtime = node.mtime, draft.mtime
        is_new = draft.is_cut or draft.is_sealed or not node.versions
        if not is_new and draft.content == node.content:
            return None
        return self._add_version(node, Version(self.now, draft.content, before, self.instant()))

    def _add_version(self, node: Node, version: Version) -> Version:
        """It is the current one. What locks an append-only file locks it as it grows, too.

        What its directories ask falls on it, unless somebody writes yet: then when the last of them
        has closed it. Nothing falls on an empty file.
        """
        lock = self.lock_of(node) if node.append_only else NO_LOCK
        asked = self._asked_of(node)
        if asked.mode:
            lock = self._inherited(node, version, lock, asked)
        self._put_lock_on(version, lock)
        if self.facts.is_suspended:
            version = replace(version, is_null=True)
        node.versions.append(version)
        if version.is_null:
            self._replace_nulls(node, version)
        return version

    def _inherited(self, node: Node, version: Version, lock: Lock, asked: Demand) -> Lock:
        """What falls on a new version at once; what falls later is noted."""
        is_quiet = asked.commit == QUIET
        if asked.commit == CHMOD or (is_quiet and not version.content):
            return lock
        if self.has_writers(node.number):
            self._wait_until_closed(node)
        elif is_quiet:
            self._wait_for_quiet(node, asked)
        elif version.content:
            return demanded(lock, asked, version.time)
        return lock

    def _wait_until_closed(self, node: Node) -> None:
        self.facts.quiet.pop(node.number, None)
        self.facts.waiting.add(node.number)

    def _wait_for_quiet(self, node: Node, asked: Demand) -> None:
        self.facts.quiet[node.number] = self.now + asked.quiet

    # While versioning is suspended: one version "null" for each name, and the newest.

    def _replace_nulls(self, node: Node, version: Version) -> None:
        for old in [each for each in node.versions if each.is_null and each is not version]:
            self._drop(node, old)
        for directory in list(self.facts.nodes.values()):
            for name, number in directory.entries.items():
                if number == node.number:
                    self._drop_older_nulls(directory, name)

    def _drop_older_nulls(self, directory: Node, name: str) -> None:
        """All but the newest; of files only where nobody reaches them, and this was the last name.

        A delete marker may be null as well.
        """
        if not self.facts.is_suspended:
            return
        place = (directory.number, name)
        held = self.facts.holdings.get(place, ())
        items = sorted(
            (item for holding in held for item in self._nulls_in(holding)),
            key=lambda item: item[0],
            reverse=True,
        )
        shown = {version.key: (node, version) for _, node, version in items[::-1] if version}
        markers = [since for since, _, version in items if version is None]
        newest = items[0] if items else None
        for node, version in shown.values():
            is_last = (node.last_parent, node.last_name) == place
            is_in_use = self.is_named(node.number) or self.is_open(node.number)
            if newest is not None and version is not newest[2] and is_last and not is_in_use:
                self._drop(node, version)
        if newest is not None and newest[2] is None:
            markers.remove(newest[0])
        self.facts.holdings[place] = tuple(
            each for each in held if each.number or each.since not in markers
        )

    def _nulls_in(self, holding: Holding) -> list[tuple[int, Node, Version | None]]:
        """Since when the name has shown what is null of it, if it does."""
        node = self.facts.nodes.get(holding.number)
        if not holding.number:
            return [(holding.since, self.facts.nodes[ROOT], None)] if holding.is_null else []
        found = [] if node is None else self._shown_in(node, holding)
        return [
            (max(each.instant, holding.since), node, each)
            for each in found
            if each.is_null and node is not None
        ]

    @staticmethod
    def _shown_in(node: Node, holding: Holding) -> list[Version]:
        """The versions that were current while the name meant the file."""
        later = [*[each.instant for each in node.versions[1:]], 1 << 70][: len(node.versions)]
        return [
            each
            for each, next_instant in zip(node.versions, later, strict=True)
            if next_instant > holding.since and (not holding.until or each.instant < holding.until)
        ]

    def _destroy_nulls(self, node: Node) -> None:
        """It has no name, and nobody has it open: what is left is what versioning keeps."""
        self.facts.closing.discard(node.number)
        if not self.facts.is_suspended:
            return
        for old in [each for each in node.versions if each.is_null]:
            self._drop(node, old)
        self._forget_never_saved(node)

    def _lock_if_closed(self, node: Node) -> None:
        """Nobody writes to it: the lock that waited for that falls."""
        if self.has_writers(node.number) or node.number not in self.facts.waiting:
            return
        self.facts.waiting.discard(node.number)
        if not self.is_named(node.number):
            return
        asked = self._asked_of(node)
        if node.append_only == SEALED:  # its directory's time takes the place of append-only
            if asked.mode:
                node.append_only = ""
                self._put_lock_on(node.versions[-1], demanded(self.lock_of(node), asked, self.now))
        elif asked.mode and asked.commit == QUIET:
            self._wait_for_quiet(node, asked)
        elif node.content and asked.commit == CLOSE:
            version = node.versions[-1]
            self._put_lock_on(version, demanded(self.lock_of(node), asked, version.time))

    def lock_quiet(self) -> None:
        """Files that nobody wrote to for long enough take the lock that waited for that."""
        for number in [each for each, due in self.facts.quiet.items() if due <= self.now]:
            del self.facts.quiet[number]
            node = self.facts.nodes.get(number)
            if node is None or not self.is_named(number):
                continue
            asked = self._asked_of(node)
            if self.has_writers(number):
                self._wait_until_closed(node)
            elif node.content and asked.mode and asked.commit != CHMOD:
                lock = demanded(self.lock_of(node), asked, self.now)
                self._put_lock_on(node.versions[-1], lock)

    def _put_lock_on(self, version: Version, lock: Lock) -> None:
        self.facts.locks.pop(version.key, None)
        if lock != NO_LOCK:
            self.facts.locks[version.key] = lock

    def close_duplicate(self, handle: int) -> None:
        """One of several descriptors is closed."""
        opened = self.handles[handle]
        node = self.facts.nodes[opened.node]
        if not opened.has_written or not self.is_named(node.number):
            return
        current = node.versions[-1] if node.versions else None
        replaced = opened.provisional if opened.provisional is current else None
        if replaced is not None and replaced.key in self.facts.locks:
            replaced = None
        version = self._commit(node)
        if version is not None:
            opened.provisional = version
            if replaced in node.versions:
                self._drop(node, replaced)
        opened.has_written = False

    def close(self, handle: int) -> None:
        """The last descriptor is closed."""
        self.close_duplicate(handle)
        opened = self.handles.pop(handle)
        node = self.facts.nodes[opened.node]
        if not self.is_named(node.number):
            if not self.is_open(node.number):
                self.drafts.pop(node.number, None)
                self._destroy_nulls(node)
            if node.number in self.facts.nodes and not self.is_open(node.number):
                if node.number not in self.purged or self.facts.is_suspended:
                    self._forget_never_saved(node)
                self.purged.discard(node.number)
        elif opened.is_writable and not self.has_writers(node.number):
            self._commit(node)
        if node.number in self.facts.nodes and node.number not in self.drafts:
            self._lock_if_closed(node)

    def _forget_never_saved(self, node: Node) -> None:
        """A temporary file that was removed before it was ever closed leaves nothing behind."""
        if node.versions:
            return
        for key, held in self.facts.holdings.items():
            self.facts.holdings[key] = _without(held, node.number)
        self._forget(node)

    def _forget(self, node: Node) -> None:
        facts = self.facts
        del facts.nodes[node.number]
        for name, holdings in facts.holdings.items():
            facts.holdings[name] = tuple(each for each in holdings if each.number != node.number)
        for moment in self.facts.moments:
            for past in moment.values():
                if node.number in dict(past.entries).values() and past.number in self.facts.nodes:
                    self.facts.nodes[past.number].past_mtimes_are_known = False

    def checkpoint(self, path: str) -> None:
        """What is written so far is a version."""
        self._commit(self.at(path))

    def purge(self, number: int, position: int, bypass: Bypass | None) -> None:
        """A version, counted from the oldest, is gone for good."""
        node = self.facts.nodes[number]
        version = node.versions[position]
        if node.append_only and version is node.versions[-1]:
            raise Protected
        check_purge(self.facts.lock_of(version), self.lock_clock.shown, bypass)
        if number in self.drafts:
            if not self.is_named(number):
                raise Refused("WriterActive")
            self._commit(node)
            if version not in node.versions:
                return  # it was the null version
        if self.is_named(number) and len(node.versions) == 1:
            raise Refused("InvalidArgument")
        if version is node.versions[-1] and len(node.versions) > 1:
            node.mtime = version.mtime_before
            node.mtime_is_known = node.past_mtimes_are_known = False
        self._drop(node, version)
        if not self.is_named(number) and not node.versions and self.is_open(number):
            self.purged.add(number)  # it was saved, and another region may have it

    def _drop(self, node: Node, version: Version) -> None:
        if version is node.versions[-1]:
            node.past_mtimes_are_known = False
        node.versions.remove(version)
        self.removed.setdefault(node.number, set()).add(version.content)


def _without(held: tuple[Holding, ...], number: int) -> tuple[Holding, ...]:
    """The file was never there, nor the marker over it; one that it hid lies on top again.

    A null marker stays: it took the place of what was null before.
    """
    kept: list[Holding] = []
    for each in held:
        last = kept[-1] if kept else None
        if each.number == 0 and not each.is_null and last is not None and last.number == number:
            is_over_it = last.until == each.since and not each.until
            if is_over_it:
                kept.pop()
                if kept and kept[-1].number == 0 and kept[-1].until == last.since:
                    kept[-1] = replace(kept[-1], until=0)
                continue
        kept.append(each)
    return tuple(each for each in kept if each.number != number)
