"""What the filesystem means, as plainly as it can be said: dictionaries, lists and whole contents.

It knows nothing of blocks, journals, intervals or locks, and imports nothing of the filesystem.
Time is a number of seconds and stands still during a call; errors are named, not classes.
"""

import copy
from bisect import bisect_right
from dataclasses import dataclass, field

ROOT = 1
RESERVED = (".versions", ".s3fs")
FILE, DIRECTORY, SYMLINK = "file", "directory", "symlink"


class Refused(Exception):
    """The call fails; the argument is the name of the error's class."""


@dataclass(frozen=True)
class Version:
    """One committed content."""

    time: int
    content: bytes
    mtime_before: int
    origin: object = field(default_factory=object)  # the same for a version and its restorations
    key: object = field(default_factory=object)  # its own, for what may change of it


@dataclass
class Node:
    """A file, directory or symlink, named or not."""

    number: int
    kind: str
    mode: int
    mtime: int
    target: str = ""
    xattrs: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)  # oldest first
    mtime_is_known: bool = True  # a purge may have moved it
    past_mtimes_are_known: bool = (
        True  # likewise; and what is forgotten no longer moves a directory's
    )

    @property
    def content(self) -> bytes:
        """Of the current version."""
        return self.versions[-1].content if self.versions else b""


@dataclass(frozen=True)
class Past:
    """A node as it was at some time; what a file held is asked of its versions."""

    number: int
    kind: str
    mode: int
    mtime: int
    target: str
    xattrs: tuple[tuple[str, bytes], ...]
    entries: tuple[tuple[str, int], ...]


Moment = dict[int, Past]


@dataclass
class Draft:
    """What was written to a file and not committed."""

    number: int
    content: bytes
    mtime: int
    is_cut: bool = False  # some of what was there before was cut off: content is new even if equal
    is_sealed: bool = False  # some of it left the memory early: likewise
    is_written: bool = False  # or the file was only made


@dataclass
class Handle:
    """An open file."""

    node: int
    is_writable: bool
    has_written: bool = False
    provisional: Version | None = None  # what an earlier close of a duplicate committed


@dataclass
class Facts:
    """What a crash keeps, as far as it was flushed."""

    nodes: dict[int, Node]
    last_number: int = ROOT
    times: list[int] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    classes: dict[object, str] = field(default_factory=dict)  # of versions, by their keys

    tags: dict[object, str] = field(default_factory=dict)  # likewise

    def class_of(self, version: Version) -> str:
        """The storage class of the version."""
        return self.classes.get(version.key, "STANDARD")

    def copy(self) -> "Facts":
        """Independent of what happens to this one."""
        nodes = {number: copy.copy(node) for number, node in self.nodes.items()}
        for node in nodes.values():
            node.xattrs = dict(node.xattrs)
            node.entries = dict(node.entries)
            node.versions = list(node.versions)
        times, moments, classes = list(self.times), list(self.moments), dict(self.classes)
        return Facts(nodes, self.last_number, times, moments, classes, dict(self.tags))


Kept = tuple[Facts, dict[int, Draft]]


