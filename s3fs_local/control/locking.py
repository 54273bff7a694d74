"""Commands retention, legal-hold, append-only, protect and why: WORM locks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from s3fs_local import errors
from s3fs_local.control.context import Context
from s3fs_local.control.looking_back import live_inode, public_id
from s3fs_local.control.requests import (
    ClearLegalHold,
    ClearRetention,
    DescribeRetention,
    Explain,
    ListLegalHolds,
    Protect,
    SetAppendOnly,
    SetLegalHold,
    SetRetention,
)
from s3fs_local.control.results.locks import (
    Explanation,
    HoldListing,
    HoldRow,
    LockListing,
    LockRow,
    Policy,
)
from s3fs_local.control.results.versions import Owner, printed_key
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.refusals import path_of
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.instants import format_duration, format_rfc3339
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.policies import format_commit, parse_commit, parse_semantics
from s3fs_local.rules.retention import (
    DirectoryPolicy,
    LegalHold,
    Lock,
    Operation,
    Retention,
    format_until,
    parse_mode_of_command,
    parse_period,
    parse_until,
)
from s3fs_local.rules.versioning import Version

_COMMON_WORDS: Final = {
    "delete": Operation.UNLINK,
    "rm": Operation.UNLINK,
    "remove": Operation.UNLINK,
    "rename": Operation.RENAME_FROM,
    "move": Operation.RENAME_FROM,
    "mv": Operation.RENAME_FROM,
    "overwrite": Operation.RENAME_OVER,
    "chmod": Operation.SET_MODE,
    "chown": Operation.SET_OWNER,
    "touch": Operation.SET_TIMES,
    "purge": Operation.PURGE_VERSION,
    "restore": Operation.RESTORE_OVER,
}
_OF_A_VERSION: Final = frozenset(
    {
        Operation.PURGE_VERSION,
        Operation.REPLACE_VERSION,
        Operation.DESTROY_KEY,
        Operation.CHANGE_CLASS,
        Operation.COMPACT,
        Operation.REMOVE_ZONE,
        Operation.REPAIR,
    }
)
"""Asked of the current version, as the operation itself would."""
_VERSIONS_A_STEP: Final = 256


async def set_retention(request: SetRetention, context: Context) -> LockListing:
    """All paths are found before the first is locked."""
    filesystem = context.filesystem
    inodes = [live_inode(filesystem, path) for path in request.paths]
    until_ns = parse_until(request.until, now_ns=filesystem.volume.now_ns())
    wanted = Retention(mode=parse_mode_of_command(request.mode), until_ns=until_ns)
    bypass = context.bypass(wanted=request.bypass_governance, reason=request.reason)
    for path, inode in zip(request.paths, inodes, strict=True):
        with _naming(path, request.paths):
            await filesystem.lock_attributes.set_retention(
                inode.ino, wanted, context.caller, bypass=bypass, cut_writers=request.cut_writers
            )
            _check_means_it(filesystem, path, inode.ino)
    return _locks_of(request.paths, context)


async def describe_retention(request: DescribeRetention, context: Context) -> LockListing:
    """Of the current version."""
    return _locks_of((request.path,), context)


async def clear_retention(request: ClearRetention, context: Context) -> LockListing:
    """Of the current version."""
    inode = live_inode(context.filesystem, request.path)
    bypass = context.bypass(wanted=request.bypass_governance, reason=request.reason)
    context.filesystem.locks.set_retention(inode.ino, None, caller=context.caller, bypass=bypass)
    return _locks_of((request.path,), context)


async def set_legal_hold(request: SetLegalHold, context: Context) -> LockListing:
    """All paths are found before the first is held."""
    filesystem = context.filesystem
    _check_said(request.case, "--case")
    _check_said(request.reason, "--reason")
    inodes = [live_inode(filesystem, path) for path in request.paths]
    for path, inode in zip(request.paths, inodes, strict=True):
        hold = LegalHold(
            case=request.case,
            reason=request.reason,
            holder=context.caller.uid,
            placed_ns=filesystem.volume.now_ns(),
        )
        with _naming(path, request.paths):
            await filesystem.lock_attributes.set_legal_hold(
                inode.ino, hold, context.caller, cut_writers=request.cut_writers
            )
            _check_means_it(filesystem, path, inode.ino)
    return _locks_of(request.paths, context)


async def clear_legal_hold(request: ClearLegalHold, context: Context) -> LockListing:
    """Other cases' holds stay."""
    filesystem = context.filesystem
    _check_said(request.reason, "--reason")
    inodes = [live_inode(filesystem, path) for path in request.paths]
    for path, inode in zip(request.paths, inodes, strict=True):
        with _naming(path, request.paths):
            filesystem.locks.clear_legal_hold(inode.ino, request.case, caller=context.caller)
    return _locks_of(request.paths, context)


