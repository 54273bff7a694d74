"""Views: the read-only trees below `.versions` and `.s3fs`, made up as they are looked at.

A node is a value that says what it shows; its inode number is a hash of that value, so it is the
same whenever the same thing is shown, and distinct from every real one. A node is remembered while
the kernel knows its number.
"""

import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Final

import msgspec
from blake3 import blake3
from msgspec import Struct

from s3fs_local.engine.histories import Histories
from s3fs_local.engine.open_files import Handle, OpenedFile
from s3fs_local.engine.volume import Volume
from s3fs_local.engine.ways import Ways
from s3fs_local.engine.yielding import gathered
from s3fs_local.errors import (
    IsADirectory,
    NoSuchName,
    NotADirectory,
    ReadOnlyView,
    StaleInode,
)
from s3fs_local.rules.access import (
    LIST_AND_SEARCH,
    SEARCH,
    access_of,
    both,
    each,
    with_access,
)
from s3fs_local.rules.history import Event, format_event
from s3fs_local.rules.identifiers import short_id
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, ROOT_INO, Caller, Inode
from s3fs_local.rules.instants import SECOND_NS, format_file_time, format_samba, parse_view_instant
from s3fs_local.rules.names import (
    AtInstant,
    OfName,
    Snapshots,
    escape,
    parse_below_versions,
    parse_version_file_name,
    printed,
    version_file_name,
)
from s3fs_local.rules.namespace import OPEN_NS, Entry
from s3fs_local.rules.posix_acl import ACCESS_XATTR
from s3fs_local.rules.snapshots import offered_seconds
from s3fs_local.rules.versioning import Version

_WRITE_BITS: Final = 0o222
LINKS: Final = (b"latest", b"previous")
SIZED_LOG_EVENTS_MAX: Final = 1000
"""The log of a longer history is not made only to say how long it is."""
_READ: Final = 0o4
_GROUP_READS: Final = 0o050
_HASH_MASK: Final = FIRST_VIRTUAL_INO - 1


class VersionsFolder(Struct, frozen=True, tag=True):
    """`DIR/.versions`."""

    directory: int


class SnapshotsFolder(Struct, frozen=True, tag=True):
    """`DIR/.versions/@snapshots`: a list of `@GMT-…` for programs that must have one (Samba)."""

    directory: int


class NameFolder(Struct, frozen=True, tag=True):
    """`DIR/.versions/NAME`."""

    directory: int
    name: bytes


class VersionFile(Struct, frozen=True, tag=True):
    """One committed content as a file, below `DIR/.versions`."""

    directory: int
    ino: int
    stamp_ns: int


class VersionLink(Struct, frozen=True, tag=True):
    """`latest` and `previous`: a symlink to a version beside it."""

    directory: int
    name: bytes
    target: bytes


class LogFile(Struct, frozen=True, tag=True):
    """`DIR/.versions/NAME/log`."""

    directory: int
    name: bytes


class Moment(Struct, frozen=True, tag=True):
    """Anything as it was at an instant; a directory shows the tree below it."""

    ino: int
    at_ns: int
    version_ns: int = 0  # files: the version found then, so that a purge makes another node
    entered_from: int = 0  # where the view begins: the real directory whose `.versions` it is below


class StatusFolder(Struct, frozen=True, tag=True):
    """`.s3fs` at the root."""


class StatusText(Struct, frozen=True):
    """What a file in `.s3fs` holds; made when it is opened.

    A private one can be read by the owner of the root directory, and root. Its size is 0 for all
    who look before, as in /proc: it may be long, and changes all the time.
    """

    make: Callable[[], bytes]
    private: bool = False


class StatusFile(Struct, frozen=True, tag=True):
    """`.s3fs/NAME`."""

    name: bytes


Node = (
    VersionsFolder
    | SnapshotsFolder
    | NameFolder
    | VersionFile
    | VersionLink
    | LogFile
    | Moment
    | StatusFolder
    | StatusFile
)