class Reference:
    """The filesystem. Paths begin with `/`; handles are small numbers."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.facts = Facts({ROOT: Node(ROOT, DIRECTORY, 0o755, now)})
        self.drafts: dict[int, Draft] = {}
        self.handles: dict[int, Handle] = {}
        self.last_handle = 0
        self.note_moment()
        self.journaled: Kept = (self.facts.copy(), {})
        self.durable: Kept = self.journaled
        self._originals: dict[int, Draft] = {}  # the drafts that `journaled` has copies of

    # Looking

    def nodes(self, *kinds: str) -> list[str]:
        """The live paths of these kinds, in order; the root is not among them."""
        found: list[str] = []
        self._walk(ROOT, "", found)
        return sorted(path for path in found if self.at(path).kind in kinds)

    def directories(self) -> list[str]:
        """Every live directory; the root is the empty string."""
        return ["", *self.nodes(DIRECTORY)]

    def _walk(self, number: int, path: str, found: list[str]) -> None:
        for name, child in self.facts.nodes[number].entries.items():
            found.append(f"{path}/{name}")
            self._walk(child, f"{path}/{name}", found)

    def at(self, path: str) -> Node:
        """What the path means."""
        node = self.facts.nodes[ROOT]
        for name in path.split("/")[1:]:
            if name not in node.entries:
                raise Refused("NoSuchName")
            node = self.facts.nodes[node.entries[name]]
        return node

    def _place(self, path: str) -> tuple[Node, str]:
        above, _, name = path.rpartition("/")
        return self.at(above), name

    def shown(self, node: Node) -> tuple[bytes, int]:
        """Content and mtime as stat and read show them now."""
        draft = self.drafts.get(node.number)
        return (draft.content, draft.mtime) if draft else (node.content, node.mtime)

    def links(self, number: int) -> int:
        """How many names the node has."""
        return sum(
            child == number for node in self.facts.nodes.values() for child in node.entries.values()
        )

    def is_named(self, number: int) -> bool:
        """Whether it has a name."""
        return number == ROOT or self.links(number) > 0

    def is_open(self, number: int) -> bool:
        """Whether a handle is open."""
        return any(handle.node == number for handle in self.handles.values())

    def has_writers(self, number: int) -> bool:
        """Whether a handle is open for writing."""
        return any(h.node == number and h.is_writable for h in self.handles.values())

    def note_moment(self) -> None:
        """The present can be looked back at later."""
        facts = self.facts
        moment = {
            node.number: Past(
                node.number,
                node.kind,
                node.mode,
                node.mtime,
                node.target,
                tuple(sorted(node.xattrs.items())),
                tuple(sorted(node.entries.items())),
            )
            for node in facts.nodes.values()
            if self.is_named(node.number)
        }
        if facts.times and facts.times[-1] == self.now:
            facts.moments[-1] = moment
        else:
            facts.times.append(self.now)
            facts.moments.append(moment)

    def moment(self, time: int) -> Moment:
        """What was named at the end of that second."""
        return self.facts.moments[bisect_right(self.facts.times, time) - 1]

    def version_at(self, number: int, time: int) -> Version | None:
        """The newest version of the file by the end of that second that was not purged."""
        node = self.facts.nodes.get(number)
        versions = [] if node is None else node.versions
        return next((v for v in reversed(versions) if v.time <= time), None)

    def children_at(self, moment: Moment, number: int, time: int) -> list[tuple[str, Past]]:
        """What the directory showed then: files that had no content yet are left out."""
        return [
            (name, moment[child])
            for name, child in moment[number].entries
            if moment[child].kind != FILE or self.version_at(child, time) is not None
        ]

    # Names

    def _new_name(self, path: str) -> tuple[Node, str]:
        directory, name = self._place(path)
        self._check_new_name(directory, name)
        if name in directory.entries:
            raise Refused("NameTaken")
        return directory, name

    @staticmethod
    def _check_new_name(directory: Node, name: str) -> None:
        if len(name) > 255:
            raise Refused("NameTooLong")
        if name == RESERVED[0] or (name == RESERVED[1] and directory.number == ROOT):
            raise Refused("NameReserved")

    def _make(self, path: str, kind: str, mode: int, target: str = "") -> Node:
        directory, name = self._new_name(path)
        facts = self.facts
        facts.last_number += 1
        node = Node(facts.last_number, kind, mode, self.now, target)
        facts.nodes[node.number] = node
        directory.entries[name] = node.number
        directory.mtime = self.now
        return node

    def mknod(self, path: str, mode: int) -> None:
        """A new, empty file with a version."""
        node = self._make(path, FILE, mode)
        node.versions.append(Version(self.now, b"", self.now))

    def create(self, path: str, mode: int, *, is_writable: bool = True) -> int:
        """A new file, open; O_CREAT alone makes no writer."""
        node = self._make(path, FILE, mode)
        self.drafts[node.number] = Draft(node.number, b"", self.now)
        return self._add_handle(Handle(node.number, is_writable=is_writable, has_written=True))

    def mkdir(self, path: str, mode: int) -> None:
        """A new directory."""
        self._make(path, DIRECTORY, mode)

    def symlink(self, path: str, target: str) -> None:
        """A new symlink."""
        self._make(path, SYMLINK, 0o777, target)

    def link(self, old: str, new: str) -> None:
        """One more name."""
        node = self.at(old)
        directory, name = self._new_name(new)
        if node.kind == DIRECTORY:
            raise Refused("IsADirectory")
        directory.entries[name] = node.number
        directory.mtime = self.now

    def unlink(self, path: str) -> None:
        """The name is free."""
        directory, name = self._place(path)
        node = self.at(path)
        if node.kind == DIRECTORY:
            raise Refused("IsADirectory")
        self._release(directory, name, node)
        self._journal_facts()

    def rmdir(self, path: str) -> None:
        """The empty directory is gone."""
        directory, name = self._place(path)
        node = self.at(path)
        if node.kind != DIRECTORY:
            raise Refused("NotADirectory")
        if node.entries:
            raise Refused("DirectoryNotEmpty")
        self._release(directory, name, node)

    def _release(self, directory: Node, name: str, node: Node) -> None:
        """A file that loses its last name is committed first, if it holds anything."""
        draft = self.drafts.get(node.number)
        if draft is not None and draft.content and self.links(node.number) == 1:
            self._commit(node)
        del directory.entries[name]
        directory.mtime = self.now
        if not self.is_named(node.number) and not self.is_open(node.number):
            self.drafts.pop(node.number, None)

    def rename(self, old: str, new: str, flags: int) -> None:
        """As renameat2(2): 1 is NOREPLACE, 2 is EXCHANGE."""
        self._rename(old, new, flags)
        self._journal_facts()

    def _rename(self, old: str, new: str, flags: int) -> None:
        directory, new_name = self._place(new)
        self._check_new_name(directory, new_name)
        old_directory, old_name = self._place(old)
        node = self.at(old)
        number = directory.entries.get(new_name)
        if number is not None and flags & 1:
            raise Refused("NameTaken")
        if number == node.number:
            return
        if node.kind == DIRECTORY and f"{new}/".startswith(f"{old}/"):
            raise Refused("MoveIntoSelf")
        if flags & 2:
            self._exchange((old_directory, old_name), (directory, new_name), old, new)
            return
        if number is not None:
            replaced = self.facts.nodes[number]
            if replaced.kind == DIRECTORY and node.kind != DIRECTORY:
                raise Refused("IsADirectory")
            if replaced.kind != DIRECTORY and node.kind == DIRECTORY:
                raise Refused("NotADirectory")
            if replaced.entries:
                raise Refused("DirectoryNotEmpty")
            self._release(directory, new_name, replaced)
        del old_directory.entries[old_name]
        directory.entries[new_name] = node.number
        old_directory.mtime = directory.mtime = self.now

    def _exchange(self, one: tuple[Node, str], other: tuple[Node, str], old: str, new: str) -> None:
        (here, name), (there, other_name) = one, other
        if other_name not in there.entries:
            raise Refused("NoSuchName")
        other_node = self.facts.nodes[there.entries[other_name]]
        if other_node.kind == DIRECTORY and f"{old}/".startswith(f"{new}/"):
            raise Refused("MoveIntoSelf")
        here.entries[name], there.entries[other_name] = (
            there.entries[other_name],
            here.entries[name],
        )
        here.mtime = there.mtime = self.now

    # Attributes

    def chmod(self, path: str, mode: int) -> None:
        """Permission bits."""
        self.at(path).mode = mode

    def utimes(self, path: str, mtime: int) -> None:
        """The mtime, in seconds."""
        node = self.at(path)
        node.mtime = mtime
        if node.number in self.drafts:
            self.drafts[node.number].mtime = mtime

    def setxattr(self, path: str, name: str, value: bytes) -> None:
        """A user attribute."""
        self.at(path).xattrs[name] = value

    def removexattr(self, path: str, name: str) -> None:
        """It is gone."""
        if name not in self.at(path).xattrs:
            raise Refused("NoSuchAttribute")
        del self.at(path).xattrs[name]

    def set_class(self, path: str, wanted: str) -> None:
        """The current version has the storage class; nothing else of it changes."""
        node = self.at(path)
        if not node.versions:
            raise Refused("InvalidArgument")
        self.facts.classes[node.versions[-1].key] = wanted

    def set_tags(self, path: str, tag: str) -> None:
        """What is written so far is a version, and has this tag only; "" is none."""
        node = self.at(path)
        self._commit(node)
        if not node.versions:
            raise Refused("InvalidArgument")
        self.facts.tags[node.versions[-1].key] = tag

    # Files

    def _add_handle(self, handle: Handle) -> int:
        self.last_handle += 1
        self.handles[self.last_handle] = handle
        return self.last_handle

    def open(self, path: str, *, writable: bool, truncate: bool) -> int:
        """A new handle."""
        node = self.at(path)
        if node.kind == DIRECTORY:
            raise Refused("IsADirectory")
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
        draft = self._draft(self.facts.nodes[opened.node])
        content = draft.content.ljust(offset, b"\0")
        draft.content = content[:offset] + data + content[offset + len(data) :]
        opened.has_written = True

    def truncate_handle(self, handle: int, size: int) -> None:
        """ftruncate(2)."""
        opened = self.handles[handle]
        self._resize(self.facts.nodes[opened.node], size)
        opened.has_written = True

    def truncate(self, path: str, size: int) -> None:
        """A version is made, unless somebody else will commit."""
        node = self.at(path)
        if node.kind == DIRECTORY:
            raise Refused("IsADirectory")
        if node.kind != FILE:
            raise Refused("InvalidArgument")
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
        version = Version(self.now, draft.content, before)
        node.versions.append(version)
        return version

    def close_duplicate(self, handle: int) -> None:
        """One of several descriptors is closed."""
        opened = self.handles[handle]
        node = self.facts.nodes[opened.node]
        if not opened.has_written or not self.is_named(node.number):
            return
        current = node.versions[-1] if node.versions else None
        replaced = opened.provisional if opened.provisional is current else None
        version = self._commit(node)
        if version is not None:
            opened.provisional = version
            if replaced is not None:
                node.versions.remove(replaced)
        opened.has_written = False

    def close(self, handle: int) -> None:
        """The last descriptor is closed."""
        self.close_duplicate(handle)
        opened = self.handles.pop(handle)
        node = self.facts.nodes[opened.node]
        if not self.is_named(node.number):
            if not self.is_open(node.number):
                self.drafts.pop(node.number, None)
                self._forget_never_saved(node)
        elif opened.is_writable and not self.has_writers(node.number):
            self._commit(node)

    def _forget_never_saved(self, node: Node) -> None:
        """A temporary file that was removed before it was ever closed leaves nothing behind."""
        if node.versions:
            return
        del self.facts.nodes[node.number]
        for moment in self.facts.moments:
            for past in moment.values():
                if node.number in dict(past.entries).values() and past.number in self.facts.nodes:
                    self.facts.nodes[past.number].past_mtimes_are_known = False

    def checkpoint(self, path: str) -> None:
        """What is written so far is a version."""
        self._commit(self.at(path))

    def purge(self, number: int, position: int) -> None:
        """A version, counted from the oldest, is gone for good."""
        node = self.facts.nodes[number]
        version = node.versions[position]
        if number in self.drafts:
            if not self.is_named(number):
                raise Refused("WriterActive")
            self._commit(node)
        if self.is_named(number) and len(node.versions) == 1:
            raise Refused("InvalidArgument")
        if version is node.versions[-1] and len(node.versions) > 1:
            node.mtime = version.mtime_before
            node.mtime_is_known = node.past_mtimes_are_known = False
        node.versions.remove(version)

    # Keeping

    def note_sealed(self, numbers: set[int]) -> None:
        """Of these drafts some bytes left the memory early."""
        for number in numbers & self.drafts.keys():
            self.drafts[number].is_sealed = True

    def _journal(self, drafts: dict[int, Draft]) -> None:
        self.journaled = (self.facts.copy(), drafts)

    def flush(self) -> None:
        """A killed daemon loses nothing of before."""
        self._journal({number: copy.copy(draft) for number, draft in self.drafts.items()})
        self._originals = dict(self.drafts)

    def settle(self) -> None:
        """Nor does a power cut."""
        self.flush()
        self.durable = self.journaled

    def leave_segment(self) -> None:
        """The journal's past is dropped; nothing else changes."""
        self.settle()

    def _journal_facts(self) -> None:
        """A killed daemon loses no fact; of drafts it keeps what it kept before."""
        self._journal(self._journaled_drafts())

    def _journaled_drafts(self) -> dict[int, Draft]:
        return {
            number: draft
            for number, draft in self.journaled[1].items()
            if number in self.drafts and self._originals.get(number) is self.drafts[number]
        }

    def note_journaled(self, numbers: set[int]) -> None:
        """The store did it by itself: facts are journaled, and these drafts as they are."""
        kept = self._journaled_drafts()
        for number in numbers & self.drafts.keys():
            kept[number] = copy.copy(self.drafts[number])
            self._originals[number] = self.drafts[number]
        self._journal(kept)

    def note_durable(self) -> None:
        """The store did it by itself: what is journaled survives a power cut."""
        self.durable = self.journaled

    def fsync(self, handle: int) -> None:
        """Everything about names, and this file's content, is durable."""
        kept = self._journaled_drafts()
        number = self.handles[handle].node
        if number in self.drafts:
            kept[number] = copy.copy(self.drafts[number])
            self._originals[number] = self.drafts[number]
        self._journal(kept)
        self.durable = self.journaled

    def crash(self, *, power: bool) -> None:
        """The daemon is killed, or the power cut, and the store is opened again."""
        facts, drafts = self.durable if power else self.journaled
        self.facts = facts.copy()
        self.drafts = {number: copy.copy(draft) for number, draft in drafts.items()}
        self.handles.clear()
        for number, draft in list(self.drafts.items()):
            node = self.facts.nodes[number]
            if not draft.is_written and draft.mtime != node.mtime:
                # Set since it was made: which of both lasts depends on what the journal repeated.
                node.mtime_is_known = node.past_mtimes_are_known = False
            if self.is_named(number):
                self._commit(self.facts.nodes[number])
        self.drafts.clear()
        self.settle()

    # Restoring

    def restore(self, path: str, time: int) -> None:
        """The path means what it meant at the end of that second; "" is the root."""
        moment = self.moment(time)
        restorer = _Restorer(self, moment, time)
        if not path:
            restorer.directory(self.facts.nodes[ROOT], moment[ROOT])
            return
        number = ROOT
        *above, last = path.split("/")[1:]
        for name in above:
            number = self._child_then(moment, number, name, time).number
        directory, name = self._place(path)
        restorer.entry(directory, name, self._child_then(moment, number, last, time))

    def look_back(self, time: int) -> list[tuple[object, ...]]:
        """(path, mtime, kind, mode, target, attributes, content) of all; mtime None: any."""
        found: list[tuple[object, ...]] = []
        self._look_back(self.moment(time), ROOT, "", time, found)
        return sorted(found, key=lambda row: str(row[0]))

    def _look_back(
        self, moment: Moment, number: int, path: str, time: int, found: list[tuple[object, ...]]
    ) -> None:
        past = moment[number]
        version = self.version_at(number, time) if past.kind == FILE else None
        content = b"" if version is None else version.content
        mtime = past.mtime if self.facts.nodes[number].past_mtimes_are_known else None
        found.append((path, mtime, past.kind, past.mode & 0o555, past.target, past.xattrs, content))
        if past.kind == DIRECTORY:
            for name, child in self.children_at(moment, number, time):
                self._look_back(moment, child.number, f"{path}/{name}", time, found)

    def _child_then(self, moment: Moment, number: int, name: str, time: int) -> Past:
        if moment[number].kind == DIRECTORY:
            for child_name, child in self.children_at(moment, number, time):
                if child_name == name:
                    return child
        raise Refused("NoSuchName")