def _check_means_it(filesystem: FileSystem, path: bytes, ino: int) -> None:
    """The path means the file that is locked now; its writers were waited for.

    Raises:
        NoSuchName: it means nothing any more.
        WriterActive: it means another file, which nobody locked.
    """
    if live_inode(filesystem, path).ino != ino:
        refusal = errors.WriterActive(
            "another file took the name while writers were waited for: what it was is locked, and"
            " what it is now is not"
        )
        refusal.attempt = errors.Attempt(Operation.SET_RETENTION.value, ino)
        raise refusal


@contextmanager
def _naming(path: bytes, paths: tuple[bytes, ...]) -> Iterator[None]:
    """Errors say which of several paths they are about."""
    try:
        yield
    except errors.S3fsLocalError as error:
        if len(paths) == 1:
            raise
        raise type(error)(f"{printed_key(path)}: {error}") from error


def _check_said(text: str, option: str) -> None:
    if not text.strip():
        raise errors.InvalidArgument(f"{option} must say something")


async def list_legal_holds(request: ListLegalHolds, context: Context) -> HoldListing:
    """Also those on versions that are not current, and on deleted files."""
    volume = context.filesystem.volume
    rows: list[HoldRow] = []
    after = (0, 0)
    done = 0
    while versions := volume.metadata.locked_versions(after, _VERSIONS_A_STEP):
        for version in versions:
            if version.lock and version.lock.holds:
                rows += _hold_rows(path_of(volume, version.ino), version, version.lock)
        after = (versions[-1].ino, versions[-1].stamp_ns)
        done += len(versions)
        await context.outlet.progress("locked versions looked at", done=done)
    rows = [row for row in rows if request.case in {"", row.case}]
    return HoldListing(sorted(rows, key=lambda row: row.key))


async def set_append_only(request: SetAppendOnly, context: Context) -> LockListing:
    """All paths are found before the first is changed."""
    filesystem = context.filesystem
    inodes = [live_inode(filesystem, path) for path in request.paths]
    for path, inode in zip(request.paths, inodes, strict=True):
        with _naming(path, request.paths):
            filesystem.lock_attributes.settle_draft(inode.ino)
            filesystem.locks.set_append_only(inode.ino, caller=context.caller)
    return _locks_of(request.paths, context)


async def protect(request: Protect, context: Context) -> Policy:
    """What is there already stays as it is."""
    inode = live_inode(context.filesystem, request.path)
    commit, quiet_ns = parse_commit(request.commit) if request.commit else ("", 0)
    wanted = DirectoryPolicy(
        mode=parse_mode_of_command(request.mode),
        period_ns=parse_period(request.period),
        append_only=request.append_only,
        semantics=parse_semantics(request.semantics).value if request.semantics else "",
        commit=commit,
        quiet_ns=quiet_ns,
    )
    context.filesystem.locks.set_policy(inode.ino, wanted, caller=context.caller)
    policy = context.filesystem.volume.inode(inode.ino).policy or wanted
    return Policy(
        key=printed_key(request.path),
        mode=policy.mode,
        period=format_duration(policy.period_ns),
        append_only=policy.append_only,
        semantics=policy.semantics,
        commit=format_commit(policy),
    )


