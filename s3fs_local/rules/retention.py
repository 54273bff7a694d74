"""WORM locks: what they forbid, who may lift them, and the words in which they are given.

A version is protected while a legal hold lies on it or its retention lies in the future (S3). What
that means for the file whose current version it is depends on the semantics of its directory:

    operations on …               FILE              S3                  GOVERNANCE bypass
    the version (purge, replace,  refused           refused             purge and clear only
      key, clear retention)
    the file (content, name,      refused           new version or      no: lift the retention
      place, attributes, links)                     delete marker         first, which is recorded
    a directory above             refused           refused where files below are frozen in place
    nothing a lock guards         accepted          accepted            not needed

Append-only comes on top, in either semantics and with or without a lock: what is written stays,
appends and rotation go on. An operation that no list below names is judged like one on the version,
so a door that was forgotten is a closed one.
"""

import re
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from typing import Final

from msgspec import Struct

from s3fs_local import errors
from s3fs_local.rules.ledger_notes import Actor
from s3fs_local.rules.namespace import OPEN_NS

GOVERNANCE: Final = "GOVERNANCE"
"""Yields to an entitled bypass."""
COMPLIANCE: Final = "COMPLIANCE"
"""Yields to nobody, root included."""

APPENDABLE: Final = 1
"""`Inode.append_only`: appends at the end are accepted, nothing else."""
SEALING: Final = 2
"""`Inode.append_only`: rotated away; only handles already open may append, then it is frozen."""

