"""Operations as data: a kind and three numbers, which pick targets among what exists when they run.

So any sequence can be cut or reordered and still means something, and shrinks well.
"""

# The contract of `System` is that of `Reference`.
# ruff: noqa: D102

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Protocol, TypeVar

from tests.simulation.lifecycle_documents import DOCUMENTS
from tests.simulation.reference.ageing import Rule
from tests.simulation.reference.archives import TIERS
from tests.simulation.reference.facts import DIRECTORY, FILE, SYMLINK
from tests.simulation.reference.locks import (
    CHMOD,
    COMPLIANCE,
    FILE_FROZEN,
    GOVERNANCE,
    NO_DEMAND,
    QUIET,
    S3,
    Bypass,
    Demand,
)
from tests.simulation.reference.whole import Reference


class Kind(StrEnum):
    """What may happen to a store."""

    CREATE = "create"
    MKNOD = "mknod"
    MKDIR = "mkdir"
    SYMLINK = "symlink"
    LINK = "link"
    UNLINK = "unlink"
    RMDIR = "rmdir"
    RENAME = "rename"
    RENAME_OVER = "rename over"
    RENAME_NOREPLACE = "rename noreplace"
    EXCHANGE = "exchange"
    OPEN = "open"
    OPEN_READ_ONLY = "open read-only"
    OPEN_TRUNCATE = "open truncate"
    WRITE = "write"
    APPEND = "append"
    REWRITE = "rewrite"
    READ = "read"
    TRUNCATE_HANDLE = "truncate handle"
    TRUNCATE = "truncate"
    CLOSE_DUPLICATE = "close duplicate"
    CLOSE = "close"
    CHMOD = "chmod"
    UTIMES = "utimes"
    TOUCH = "touch"  # the access time, to a date that is ahead
    SETXATTR = "setxattr"
    REMOVEXATTR = "removexattr"
    FSYNC = "fsync"
    FLUSH = "flush"
    SETTLE = "settle"
    LEAVE_SEGMENT = "leave segment"
    CHECKPOINT = "checkpoint"
    PURGE = "purge"
    RESTORE = "restore"
    RESTORE_ROOT = "restore root"
    LOOK_BACK = "look back"  # no call: what both show is compared
    CRASH = "crash"
    POWER_CUT = "power cut"
    SET_CLASS = "set class"
    SET_TAGS = "set tags"
    RETRIEVE = "retrieve"
    PUT_LIFECYCLE = "put lifecycle"
    RETAIN = "retain"
    CLEAR_RETENTION = "clear retention"
    HOLD = "hold"
    LIFT_HOLD = "lift hold"
    APPEND_ONLY = "append-only"
    PROTECT = "protect"
    SET_VERSIONING = "set versioning"
    SET_DATE = "set date"
    DAYS_GO_BY = "days go by"
    # What the store does by itself; nobody sees it.
    UPKEEP = "upkeep"  # everything is settled, as every few seconds
    SETTLE_CLASSES = "settle classes"
    ADVANCE_RETRIEVALS = "advance retrievals"
    LOCK_QUIET = "lock quiet"  # files that nobody writes to any more
    RUN_LIFECYCLE = "run lifecycle"
    MIDNIGHT = "midnight"  # and a whole run of lifecycle
    COLLECT_GARBAGE = "collect garbage"
    ROTATE_KEYS = "rotate keys"
    SCRUB = "scrub"
    MEND = "mend"
    BRING_BACK = "bring back a zone"
    GO_ON = "go on"  # one of these tasks, to where it stops next
    GO_ON_AND_DIE = "go on and die"
    TELL = "tell"  # another region, if there is one
    WAY_BREAKS = "way breaks"
    OTHER_SIDE_DIES = "other side dies"
    # What happens to zones.
    ZONE_GOES = "zone goes"
    ZONE_COMES = "zone comes"
    ZONE_EMPTIED = "zone emptied"
    ZONE_ROTS = "zone rots"
    ZONE_FLICKERS = "zone flickers"
    ADD_ZONE = "add a zone"
    REMOVE_ZONE = "remove a zone"