async def explain(request: Explain, context: Context) -> Explanation:
    """Asks the very gate that the operation itself would ask."""
    inode = live_inode(context.filesystem, request.path)
    operation = _operation_named(request.operation)
    allowed = Explanation(key=printed_key(request.path), operation=operation.value, allowed=True)
    try:
        _ask(context.filesystem, operation, inode)
    except errors.Protected as refusal:
        return Explanation(
            key=allowed.key,
            operation=allowed.operation,
            allowed=False,
            rule=str(refusal) + _example_below(context.filesystem, inode),
            until=_end_of(refusal.until_ns),
            who_may=refusal.who_may,
        )
    return allowed


def _ask(filesystem: FileSystem, operation: Operation, inode: Inode) -> None:
    version = filesystem.volume.metadata.version(inode.ino, inode.version_ns)
    if operation in _OF_A_VERSION and version is not None:
        filesystem.locks.check_version(operation, version)
    elif inode.is_directory and operation is Operation.RENAME_FROM:
        filesystem.locks.check(Operation.MOVE_ANCESTOR, inode)
    elif inode.is_file and inode.append_only and operation is Operation.RENAME_FROM:
        filesystem.locks.check(Operation.ROTATE, inode)  # in its directory that is rotation
    else:
        filesystem.locks.check(operation, inode)


def _example_below(filesystem: FileSystem, inode: Inode) -> str:
    witness = filesystem.locks.marks.witness(inode)
    if not witness:
        return ""
    return f"; one is {printed_key(path_of(filesystem.volume, witness))}"


def _operation_named(text: str) -> Operation:
    word = text.lower().replace("_", "-")
    if word in _COMMON_WORDS:
        return _COMMON_WORDS[word]
    try:
        return Operation(word)
    except ValueError:
        known = ", ".join([*(operation.value for operation in Operation), *_COMMON_WORDS])
        raise errors.InvalidArgument(f"no operation {text[:64]!r}; there are: {known}") from None


def _end_of(until_ns: int) -> str:
    return "no date is set" if until_ns >= OPEN_NS else format_until(until_ns)


def _locks_of(paths: tuple[bytes, ...], context: Context) -> LockListing:
    return LockListing([_lock_row(path, context.filesystem) for path in paths])


def _lock_row(path: bytes, filesystem: FileSystem) -> LockRow:
    inode = live_inode(filesystem, path)
    version = filesystem.volume.metadata.version(inode.ino, inode.version_ns)
    lock = inode.lock or Lock()
    retention = lock.retention
    policy = inode.policy or DirectoryPolicy()
    return LockRow(
        key=printed_key(path),
        version_id=None if version is None else public_id(version),
        object_lock_mode=None if retention is None else retention.mode,
        object_lock_retain_until_date=None
        if retention is None
        else format_until(retention.until_ns),
        object_lock_legal_hold_status="ON" if lock.holds else None,
        append_only=bool(inode.append_only) or policy.append_only,
        default_mode=policy.mode or None,
        default_period=format_duration(policy.period_ns) if policy.mode else None,
        default_semantics=policy.semantics or None,
        default_commit=format_commit(policy) if policy.mode else None,
        legal_holds=[] if version is None else _hold_rows(path, version, lock),
    )


def _hold_rows(path: bytes, version: Version, lock: Lock | None) -> list[HoldRow]:
    return [
        HoldRow(
            key=printed_key(path),
            version_id=public_id(version),
            case=hold.case,
            reason=hold.reason,
            placed=format_rfc3339(hold.placed_ns),
            owner=Owner(str(hold.holder)),
        )
        for hold in (lock or Lock()).holds
    ]