class Listing:
    """The entries of a view that is being listed: each is settled when it is first read."""

    def __init__(self, entries: Iterable[tuple[bytes, Node]]) -> None:
        self._rest = iter(entries)
        self._settled: list[tuple[bytes, Node]] = []

    def behind(self, offset: int) -> Iterator[tuple[int, bytes, Node]]:
        """(offset, name, node) of the entries behind that offset (0: from the start)."""
        self._settled += islice(self._rest, max(0, offset - len(self._settled)))
        while offset < len(self._settled) or self._settle_one():
            offset += 1
            yield (offset, *self._settled[offset - 1])

    def _settle_one(self) -> bool:
        found = next(self._rest, None)
        if found is not None:
            self._settled.append(found)
        return found is not None


class Views:
    """The views of one volume."""

    def __init__(self, volume: Volume, histories: Histories) -> None:
        self._volume = volume
        self._histories = histories
        self._ways = Ways(volume)
        self._nodes: dict[int, Node] = {}
        self._known: dict[int, int] = {}  # how often the kernel was told each number
        self.status_texts: dict[bytes, StatusText] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def versions_of(self, directory: int) -> Inode:
        """`.versions` of a real directory."""
        return self._shown(VersionsFolder(directory))

    def status(self) -> Inode:
        """`.s3fs` of the root."""
        return self._shown(StatusFolder())

    def remember(self, ino: int) -> None:
        """The kernel was told the number once more."""
        self._known[ino] = self._known.get(ino, 0) + 1

    def forget(self, ino: int, count: int) -> None:
        """The kernel forgot `count` of the times it was told the number."""
        left = self._known.get(ino, 0) - count
        if left > 0:
            self._known[ino] = left
        else:
            self._known.pop(ino, None)
            self._nodes.pop(ino, None)

    def _node(self, ino: int) -> Node:
        node = self._nodes.get(ino)
        if node is None:
            raise StaleInode(f"view {ino}")
        return node

    def get(self, ino: int) -> Inode:
        """The attributes of a view's inode. Raises StaleInode."""
        return self._attributes(self._node(ino), ino)

    def _shown(self, node: Node) -> Inode:
        """The node's attributes; from now on its number is known here."""
        hashed = int.from_bytes(blake3(msgspec.msgpack.encode(node)).digest(8), "big")
        ino = FIRST_VIRTUAL_INO | (hashed & _HASH_MASK)
        inode = self._attributes(node, ino)
        self._nodes[ino] = node
        return inode

    def _attributes(self, node: Node, ino: int) -> Inode:
        match node:
            case VersionsFolder() | SnapshotsFolder() | NameFolder() | StatusFolder():
                real = ROOT_INO if isinstance(node, StatusFolder) else node.directory
                keep = _for_all_who_search if isinstance(node, NameFolder) else _for_all_who_list
                return _folder(self._volume.inode(real), ino, keep)
            case VersionFile():
                return _read_only(self._version_shown(node), ino)
            case Moment():
                return _read_only(self._moment_shown(node), ino)
            case VersionLink():
                directory = self._volume.inode(node.directory)
                return _symlink(directory, ino, node.target)
            case LogFile() | StatusFile():
                return self._text_attributes(node, ino)

    def _version_shown(self, node: VersionFile) -> Inode:
        version = self._version(node)
        shown = self._histories.version_as_file(version)
        after_ns = self._volume.metadata.next_version_ns(node.ino, node.stamp_ns) or OPEN_NS
        return self._ways.as_reached(
            shown, node.ino, after_ns - 1, through_directory=node.directory
        )

    def _moment_shown(self, node: Moment) -> Inode:
        shown = self._histories.inode_at(node.ino, node.at_ns)
        if shown is None or (node.version_ns and node.version_ns != shown.version_ns):
            raise StaleInode("what the file held then was purged")
        if shown.is_directory:
            present = self._volume.inode(node.ino)
            shown = with_access(shown, both(access_of(shown), access_of(present)))
        if node.entered_from:
            shown = self._ways.as_reached(
                shown, node.ino, node.at_ns, through_directory=node.entered_from
            )
        return shown

    def _text_attributes(self, node: LogFile | StatusFile, ino: int) -> Inode:
        if isinstance(node, LogFile):
            directory = self._volume.inode(node.directory)
            return _text(directory, ino, self._size_of_log(node), _for_all_who_search)
        root = self._volume.inode(ROOT_INO)
        text = self.status_texts[node.name]
        if text.private:
            return _private(_text(root, ino, 0))
        return _text(root, ino, len(text.make()))

    def _version(self, node: VersionFile) -> Version:
        version = self._volume.metadata.version(node.ino, node.stamp_ns)
        if version is None:
            raise StaleInode("the version was purged")
        return version

    def lookup(self, parent: int, name: bytes) -> Inode:
        """The entry of a view.

        Raises:
            NoSuchName: there is none; InvalidTime: `@…` is no instant; NotADirectory.
        """
        node = self._node(parent)
        match node:
            case VersionsFolder() | SnapshotsFolder():
                return self._shown(self._below_versions(node, name))
            case NameFolder():
                child = self._child(node, name)
                if child is not None:
                    return self._shown(child)
            case Moment():
                if not self._volume.inode(node.ino).is_directory:
                    raise NotADirectory(printed(name))
                child_inode = self._histories.child_at(node.ino, name, node.at_ns)
                return self._shown(_moment(child_inode, node.at_ns))
            case StatusFolder():
                if name in self.status_texts:
                    return self._shown(StatusFile(name))
            case _:
                raise NotADirectory(printed(name))
        raise NoSuchName(printed(name))

    def _below_versions(self, node: VersionsFolder | SnapshotsFolder, name: bytes) -> Node:
        match parse_below_versions(name):
            case AtInstant() as asked:
                return self._at(node.directory, asked)
            case Snapshots() if isinstance(node, VersionsFolder):
                return SnapshotsFolder(node.directory)
            case OfName(name=named) if isinstance(node, VersionsFolder):
                if self._histories.has_history(node.directory, named):
                    return NameFolder(node.directory, named)
        raise NoSuchName(printed(name))

    def _at(self, directory: int, asked: AtInstant) -> Moment:
        at_ns = parse_view_instant(asked.text, now_ns=self._volume.now_ns())
        then = self._histories.directory_at(directory, at_ns)
        return Moment(then, at_ns, entered_from=directory)

    def _snapshots_of(self, directory: int) -> Iterator[tuple[bytes, Node]]:
        offered = offered_seconds(
            self._histories.changes_in(directory),
            now_ns=self._volume.now_ns(),
            since_ns=self._volume.inode(ROOT_INO).btime_ns,
        )
        for at in offered:
            at_ns = at * SECOND_NS
            with suppress(NoSuchName):  # there was no such directory then
                present = self._histories.directory_at(directory, at_ns)
                view = Moment(present, at_ns, entered_from=directory)
                yield f"@{format_samba(at_ns)}".encode(), view

    def listing(self, ino: int) -> Listing:
        """The entries of a view, in order, as long as it is open. Raises NotADirectory."""
        return Listing(self._entries(ino, self._node(ino)))

    def _entries(self, ino: int, node: Node) -> Iterable[tuple[bytes, Node]]:
        match node:
            case VersionsFolder():
                names = self._histories.listed_names(node.directory)
                return ((escape(name), NameFolder(node.directory, name)) for name in names)
            case SnapshotsFolder():
                return list(self._snapshots_of(node.directory))
            case NameFolder():
                return self._versions_in(node)
            case Moment() if self._volume.inode(node.ino).is_directory:
                children = self._histories.children_at(node.ino, node.at_ns)
                return [(name, _moment(inode, node.at_ns)) for name, inode in children]
            case StatusFolder():
                return [(name, StatusFile(name)) for name in sorted(self.status_texts)]
            case _:
                raise NotADirectory(f"view {ino}")

    def entries(self, listing: Listing, after: int) -> Iterator[tuple[bytes, Inode, int]]:
        """(name, attributes, offset) behind `after`; who asks for the next took the one before."""
        for offset, name, node in listing.behind(after):
            try:
                inode = self._shown(node)
            except StaleInode:
                continue  # purged since the directory was opened
            try:
                yield name, inode, offset
            except GeneratorExit:
                self.forget(inode.ino, 0)
                raise
            self.remember(inode.ino)

    def _versions_in(self, folder: NameFolder) -> Iterator[tuple[bytes, Node]]:
        """One entry a version, newest first, then `latest`, `previous` and `log`.

        Past directories and symlinks that had the name are entries too: a directory shows its tree
        as it was when the name was taken from it.
        """
        directory, of = folder.directory, folder.name
        targets: list[bytes] = []
        for version in self._versions_of(folder):
            name = _file_name(version, of)
            if len(targets) < len(LINKS):
                targets.append(name)
            yield name, VersionFile(directory, version.ino, version.stamp_ns)
        yield from self._occupants(folder, self._histories.intervals(directory, of))
        for link, target in zip(LINKS, targets, strict=False):
            yield link, VersionLink(directory, of, target)
        yield b"log", LogFile(directory, of)

    def _versions_of(self, folder: NameFolder) -> Iterator[Version]:
        items = self._histories.items(folder.directory, folder.name)
        return (item.version for item in items if item.version is not None)

    def _child(self, folder: NameFolder, name: bytes) -> Node | None:
        """The entry that `_versions_in` has under the name, without a look at the others."""
        directory, of = folder.directory, folder.name
        if name == b"log":
            return LogFile(directory, of)
        if name in LINKS:
            place = LINKS.index(name)
            target = next(islice(self._versions_of(folder), place, None), None)
            return None if target is None else VersionLink(directory, of, _file_name(target, of))
        wanted = parse_version_file_name(name)
        if wanted is None:
            return None
        version = self._histories.version_named(directory, of, wanted)
        if version is not None and _file_name(version, of) == name:
            return VersionFile(directory, version.ino, version.stamp_ns)
        past = reversed(self._histories.occupants_named(directory, of, wanted))
        return dict(self._occupants(folder, past)).get(name)

    def _occupants(
        self, folder: NameFolder, intervals: Iterable[Entry]
    ) -> Iterator[tuple[bytes, Node]]:
        """Past directories and symlinks among what the name meant, in the order given."""
        for entry in intervals:
            inode = None if entry.is_marker else self._volume.metadata.inode(entry.ino)
            if inode is None or inode.is_file or entry.to_ns == OPEN_NS:
                continue
            stem = f"{format_file_time(entry.to_ns)}~{short_id(entry.ino)}".encode()
            last_ns = entry.to_ns - 1
            yield stem, Moment(inode.ino, last_ns, entered_from=folder.directory)

    def readlink(self, ino: int) -> bytes:
        """The target of a symlink in a view."""
        node = self._node(ino)
        if isinstance(node, VersionLink):
            return node.target
        if isinstance(node, Moment):
            return self._volume.inode(node.ino).target
        raise NoSuchName(f"view {ino}")

    def open(self, ino: int, caller: Caller, *, writable: bool) -> tuple[Handle, OpenedFile]:
        """A handle to read the node with; its number is still to be given.

        Raises:
            ReadOnlyView: it was to be written.
            IsADirectory.
        """
        if writable:
            raise ReadOnlyView("views cannot be written; copy the file out")
        node = self._node(ino)
        handle = Handle(ino, caller=caller, writable=False)
        match node:
            case VersionFile():
                self._version(node)  # the kernel may still have pages of one that was purged
                handle.ino, handle.at_ns = node.ino, node.stamp_ns
            case Moment():
                handle.ino, handle.at_ns = node.ino, self.get(ino).version_ns
            case StatusFile():
                handle.content = self.status_texts[node.name].make()
                return handle, OpenedFile(0, keep_cache=False, direct_io=True)
            case LogFile():
                handle.make_content = partial(self._text_of_log, node)
                return handle, OpenedFile(0, keep_cache=False, direct_io=True)
            case _:
                raise IsADirectory(f"view {ino}")
        return handle, OpenedFile(0)

    async def _text_of_log(self, node: LogFile) -> bytes:
        events = await self._histories.events(node.directory, node.name)
        return b"".join(await gathered(map(_line_of, events)))

    def _size_of_log(self, node: LogFile) -> int:
        """Its bytes; 0, as of files below /proc, where it takes long to say: read it to its end."""
        events = self._histories.few_events(node.directory, node.name, SIZED_LOG_EVENTS_MAX)
        return 0 if events is None else sum(len(_line_of(event)) for event in events)

    def xattrs_of(self, ino: int) -> dict[bytes, bytes]:
        """The extended attributes that the node shows."""
        return self.get(ino).xattrs

    def version_shown(self, ino: int) -> Version | None:
        """The version that the node shows, if it shows one."""
        node = self._nodes.get(ino)
        metadata = self._volume.metadata
        if isinstance(node, VersionFile):
            return metadata.version(node.ino, node.stamp_ns)
        if isinstance(node, Moment):
            return metadata.version_at(node.ino, node.at_ns)
        return None


