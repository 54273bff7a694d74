"""What directories ask of the files below them: how policies add up, and which is weaker.

Policies of directories above each other add up to the strictest of each part:

    part          weaker → stricter
    mode          none, GOVERNANCE, COMPLIANCE
    period        shorter, longer
    append-only   no, yes
    semantics     s3, file: under `s3` a locked version stands, but its file may be overwritten and
                  removed; under `file` nothing about it can be changed
    commit        chmod (a habit, if ever), quiet (longer, shorter), close (at once)

A policy is only ever made stricter. What it does not say of semantics and commit stays as it was.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import structs

from s3fs_local import errors
from s3fs_local.rules.instants import format_duration, parse_duration
from s3fs_local.rules.retention import (
    COMPLIANCE,
    DirectoryPolicy,
    Lock,
    Retention,
    Semantics,
    check_period,
    parse_mode,
)

_SECOND_NS: Final = 1_000_000_000
QUIET_NS_MAX: Final = 3650 * 86_400 * _SECOND_NS
"""Ten years, the longest autocommit of NAS appliances."""
_QUIET: Final = re.compile(r"quiet=(.{1,40})")


class Commit(StrEnum):
    """When a file takes the lock of its directory. Values are what people type."""

    CLOSE = "close"  # when its last writer has closed it
    QUIET = "quiet"  # when nobody has written to it for a while
    CHMOD = "chmod"  # when its write permission is taken away: `touch -a -d DATE f; chmod a-w f`


_RANK: Final = {Commit.CHMOD: 0, Commit.QUIET: 1, Commit.CLOSE: 2}


def parse_commit(text: str) -> tuple[Commit, int]:
    """How files commit, and the quiet period in ns: `close`, `quiet=10m`, `chmod`.

    Raises:
        InvalidArgument: none of these, or a period outside one second to ten years.
    """
    if text in (Commit.CLOSE, Commit.CHMOD):
        return Commit(text), 0
    match = _QUIET.fullmatch(text)
    if match is None:
        raise errors.InvalidArgument(
            f"{text[:40]!r} is no way to commit; write close, quiet=10m or chmod"
        )
    quiet_ns = parse_duration(match[1])
    if not _SECOND_NS <= quiet_ns <= QUIET_NS_MAX:
        raise errors.InvalidArgument("a quiet period lasts from one second to ten years")
    return Commit.QUIET, quiet_ns


def parse_semantics(text: str) -> Semantics:
    """`file` or `s3`.

    Raises:
        InvalidArgument: anything else.
    """
    try:
        return Semantics(text)
    except ValueError:
        raise errors.InvalidArgument(
            f"{text[:40]!r} is no semantics of locks; there are: file, s3"
        ) from None


def commit_of(policy: DirectoryPolicy) -> Commit:
    """When its files take their lock; at the last close, where nothing is said."""
    return Commit(policy.commit) if policy.commit else Commit.CLOSE


def format_commit(policy: DirectoryPolicy) -> str:
    """As `parse_commit` takes it."""
    commit = commit_of(policy)
    return f"quiet={format_duration(policy.quiet_ns)}" if commit is Commit.QUIET else commit.value


def check_policy(policy: DirectoryPolicy) -> None:
    """The policy has both halves of a retention, or neither.

    Raises:
        InvalidRetention: a mode without a period or the reverse, an unknown mode, or a period that
            is not positive or over 100 years.
    """
    if not policy.mode and not policy.period_ns:
        return
    parse_mode(policy.mode)
    check_period(policy.period_ns)


def stricter(one: DirectoryPolicy | None, other: DirectoryPolicy | None) -> DirectoryPolicy | None:
    """What both demand together."""
    if one is None or other is None:
        return one or other
    by_commit = max((one, other), key=_strictness_of_commit)
    return DirectoryPolicy(
        mode=COMPLIANCE if COMPLIANCE in (one.mode, other.mode) else one.mode or other.mode,
        period_ns=max(one.period_ns, other.period_ns),
        append_only=one.append_only or other.append_only,
        semantics=_stricter_semantics(one.semantics, other.semantics),
        commit=by_commit.commit,
        quiet_ns=by_commit.quiet_ns,
    )


def _strictness_of_commit(policy: DirectoryPolicy) -> tuple[int, int]:
    """A policy that locks nothing has no say in when; then the earlier lock is the stricter one."""
    return (_RANK[commit_of(policy)] if policy.mode else -1, -policy.quiet_ns)


def _stricter_semantics(one: str, other: str) -> str:
    return Semantics.FILE if Semantics.FILE in (one, other) else one or other


def semantics_of(demands: Iterable[DirectoryPolicy | None], default: Semantics) -> Semantics:
    """What a lock means for a file with names in several places, each with what holds there."""
    meanings = {
        Semantics(demand.semantics) if demand and demand.semantics else default
        for demand in demands
    }
    if not meanings:
        return default
    return Semantics.FILE if Semantics.FILE in meanings else Semantics.S3


def with_unsaid(
    wanted: DirectoryPolicy,
    *,
    here: DirectoryPolicy | None,
    holds: DirectoryPolicy | None,
    default: Semantics,
) -> DirectoryPolicy:
    """The policy complete: what it does not say is as it was here, or as it holds from above.

    So the semantics under which files were locked are written down, and no later change of the
    store's default reaches them.
    """
    present = here or DirectoryPolicy()
    above = holds or DirectoryPolicy()
    said = (wanted, present, above if not present.mode else DirectoryPolicy())
    commit = next((policy for policy in said if policy.commit), DirectoryPolicy())
    return structs.replace(
        wanted,
        semantics=wanted.semantics or present.semantics or above.semantics or default.value,
        commit=commit_of(commit).value,
        quiet_ns=commit.quiet_ns,
    )


def check_stricter(wanted: DirectoryPolicy, holds: DirectoryPolicy | None) -> None:
    """Nothing that holds there is weakened.

    Raises:
        InvalidArgument: something is; names it.
    """
    if holds is None:
        return
    weaker = []
    if wanted.period_ns < holds.period_ns:
        weaker.append(f"{format_duration(holds.period_ns)} holds there already")
    if holds.append_only and not wanted.append_only:
        weaker.append("append-only holds there already")
    if holds.mode == COMPLIANCE and wanted.mode != COMPLIANCE:
        weaker.append("COMPLIANCE holds there already")
    if holds.semantics == Semantics.FILE and wanted.semantics == Semantics.S3:
        weaker.append("under `s3` its files could be overwritten and removed, `file` holds there")
    if holds.mode and _strictness_of_commit(wanted) < _strictness_of_commit(holds):
        weaker.append(f"files there commit by {format_commit(holds)}, which is sooner")
    if weaker:
        raise errors.InvalidArgument(
            "a directory's policy can only be made stricter than the one that holds there: "
            + "; ".join(weaker)
        )


def retention_from_policy(policy: DirectoryPolicy | None, *, stamp_ns: int) -> Lock | None:
    """The lock of a version committed at `stamp_ns`: exactly one period long, not rounded (S3).

    Raises:
        InvalidRetention: the policy is damaged (see `check_policy`), so nothing may be committed
            under it as if it were not there.
    """
    if policy is None:
        return None
    check_policy(policy)
    if not policy.mode:
        return None
    return Lock(retention=Retention(mode=policy.mode, until_ns=stamp_ns + policy.period_ns))


def later(one: Retention | None, other: Retention) -> Retention:
    """The stricter mode until the later date."""
    if one is None:
        return other
    mode = COMPLIANCE if COMPLIANCE in (one.mode, other.mode) else one.mode
    return Retention(mode, max(one.until_ns, other.until_ns))