BY_ITSELF: Final = frozenset(list(Kind)[list(Kind).index(Kind.DAYS_GO_BY) :])
"""Nobody calls for these, and the reference knows nothing of them."""
BACKGROUND: Final = frozenset(
    (
        *(Kind.UPKEEP, Kind.SETTLE_CLASSES, Kind.ADVANCE_RETRIEVALS, Kind.RUN_LIFECYCLE),
        *(Kind.COLLECT_GARBAGE, Kind.TELL),
        *(Kind.ROTATE_KEYS, Kind.SCRUB, Kind.MEND),
        *(Kind.BRING_BACK, Kind.ADD_ZONE, Kind.REMOVE_ZONE),
    )
)
OF_REGIONS: Final = frozenset((Kind.TELL, Kind.WAY_BREAKS, Kind.OTHER_SIDE_DIES))
"""A history with one of these has another region in it."""
OF_TURNOVER: Final = frozenset((Kind.ADD_ZONE, Kind.REMOVE_ZONE))
"""The store has more zones, or fewer."""
COPYING_AHEAD: Final = frozenset((Kind.BRING_BACK, Kind.ADD_ZONE))
"""A zone is given the journal as far as it goes, be it durable or not."""
WAITING: Final = frozenset((Kind.RETAIN, Kind.HOLD, Kind.CHMOD))
"""These may wait for somebody, and others go on meanwhile."""
KEEPING: Final = frozenset((Kind.FSYNC, Kind.FLUSH, Kind.SETTLE, Kind.LEAVE_SEGMENT))
"""These change nothing but what a crash keeps."""


class Operation(NamedTuple):
    """One step of a history."""

    kind: Kind
    first: int = 0
    second: int = 0
    third: int = 0


class System(Protocol):
    """What both the filesystem and its reference can do; results are compared."""

    def create(self, path: str, mode: int) -> int: ...
    def mknod(self, path: str, mode: int) -> None: ...
    def mkdir(self, path: str, mode: int) -> None: ...
    def symlink(self, path: str, target: str) -> None: ...
    def link(self, old: str, new: str) -> None: ...
    def unlink(self, path: str) -> None: ...
    def rmdir(self, path: str) -> None: ...
    def rename(self, old: str, new: str, flags: int) -> None: ...
    def open(self, path: str, *, writable: bool, truncate: bool) -> int: ...
    def write(self, handle: int, offset: int, data: bytes) -> None: ...
    def read(self, handle: int, offset: int, size: int) -> bytes: ...
    def truncate_handle(self, handle: int, size: int) -> None: ...
    def truncate(self, path: str, size: int) -> None: ...
    def close_duplicate(self, handle: int) -> None: ...
    def close(self, handle: int) -> None: ...
    def chmod(self, path: str, mode: int) -> object: ...
    def utimes(self, path: str, mtime: int) -> None: ...
    def touch(self, path: str, atime: float) -> None: ...
    def setxattr(self, path: str, name: str, value: bytes) -> None: ...
    def removexattr(self, path: str, name: str) -> None: ...
    def set_class(self, path: str, wanted: str) -> None: ...
    def set_tags(self, path: str, tag: str) -> None: ...
    def put_lifecycle(self, rules: tuple[Rule, ...]) -> None: ...
    def retrieve(self, path: str, tier: str, days: int) -> None: ...
    def fsync(self, handle: int) -> object: ...
    def flush(self) -> object: ...
    def settle(self) -> object: ...
    def leave_segment(self) -> object: ...
    def checkpoint(self, path: str) -> None: ...
    def purge(self, number: int, position: int, bypass: Bypass | None) -> None: ...
    def restore(self, path: str, time: int) -> None: ...
    def set_retention(
        self, path: str, mode: str, until: int, bypass: Bypass | None, *, cut_writers: bool
    ) -> object: ...
    def clear_retention(self, path: str, bypass: Bypass | None) -> None: ...
    def hold(self, path: str, case: str, who: int, *, cut_writers: bool) -> object: ...
    def lift_hold(self, path: str, case: str, who: int) -> None: ...
    def set_append_only(self, path: str) -> None: ...
    def protect(self, path: str, semantics: str, demand: Demand) -> None: ...
    def set_date(self, days: int) -> None: ...
    def set_versioning(self, *, is_suspended: bool) -> None: ...
    def crash(self, *, power: bool, seconds_off: int = 0) -> None: ...


Call = Callable[[System], object]

