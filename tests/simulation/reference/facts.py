"""What is kept: plain values, of which each moment and each flush has a copy."""

import copy
from dataclasses import dataclass, field

from tests.simulation.reference import archives
from tests.simulation.reference.ageing import Rule
from tests.simulation.reference.archives import Retrieval
from tests.simulation.reference.locks import NO_DEMAND, NO_LOCK, Demand, Lock

ROOT = 1
RESERVED = (".versions", ".s3fs")
FILE, DIRECTORY, SYMLINK = "file", "directory", "symlink"


@dataclass(frozen=True)
class Version:
    """One committed content."""

    time: int
    content: bytes
    mtime_before: int
    instant: int = 0  # of all that happens within the second, in its order
    origin: object = field(default_factory=object)  # the same for a version and its restorations
    key: object = field(default_factory=object)  # its own, for what may change of it
    is_null: bool = False  # made while versioning was suspended


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
    last_parent: int = 0  # the directory of the name it was given last
    last_name: str = ""
    atime: float = 0  # if somebody set it: until when the file is to be locked
    append_only: str = ""  # or OPEN, or SEALED by a rotation
    semantics: str = ""  # of a directory: what was said of locks below it, FILE_FROZEN or S3
    demand: Demand = NO_DEMAND  # of a directory: how files below it are locked when closed
    mtime_is_known: bool = True  # a purge may have moved it
    past_mtimes_are_known: bool = (
        True  # likewise; and what is forgotten no longer moves a directory's
    )

    @property
    def content(self) -> bytes:
        """Of the current version."""
        return self.versions[-1].content if self.versions else b""


@dataclass(frozen=True)
class Holding:
    """A name meant a file from one instant on until another (0: still); 0 is a delete marker."""

    number: int
    since: int
    until: int = 0
    is_null: bool = False  # a marker that was put while versioning was suspended


Name = tuple[int, str]
"""In a directory, by its number."""


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
    locks: dict[object, Lock] = field(default_factory=dict)  # likewise
    retrievals: dict[object, Retrieval] = field(default_factory=dict)  # likewise
    last_instant: int = 0
    holdings: dict[Name, tuple[Holding, ...]] = field(default_factory=dict)  # oldest first
    rules: tuple[Rule, ...] = ()  # of lifecycle
    aged: dict[Name, int] = field(default_factory=dict)  # the instant of a rule's last action
    put_off: dict[Name, int] = field(default_factory=dict)  # or of finding it in use
    waiting: set[int] = field(default_factory=set)  # files that take a lock when they are closed
    quiet: dict[int, float] = field(default_factory=dict)  # or then, if nobody writes to them
    is_suspended: bool = False  # versioning
    closing: set[int] = field(default_factory=set)  # files that go with their last close
    kept_elsewhere: dict[Name, int] = field(default_factory=dict)
    """Names that lifecycle ended here, and nobody gave away since: other regions have them."""

    def class_of(self, version: Version) -> str:
        """The storage class of the version."""
        return self.classes.get(version.key, "STANDARD")

    def lock_of(self, version: Version) -> Lock:
        """What lies on the version, be it over or not."""
        return self.locks.get(version.key, NO_LOCK)

    def is_archived(self, version: Version) -> bool:
        """Whether its bytes cannot be read now."""
        retrieval = self.retrievals.get(version.key)
        is_there = retrieval is not None and retrieval.until > 0
        return self.class_of(version) in archives.CLASSES and not is_there

    def copy(self) -> "Facts":
        """Independent of what happens to this one."""
        nodes = {number: copy.copy(node) for number, node in self.nodes.items()}
        for node in nodes.values():
            node.xattrs = dict(node.xattrs)
            node.entries = dict(node.entries)
            node.versions = list(node.versions)
        return Facts(
            nodes,
            self.last_number,
            list(self.times),
            list(self.moments),
            dict(self.classes),
            dict(self.tags),
            dict(self.locks),
            dict(self.retrievals),
            self.last_instant,
            dict(self.holdings),
            self.rules,
            dict(self.aged),
            dict(self.put_off),
            set(self.waiting),
            dict(self.quiet),
            self.is_suspended,
            set(self.closing),
            dict(self.kept_elsewhere),
        )


Kept = tuple[Facts, dict[int, Draft]]