def _line_of(event: Event) -> bytes:
    return f"{format_event(event)}\n".encode()


def _file_name(version: Version, name: bytes) -> bytes:
    return version_file_name(version.stamp_ns, version.salt, name)


def _moment(inode: Inode, at_ns: int) -> Moment:
    return Moment(inode.ino, at_ns, inode.version_ns if inode.is_file else 0)


def _read_only(shown: Inode, ino: int) -> Inode:
    """A past file as a view shows it: nobody may write, and it has one name."""
    if ACCESS_XATTR in shown.xattrs and not shown.mode & _GROUP_READS:
        # Without the write bit its ACL would have an empty mask, which the kernel does not heed.
        shown = with_access(shown, each(access_of(shown), _for_all_who_list))
    return msgspec.structs.replace(
        shown,
        ino=ino,
        mode=shown.mode & ~_WRITE_BITS,
        nlink=2 if shown.is_directory else 1,
        allocated=shown.size,
    )


def _for_all_who_search(permissions: int) -> int:
    """Who may search a directory may ask for any name in it: they may read what that name was."""
    return LIST_AND_SEARCH if permissions & SEARCH else 0


def _for_all_who_list(permissions: int) -> int:
    return permissions & LIST_AND_SEARCH


def _folder(directory: Inode, ino: int, keep: Callable[[int], int]) -> Inode:
    """A folder of the view, for the same people as the real directory, by mode and ACL."""
    plain = Inode(
        ino=ino,
        mode=stat.S_IFDIR,
        uid=directory.uid,
        gid=directory.gid,
        nlink=2,
        atime_ns=directory.mtime_ns,
        mtime_ns=directory.mtime_ns,
        ctime_ns=directory.mtime_ns,
        btime_ns=directory.btime_ns,
    )
    return with_access(plain, each(access_of(directory), keep))


def _symlink(directory: Inode, ino: int, target: bytes) -> Inode:
    return msgspec.structs.replace(
        _folder(directory, ino, _for_all_who_list),
        mode=stat.S_IFLNK | 0o777,
        nlink=1,
        size=len(target),
        target=target,
        xattrs={},
    )


def _text(
    directory: Inode, ino: int, size: int, keep: Callable[[int], int] = _for_all_who_list
) -> Inode:
    """A text of the view, which those may read for whom its folder is."""
    folder = _folder(directory, ino, keep)
    readers = with_access(folder, each(access_of(folder), lambda bits: bits & _READ))
    mode = stat.S_IFREG | stat.S_IMODE(readers.mode)
    return msgspec.structs.replace(readers, mode=mode, nlink=1, size=size)


def _private(text: Inode) -> Inode:
    return msgspec.structs.replace(text, mode=stat.S_IFREG | stat.S_IRUSR, xattrs={})