NAMES: Final = ("a", "b", "c", "a", "b", "c", "d", ".versions", "x" * 256)
OFFSETS: Final = (0, 1, 100, 4095, 4096, 5000, 1048570, 1048576, 2097152 - 3)
SIZES: Final = (1, 10, 700, 4096, 5000)
LENGTHS: Final = (0, 1, 99, 4096, 5001, 1048575, 1048580)
CLASSES: Final = (
    *("STANDARD_IA", "GLACIER_IR", "INTELLIGENT_TIERING", "STANDARD"),
    *("GLACIER", "STANDARD", "DEEP_ARCHIVE"),
)
TAGS: Final = ("a", "b", "")
DAY: Final = 86_400
PERIODS: Final = (20, DAY, 40 * DAY, 3, -5, 10 * DAY)
DEMANDS: Final = (
    *(NO_DEMAND, Demand(GOVERNANCE, 20.5), Demand(COMPLIANCE, 8.5)),
    *(NO_DEMAND, Demand(COMPLIANCE, 40 * DAY + 0.5)),
    *(Demand(GOVERNANCE, 20.5, QUIET, 9.5), Demand(GOVERNANCE, 8.5, CHMOD)),
    *(Demand(COMPLIANCE, DAY + 0.5, QUIET, 3.5), Demand(COMPLIANCE, 20.5, CHMOD)),
)
"""Half a second more, or it would matter in which part of a second somebody looks."""
SECONDS_OFF: Final = (0, 90, DAY, 400 * DAY)
FALSE_DAYS: Final = (0, 2, 0, 400, -3)
BYPASSES: Final = (
    None,
    Bypass(is_entitled=True, reason="told"),
    None,
    Bypass(is_entitled=True, reason=""),
    Bypass(is_entitled=False, reason="mine"),
)
CASES: Final = ("one", "two")
PEOPLE: Final = (1000, 0)
XATTRS: Final = ("user.one", "user.two")


Item = TypeVar("Item")


def _pick(items: Sequence[Item], number: int) -> Item | None:
    return items[number % len(items)] if items else None


def call_of(operation: Operation, reference: Reference) -> Call | None:
    """The call that the operation is here and now; None where there is nothing to do it to."""
    return _CHOOSERS[operation.kind](operation, reference)


def _new_path(reference: Reference, directory: int, name: int) -> str:
    return f"{_pick(reference.directories(), directory)}/{_pick(NAMES, name)}"


def _making(operation: Operation, reference: Reference) -> Call | None:
    path = _new_path(reference, operation.second, operation.first)
    mode = (0o644, 0o600, 0o755)[operation.third % 3]
    match operation.kind:
        case Kind.CREATE:
            return lambda system: system.create(path, mode)
        case Kind.MKNOD:
            return lambda system: system.mknod(path, mode)
        case Kind.MKDIR:
            return lambda system: system.mkdir(path, mode)
        case _:
            target = ("a", "../b", "/nowhere")[operation.third % 3]
            return lambda system: system.symlink(path, target)


def _linking(operation: Operation, reference: Reference) -> Call | None:
    path = _pick(reference.nodes(FILE, SYMLINK, DIRECTORY), operation.first)
    if path is None:
        return None
    new = _new_path(reference, operation.third, operation.second)
    return lambda system: system.link(path, new)


def _removing(operation: Operation, reference: Reference) -> Call | None:
    path = _pick(reference.nodes(FILE, SYMLINK, DIRECTORY), operation.first)
    if path is None:
        return None
    if operation.kind is Kind.UNLINK:
        return lambda system: system.unlink(path)
    return lambda system: system.rmdir(path)


def _renaming(operation: Operation, reference: Reference) -> Call | None:
    paths = reference.nodes(FILE, SYMLINK, DIRECTORY)
    path = _pick(paths, operation.first)
    if path is None:
        return None
    new = _new_path(reference, operation.third, operation.second)
    if operation.kind in (Kind.RENAME_OVER, Kind.EXCHANGE):
        new = _pick(paths, operation.second) or new
    flags = {Kind.RENAME_NOREPLACE: 1, Kind.EXCHANGE: 2}.get(operation.kind, 0)
    return lambda system: system.rename(path, new, flags)


def _opening(operation: Operation, reference: Reference) -> Call | None:
    path = _pick(reference.nodes(FILE), operation.first)
    if path is None:
        return None
    writable = operation.kind is not Kind.OPEN_READ_ONLY
    truncate = operation.kind is Kind.OPEN_TRUNCATE
    return lambda system: system.open(path, writable=writable, truncate=truncate)


def _with_handle(operation: Operation, reference: Reference) -> Call | None:
    handle = _pick(sorted(reference.handles), operation.first)
    if handle is None:
        return None
    match operation.kind:
        case Kind.CLOSE_DUPLICATE:
            return lambda system: system.close_duplicate(handle)
        case Kind.CLOSE:
            return lambda system: system.close(handle)
        case Kind.FSYNC:
            return lambda system: system.fsync(handle)
        case _:
            length = _pick(LENGTHS, operation.second) or 0
            return lambda system: system.truncate_handle(handle, length)