class _Restorer:
    """One restore: what came later is removed, what was comes back under its number if free."""

    def __init__(self, reference: Reference, moment: Moment, time: int) -> None:
        self.reference = reference
        self.moment = moment
        self.time = time
        self.links: dict[int, int] = {}

    def entry(self, directory: Node, name: str, was: Past) -> None:
        reference = self.reference
        number = directory.entries.get(name)
        now = None if number is None else reference.facts.nodes[number]
        if now is not None and (now.kind != was.kind or now.target != was.target):
            self.remove(directory, name, now)
            now = None
        if was.kind == FILE:
            self.file(directory, name, was, now)
            return
        if now is None:
            now = self.bring_back(directory, name, was)
        if was.kind == DIRECTORY:
            self.directory(now, was)
        else:
            self.attributes(now, was)

    def directory(self, now: Node, was: Past) -> None:
        reference = self.reference
        wanted = dict(reference.children_at(self.moment, was.number, self.time))
        for name, number in list(now.entries.items()):
            if name not in wanted:
                self.remove(now, name, reference.facts.nodes[number])
        for name, child in wanted.items():
            self.entry(now, name, child)
        self.attributes(now, was)

    def remove(self, directory: Node, name: str, node: Node) -> None:
        for child_name, number in list(node.entries.items()):
            self.remove(node, child_name, self.reference.facts.nodes[number])
        self.reference._release(directory, name, node)  # noqa: SLF001 - the model's own

    def file(self, directory: Node, name: str, was: Past, now: Node | None) -> None:
        reference = self.reference
        linked = self.links.get(was.number)
        if now is not None and now.number != linked and now.number in self.links.values():
            self.remove(directory, name, now)
            now = None
        if linked is not None and now is not None and now.number != linked:
            self.remove(directory, name, now)
            now = None
        if linked is not None and now is None:
            directory.entries[name] = linked
            directory.mtime = reference.now
            return
        if now is None:
            now = self.bring_back(directory, name, was)
        self.links[was.number] = now.number
        version = reference.version_at(was.number, self.time)
        assert version is not None
        is_same = bool(now.versions) and now.versions[-1].origin is version.origin
        if not is_same or now.number in reference.drafts:
            reference._commit(now)  # noqa: SLF001
            restored = Version(reference.now, version.content, now.mtime, version.origin)
            now.versions.append(restored)
            if version.key in reference.facts.tags:
                reference.facts.tags[restored.key] = reference.facts.tags[version.key]
        self.attributes(now, was)

    def bring_back(self, directory: Node, name: str, was: Past) -> Node:
        reference = self.reference
        directory.mtime = reference.now
        node = reference.facts.nodes[was.number]
        if reference.is_named(was.number) or reference.is_open(was.number):
            reference.facts.last_number += 1
            node = Node(reference.facts.last_number, was.kind, was.mode, reference.now, was.target)
            reference.facts.nodes[node.number] = node
        directory.entries[name] = node.number
        return node

    def attributes(self, now: Node, was: Past) -> None:
        now.mode, now.mtime, now.xattrs = was.mode, was.mtime, dict(was.xattrs)
        is_known = self.reference.facts.nodes[was.number].past_mtimes_are_known
        now.mtime_is_known = now.past_mtimes_are_known = is_known