_SECOND_NS: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * _SECOND_NS
MAX_PERIOD_NS: Final = 36_500 * _DAY_NS
"""S3's longest retention: 100 years of 365 days."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_NS: Final = {
    "s": _SECOND_NS,
    "m": 60 * _SECOND_NS,
    "h": 3600 * _SECOND_NS,
    "d": _DAY_NS,
    "w": 7 * _DAY_NS,
    "y": 365 * _DAY_NS,
}
# Ten digits hold 100 years of seconds. They are spelled out: \d and int() take any script's digits.
_PERIOD: Final = re.compile(r"([1-9][0-9]{0,9})([smhdwy])")
_INSTANT: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9])))?"
)


class Retention(Struct, frozen=True, array_like=True):
    """Until when a version may not be changed or removed."""

    mode: str  # GOVERNANCE or COMPLIANCE
    until_ns: int


class LegalHold(Struct, frozen=True, array_like=True):
    """A hold without a date, for a case."""

    case: str
    reason: str
    holder: int  # uid
    placed_ns: int


class Lock(Struct, frozen=True, array_like=True):
    """The protection of one version: retention and legal holds are independent (S3)."""

    retention: Retention | None = None
    holds: tuple[LegalHold, ...] = ()


class DirectoryPolicy(Struct, frozen=True, array_like=True):
    """What files made below a directory inherit. How two add up is in `rules/policies.py`."""

    mode: str = ""
    period_ns: int = 0
    append_only: bool = False
    semantics: str = ""  # of `Semantics`; "" = nothing said here
    commit: str = ""  # of `policies.Commit`: what makes a file locked; "" = nothing said here
    quiet_ns: int = 0  # with QUIET: so long after the last write


class Bypass(Struct, frozen=True):
    """Someone asks explicitly to override GOVERNANCE."""

    entitled: bool  # root, or in the store's bypass group
    reason: str  # for the ledger; a blank one is none
    forbidden: bool = False  # the store's `governance-bypass` is not enabled: nobody is entitled
    who: Actor = Actor(0)  # for the ledger


class Semantics(StrEnum):
    """What a lock on a version means for the file that has it."""

    FILE = "file"
    S3 = "s3"


class Operation(Enum):
    """Every kind of door to protected bytes, by its name for people (`why OPERATION PATH`)."""

    WRITE = "write"  # alters existing bytes; allocate and punch too
    APPEND = "append"
    TRUNCATE = "truncate"  # to a smaller or larger size
    OPEN_FOR_WRITE = "open-for-write"
    OPEN_TRUNCATE = "open-truncate"
    RESTORE_OVER = "restore-over"  # an old version becomes the current content
    SET_MODE = "set-mode"
    SET_OWNER = "set-owner"
    SET_TIMES = "set-times"
    SET_XATTR = "set-xattr"  # ACLs too
    REMOVE_XATTR = "remove-xattr"
    SET_TAGS = "set-tags"
    LINK = "link"
    UNLINK = "unlink"  # lifecycle's expiration of the current version too
    RENAME_FROM = "rename-from"
    RENAME_OVER = "rename-over"  # asked of what loses the name
    RENAME_EXCHANGE = "rename-exchange"  # asked of both
    ROTATE = "rotate"  # rename inside the directory to a free name
    MOVE_ANCESTOR = "move-ancestor"  # rename of a directory
    REPLACE_VERSION = "replace-version"  # a null or provisional version makes room for a new one
    PURGE_VERSION = "purge-version"  # lifecycle's expiration of noncurrent versions too
    DESTROY_KEY = "destroy-key"
    SET_RETENTION = "set-retention"  # `plan_retention` judges the date
    CLEAR_RETENTION = "clear-retention"
    SET_LEGAL_HOLD = "set-legal-hold"
    CLEAR_LEGAL_HOLD = "clear-legal-hold"
    SET_APPEND_ONLY = "set-append-only"
    CLEAR_APPEND_ONLY = "clear-append-only"
    CHANGE_CLASS = "change-class"  # the bytes are copied before they are dropped
    COMPACT = "compact"  # likewise
    REMOVE_ZONE = "remove-zone"  # likewise: enough other zones hold the bytes, checked before
    WEAKEN_SEMANTICS = "weaken-semantics"  # of a directory or the store, from file to s3
    REPAIR = "repair"  # fsck drops what is damaged: a version, a layout, a name


_ALWAYS_ACCEPTED: Final = frozenset(
    {
        Operation.SET_RETENTION,
        Operation.SET_LEGAL_HOLD,
        Operation.CLEAR_LEGAL_HOLD,
        Operation.CHANGE_CLASS,
        Operation.COMPACT,
        Operation.REMOVE_ZONE,
    }
)
_ACCEPTED_UNDER_S3: Final = frozenset(
    {
        Operation.WRITE,
        Operation.APPEND,
        Operation.TRUNCATE,
        Operation.OPEN_FOR_WRITE,
        Operation.OPEN_TRUNCATE,
        Operation.RESTORE_OVER,
        Operation.SET_MODE,
        Operation.SET_OWNER,
        Operation.SET_TIMES,
        Operation.SET_XATTR,
        Operation.REMOVE_XATTR,
        Operation.SET_TAGS,
        Operation.LINK,
        Operation.UNLINK,
        Operation.RENAME_FROM,
        Operation.RENAME_OVER,
        Operation.RENAME_EXCHANGE,
        Operation.ROTATE,
        Operation.MOVE_ANCESTOR,
        Operation.SET_APPEND_ONLY,
        Operation.CLEAR_APPEND_ONLY,
    }
)
MINDED_BELOW: Final = frozenset(
    {
        Operation.WEAKEN_SEMANTICS,
        Operation.RENAME_FROM,
        Operation.RENAME_EXCHANGE,
        Operation.ROTATE,
        Operation.MOVE_ANCESTOR,
    }
)
"""Asked of a directory for all that lies below it."""
# Opening needs no O_APPEND as with chattr +a: every write through the handle is judged again.
_ACCEPTED_BY_APPEND_ONLY: Final = {
    APPENDABLE: frozenset(
        {
            Operation.APPEND,
            Operation.OPEN_FOR_WRITE,
            Operation.ROTATE,
            Operation.SET_APPEND_ONLY,
        }
    ),
    # Rotating again is how auditd and logrotate shift log.1 to log.2.
    SEALING: frozenset({Operation.APPEND, Operation.ROTATE}),
}
# A version that replaces another of an append-only file holds all its bytes; dates are not bytes.
_NOT_FOR_APPEND_ONLY: Final = frozenset({Operation.REPLACE_VERSION, Operation.CLEAR_RETENTION})
_BYPASSABLE: Final = frozenset({Operation.PURGE_VERSION, Operation.CLEAR_RETENTION})


class Guarded(Struct, frozen=True):
    """What the gate must know of the target of an operation.

    For operations on a version (purge, replace) `lock` is that version's, and `append_only` is the
    file's if the version is the current one and 0 otherwise: the bytes of an earlier version of an
    append-only file live on in the later ones.
    """

    lock: Lock | None = None  # of the current version, or of the version in question
    append_only: int = 0  # 0, APPENDABLE or SEALING
    descendants_protected_until_ns: int = 0  # directories: of a file below, by
    # `protected_until_ns`, that minds being moved; with S3 semantics only append-only files do


def is_protected(lock: Lock | None, now_ns: int) -> bool:
    """Whether a hold lies on the version, or its retention ends after `now_ns` (open end)."""
    if lock is None:
        return False
    return bool(lock.holds) or (lock.retention is not None and lock.retention.until_ns > now_ns)


def protected_until_ns(lock: Lock | None, *, append_only: int = 0) -> int:
    """When the protection ends; `OPEN_NS` while a hold or append-only is in force, 0 for none."""
    if append_only or (lock is not None and lock.holds):
        return OPEN_NS
    if lock is None or lock.retention is None:
        return 0
    return lock.retention.until_ns


def check(
    operation: Operation,
    guarded: Guarded,
    *,
    semantics: Semantics,
    now_ns: int,
    bypass: Bypass | None,
) -> None:
    """The one policy gate: returns if no lock forbids the operation at `now_ns`.

    Raises:
        Protected: a lock, append-only or a protected file below forbids it; names rule and end.
        BypassNotPermitted: only GOVERNANCE is in the way, and the caller may not override it.
    """
    if operation in _ALWAYS_ACCEPTED:
        return
    if operation in MINDED_BELOW and guarded.descendants_protected_until_ns > now_ns:
        raise _protected_below(operation, guarded.descendants_protected_until_ns)
    if guarded.append_only and operation not in _NOT_FOR_APPEND_ONLY:
        if operation in _ACCEPTED_BY_APPEND_ONLY.get(guarded.append_only, ()):
            return
        raise _protected(operation, guarded, now_ns)
    if semantics is Semantics.S3 and operation in _ACCEPTED_UNDER_S3:
        return
    lock = guarded.lock
    if operation is Operation.CLEAR_RETENTION and lock is not None:
        lock = Lock(retention=lock.retention)  # S3: retention and holds do not look at each other
    if lock is None or not is_protected(lock, now_ns):
        return
    refusal = _protected(operation, Guarded(lock=lock), now_ns)
    if operation in _BYPASSABLE and _yields(lock, bypass, refusal):
        return
    raise refusal


def _yields(lock: Lock, bypass: Bypass | None, refusal: errors.Protected) -> bool:
    """Whether a protecting lock gives way: bare GOVERNANCE before an entitled bypass, nothing else.

    Raises:
        BypassNotPermitted: it would give way, but not to this caller, or not without a reason.
    """
    if bypass is None or lock.holds:
        return False
    if lock.retention is None or lock.retention.mode != GOVERNANCE:
        return False
    if bypass.forbidden:
        why = "in this store nobody may override GOVERNANCE (setting governance-bypass)"
    elif not bypass.entitled:
        why = "only root and the store's bypass group may override GOVERNANCE"
    elif not bypass.reason.strip():
        why = "overriding GOVERNANCE needs a reason"
    else:
        return True
    raise errors.BypassNotPermitted(f"{refusal}; {why}")


def _protected(operation: Operation, guarded: Guarded, now_ns: int) -> errors.Protected:
    """The refusal, with every rule in force in one sentence, its end, and who may."""
    return errors.Protected(
        f"{operation.value} refused: {describe_protection(guarded, now_ns)}",
        until_ns=protected_until_ns(guarded.lock, append_only=guarded.append_only),
        who_may=_who_may(operation, guarded, now_ns),
    )


def _protected_below(operation: Operation, until_ns: int) -> errors.Protected:
    return errors.Protected(
        f"{operation.value} refused: it holds protected files {_describe_end(until_ns)}",
        until_ns=until_ns,
        who_may="whoever may, once nothing below is protected any more",
    )


def describe_protection(guarded: Guarded, now_ns: int, *, with_reasons: bool = False) -> str:
    """Every rule in force on a file or version, for people; "" for none."""
    rules = []
    if guarded.append_only:
        rules.append("append-only" if guarded.append_only == APPENDABLE else "sealed by rotation")
    lock = guarded.lock or Lock()
    if lock.retention is not None and lock.retention.until_ns > now_ns:
        rules.append(f"{lock.retention.mode} retention {_describe_end(lock.retention.until_ns)}")
    rules += [
        f"legal hold for case {hold.case!r}" + f": {hold.reason}" * with_reasons
        for hold in lock.holds
    ]
    return ", ".join(rules)


def _who_may(operation: Operation, guarded: Guarded, now_ns: int) -> str:
    lock = guarded.lock or Lock()
    if lock.holds:
        cases = ", ".join(hold.case for hold in lock.holds)
        return f"nobody until the legal hold is cleared by its holder or root (case {cases})"
    if guarded.append_only or lock.retention is None or lock.retention.until_ns <= now_ns:
        return "nobody; append-only is never taken back"
    if lock.retention.mode != GOVERNANCE:
        return "nobody before that date, root included"
    entitled = "root, and the store's bypass group"
    if operation in _BYPASSABLE or operation is Operation.SET_RETENTION:
        return f"{entitled}, with --bypass-governance and a --reason"
    return f"after `retention clear --bypass-governance`: {entitled}"


def _describe_end(until_ns: int) -> str:
    return "without an end date" if until_ns >= OPEN_NS else f"until {format_until(until_ns)}"


def plan_retention(
    current: Lock | None,
    wanted: Retention | None,
    *,
    now_ns: int,
    bypass: Bypass | None,
    dated_ns: int = 0,
) -> Lock:
    """The lock with its retention replaced by `wanted` (None clears it); holds stay as they are.

    What has ended is judged by `now_ns`, which lags where time was not measured; how far away the
    wanted date is, by the date of the day as well (`dated_ns`), from which periods are counted.

    Retention only grows: a later date, and GOVERNANCE to COMPLIANCE with no earlier date, are open
    to everyone who may lock at all. (Ceph's s3-tests want a bypass for that change of mode; AWS
    does not document it. Whatever was refused before the change is refused after it.) An earlier
    date, or none, takes a bypass of GOVERNANCE. COMPLIANCE never shrinks or becomes GOVERNANCE.

    Raises:
        InvalidRetention: `wanted` has an unknown mode, or its date is past or over 100 years away.
        Protected: it would weaken a retention that has not ended.
        BypassNotPermitted: it would weaken GOVERNANCE, and the caller may not.
    """
    if wanted is not None:
        parse_mode(wanted.mode)
        _check_until(wanted.until_ns, now_ns, max(now_ns, dated_ns))
    present = current or Lock()
    if _weakens(present.retention, wanted, now_ns):
        lock = Lock(retention=present.retention)
        operation = Operation.CLEAR_RETENTION if wanted is None else Operation.SET_RETENTION
        refusal = _protected(operation, Guarded(lock=lock), now_ns)
        if not _yields(lock, bypass, refusal):
            raise refusal
    return Lock(retention=wanted, holds=present.holds)


def _weakens(present: Retention | None, wanted: Retention | None, now_ns: int) -> bool:
    if present is None or present.until_ns <= now_ns:
        return False
    if wanted is None or wanted.until_ns < present.until_ns:
        return True
    return present.mode != GOVERNANCE and wanted.mode == GOVERNANCE


def add_hold(lock: Lock | None, hold: LegalHold) -> Lock:
    """The hold is on; one that the case already has stays as it was placed (S3's ON twice)."""
    present = lock or Lock()
    if any(placed.case == hold.case for placed in present.holds):
        return present
    return Lock(retention=present.retention, holds=(*present.holds, hold))


def remove_hold(lock: Lock | None, case: str) -> Lock:
    """The case's hold is off; other cases' holds and the retention stay.

    Raises:
        InvalidArgument: no hold is on for this case; names those that are.
    """
    present = lock or Lock()
    kept = tuple(hold for hold in present.holds if hold.case != case)
    if len(kept) == len(present.holds):
        cases = ", ".join(repr(hold.case) for hold in kept) or "none"
        raise errors.InvalidArgument(f"no legal hold for case {case!r}; cases with a hold: {cases}")
    return Lock(retention=present.retention, holds=kept)


def parse_mode(text: str) -> str:
    """GOVERNANCE or COMPLIANCE, exactly as S3 spells them.

    Raises:
        InvalidRetention: it is anything else.
    """
    if text not in (GOVERNANCE, COMPLIANCE):
        raise errors.InvalidRetention(
            f"lock mode {text[:40]!r} is neither {GOVERNANCE} nor {COMPLIANCE}"
        )
    return text


def parse_mode_of_command(text: str) -> str:
    """The mode as people type it: all capitals or all lower case.

    Raises:
        InvalidRetention: it is anything else.
    """
    # Not text.upper(): it turns letters of other scripts (dotless i) into ASCII.
    return parse_mode({"governance": GOVERNANCE, "compliance": COMPLIANCE}.get(text, text))


def parse_legal_hold(text: str) -> bool:
    """True for ON, False for OFF, exactly as S3 spells them.

    Raises:
        InvalidRetention: it is anything else.
    """
    if text not in ("ON", "OFF"):
        raise errors.InvalidRetention(f"legal hold {text[:40]!r} is neither ON nor OFF")
    return text == "ON"


def parse_period(text: str) -> int:
    """The length in ns of `90s`, `45m`, `12h`, `30d`, `2w` or `7y` (of 365 days).

    Raises:
        InvalidRetention: it is not of this form, zero, or over 100 years.
    """
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise errors.InvalidRetention(
            f"{text[:40]!r} is no period; write a whole number from 1 and one of s m h d w y: 30d"
        )
    period_ns = int(match[1]) * _UNITS_NS[match[2]]
    check_period(period_ns)
    return period_ns


def parse_until(text: str, *, now_ns: int) -> int:
    """The instant in ns: an RFC 3339 time, a date (its midnight UTC), or a period from `now_ns` on.

    A time needs Z or an offset. Spaces, signs, leap seconds and digits beyond ASCII are refused.

    Raises:
        InvalidRetention: none of these, not after `now_ns`, or over 100 years after it.
    """
    match = _INSTANT.fullmatch(text)
    if match is not None:
        until_ns = _instant_ns(match)
    elif _PERIOD.fullmatch(text) is not None:
        until_ns = now_ns + parse_period(text)
    else:
        raise errors.InvalidRetention(
            f"{text[:40]!r} is no retain-until date; write 2033-01-31T12:00:00Z, 2033-01-31,"
            " or a period from now such as 30d or 7y"
        )
    _check_until(until_ns, now_ns, now_ns)
    return until_ns


def parse_object_lock(text: str, *, now_ns: int) -> Retention:
    """Mode and end in one value, one space between them: `COMPLIANCE 30d`.

    Raises:
        InvalidRetention: a half is missing or malformed (see `parse_mode`, `parse_until`).
    """
    mode, _, until = text.partition(" ")
    return Retention(mode=parse_mode(mode), until_ns=parse_until(until, now_ns=now_ns))


def format_until(until_ns: int) -> str:
    """RFC 3339 in UTC; a fraction only where there is one, so that `parse_until` gives it back."""
    seconds, fraction_ns = divmod(until_ns, _SECOND_NS)
    instant = _EPOCH.replace(tzinfo=None) + timedelta(seconds=seconds)
    fraction = f".{fraction_ns:09}".rstrip("0") if fraction_ns else ""
    return f"{instant.isoformat()}{fraction}Z"


def _instant_ns(match: re.Match[str]) -> int:
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    try:
        instant = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            tzinfo=UTC,
        )
    except ValueError:
        raise errors.InvalidRetention(f"{match[0]!r} is not in the calendar") from None
    # The offset is taken off as a number: datetime would overflow at both ends of its calendar.
    offset_seconds = int(hours or 0) * 3600 + int(minutes or 0) * 60
    seconds = (instant - _EPOCH) // timedelta(seconds=1)
    seconds += offset_seconds if sign == "-" else -offset_seconds
    return seconds * _SECOND_NS + int((fraction or "").ljust(9, "0"))


def check_period(period_ns: int) -> None:
    """Raises InvalidRetention: it is not positive, or over 100 years."""
    if not 0 < period_ns <= MAX_PERIOD_NS:
        raise errors.InvalidRetention(
            "a retention period must be positive and at most 36500 days (100 years)"
        )


def _check_until(until_ns: int, now_ns: int, dated_ns: int) -> None:
    # The date itself is not printed: it may lie outside every calendar.
    if until_ns <= now_ns:
        raise errors.InvalidRetention(
            f"the retain-until date must be in the future; it is {format_until(now_ns)} now"
        )
    if until_ns > dated_ns + MAX_PERIOD_NS:
        raise errors.InvalidRetention(
            "the retain-until date may be at most 36500 days (100 years) away:"
            f" {format_until(dated_ns + MAX_PERIOD_NS)}"
        )