def _reading_or_writing(operation: Operation, reference: Reference) -> Call | None:
    handle = _pick(sorted(reference.handles), operation.first)
    if handle is None:
        return None
    size = _pick(SIZES, operation.third) or 1
    offset = _pick(OFFSETS, operation.second) or 0
    if operation.kind is Kind.READ:
        return lambda system: system.read(handle, offset, size)
    content, _ = reference.shown(reference.facts.nodes[reference.handles[handle].node])
    data = bytes([reference.now % 255 + 1]) * size
    if operation.kind is Kind.APPEND:
        offset = len(content)
    if operation.kind is Kind.REWRITE:
        data = content[offset : offset + size]
    return (lambda system: system.write(handle, offset, data)) if data else None


def _with_path(operation: Operation, reference: Reference) -> Call | None:
    path = _pick(reference.nodes(FILE, DIRECTORY), operation.first)
    if path is None:
        return None
    match operation.kind:
        case Kind.TRUNCATE:
            length = _pick(LENGTHS, operation.second) or 0
            return lambda system: system.truncate(path, length)
        case Kind.CHMOD:
            mode = (0o600, 0o755, 0o400)[operation.second % 3]
            return lambda system: system.chmod(path, mode)
        case _:
            node = reference.at(path)
            if reference.is_frozen(node) and not node.mtime_is_known:
                return None  # whether this is a change is not known either
            return lambda system: system.utimes(path, operation.second)


def _with_xattr(operation: Operation, reference: Reference) -> Call | None:
    path = _pick(reference.nodes(FILE, DIRECTORY), operation.first)
    if path is None:
        return None
    name = XATTRS[operation.second % len(XATTRS)]
    value = bytes([operation.third % 256])
    if operation.kind is Kind.SETXATTR:
        return lambda system: system.setxattr(path, name, value)
    return lambda system: system.removexattr(path, name)


def _checkpointing(operation: Operation, reference: Reference) -> Call | None:
    path = _pick(reference.nodes(FILE), operation.first)
    return None if path is None else (lambda system: system.checkpoint(path))


def _classing(operation: Operation, reference: Reference) -> Call | None:
    paths = reference.nodes(FILE)
    if operation.kind is Kind.RETRIEVE:
        paths = reference.archived() or paths
    path = _pick(paths, operation.first)
    if path is None:
        return None
    if operation.kind is Kind.RETRIEVE:
        tier, days = TIERS[operation.second % len(TIERS)], 1 + operation.third % 3
        return lambda system: system.retrieve(path, tier, days)
    if operation.kind is Kind.SET_TAGS:
        tag = TAGS[operation.second % len(TAGS)]
        return lambda system: system.set_tags(path, tag)
    wanted = CLASSES[operation.second % len(CLASSES)]
    return lambda system: system.set_class(path, wanted)


def _locking(operation: Operation, reference: Reference) -> Call | None:
    path = _pick(reference.nodes(FILE, DIRECTORY), operation.first)
    if path is None:
        return None
    held = [case for case, _ in reference.lock_of(reference.at(path)).holds]
    cases = held if held and operation.kind is Kind.LIFT_HOLD else CASES
    case, who = cases[operation.second % len(cases)], PEOPLE[operation.third % 2]
    bypass = BYPASSES[operation.third % len(BYPASSES)]
    cuts = operation.third % 3 == 0
    match operation.kind:
        case Kind.RETAIN:
            mode = (GOVERNANCE, COMPLIANCE)[operation.second % 2]
            until = reference.now + PERIODS[operation.second // 2 % len(PERIODS)]
            return lambda system: system.set_retention(path, mode, until, bypass, cut_writers=cuts)
        case Kind.CLEAR_RETENTION:
            return lambda system: system.clear_retention(path, bypass)
        case Kind.HOLD:
            return lambda system: system.hold(path, case, who, cut_writers=cuts)
        case _:
            return lambda system: system.lift_hold(path, case, who)


def _freezing(operation: Operation, reference: Reference) -> Call | None:
    if operation.kind is Kind.TOUCH:
        return _touching(operation, reference)
    is_protect = operation.kind is Kind.PROTECT
    path = _pick(reference.nodes(DIRECTORY if is_protect else FILE), operation.first)
    if path is None:
        return None
    if is_protect:
        semantics = FILE_FROZEN if operation.second % 4 == 0 else S3
        demand = DEMANDS[operation.third % len(DEMANDS)]
        return lambda system: system.protect(path, semantics, demand)
    return lambda system: system.set_append_only(path)


def _touching(operation: Operation, reference: Reference) -> Call | None:
    path = _pick(reference.nodes(FILE), operation.first)
    ahead = (20.5, DAY + 0.5, 3.5)[operation.second % 3]
    atime = reference.now + ahead
    return None if path is None else (lambda system: system.touch(path, atime))


def _ageing(operation: Operation, _: Reference) -> Call | None:
    rules = DOCUMENTS[operation.first % len(DOCUMENTS)]
    return lambda system: system.put_lifecycle(rules)


def _setting_versioning(operation: Operation, _: Reference) -> Call | None:
    is_suspended = operation.first % 3 > 0
    return lambda system: system.set_versioning(is_suspended=is_suspended)


def _setting_date(operation: Operation, _: Reference) -> Call | None:
    days = FALSE_DAYS[operation.first % len(FALSE_DAYS)]
    return lambda system: system.set_date(days)


def _keeping(operation: Operation, _: Reference) -> Call | None:
    match operation.kind:
        case Kind.FLUSH:
            return lambda system: system.flush()
        case Kind.SETTLE:
            return lambda system: system.settle()
        case Kind.LEAVE_SEGMENT:
            return lambda system: system.leave_segment()
        case Kind.CRASH:
            return lambda system: system.crash(power=False)
        case _:
            seconds_off = SECONDS_OFF[operation.first % len(SECONDS_OFF)]
            return lambda system: system.crash(power=True, seconds_off=seconds_off)


def _purging(operation: Operation, reference: Reference) -> Call | None:
    nodes = [node for node in reference.facts.nodes.values() if node.versions]
    node = _pick(nodes, operation.first)
    if node is None:
        return None
    position = operation.second % len(node.versions)
    bypass = BYPASSES[operation.third % len(BYPASSES)]
    return lambda system: system.purge(node.number, position, bypass)


def _looking_back(operation: Operation, reference: Reference) -> Call | None:
    time = _pick(reference.facts.times, operation.second) or reference.now
    if operation.kind is Kind.RESTORE_ROOT:
        return lambda system: system.restore("", time)
    path = _pick(reference.nodes(FILE, DIRECTORY, SYMLINK), operation.first)
    return None if path is None else (lambda system: system.restore(path, time))


_CHOOSERS: Final[dict[Kind, Callable[[Operation, Reference], Call | None]]] = {
    Kind.SET_VERSIONING: _setting_versioning,
    Kind.CREATE: _making,
    Kind.MKNOD: _making,
    Kind.MKDIR: _making,
    Kind.SYMLINK: _making,
    Kind.LINK: _linking,
    Kind.UNLINK: _removing,
    Kind.RMDIR: _removing,
    Kind.RENAME: _renaming,
    Kind.RENAME_OVER: _renaming,
    Kind.RENAME_NOREPLACE: _renaming,
    Kind.EXCHANGE: _renaming,
    Kind.OPEN: _opening,
    Kind.OPEN_READ_ONLY: _opening,
    Kind.OPEN_TRUNCATE: _opening,
    Kind.WRITE: _reading_or_writing,
    Kind.APPEND: _reading_or_writing,
    Kind.REWRITE: _reading_or_writing,
    Kind.READ: _reading_or_writing,
    Kind.TRUNCATE_HANDLE: _with_handle,
    Kind.TRUNCATE: _with_path,
    Kind.CLOSE_DUPLICATE: _with_handle,
    Kind.CLOSE: _with_handle,
    Kind.CHMOD: _with_path,
    Kind.UTIMES: _with_path,
    Kind.SETXATTR: _with_xattr,
    Kind.REMOVEXATTR: _with_xattr,
    Kind.FSYNC: _with_handle,
    Kind.FLUSH: _keeping,
    Kind.SETTLE: _keeping,
    Kind.LEAVE_SEGMENT: _keeping,
    Kind.CHECKPOINT: _checkpointing,
    Kind.PURGE: _purging,
    Kind.RESTORE: _looking_back,
    Kind.RESTORE_ROOT: _looking_back,
    Kind.CRASH: _keeping,
    Kind.POWER_CUT: _keeping,
    Kind.SET_CLASS: _classing,
    Kind.SET_TAGS: _classing,
    Kind.RETRIEVE: _classing,
    Kind.PUT_LIFECYCLE: _ageing,
    Kind.RETAIN: _locking,
    Kind.CLEAR_RETENTION: _locking,
    Kind.HOLD: _locking,
    Kind.LIFT_HOLD: _locking,
    Kind.APPEND_ONLY: _freezing,
    Kind.PROTECT: _freezing,
    Kind.TOUCH: _freezing,
    Kind.SET_DATE: _setting_date,
}
