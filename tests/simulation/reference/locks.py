"""What WORM locks forbid, in the words of docs/semantics.md: S3's, for each version by itself."""

from dataclasses import dataclass, replace

from tests.simulation.reference.clock import SECOND
from tests.simulation.reference.refused import Protected, Refused

GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
OPEN, SEALED = "open", "sealed"
"""Of append-only files: as they are made, and after they were rotated away."""
FILE_FROZEN, S3 = "file", "s3"
"""What a lock on a version means for the file: it is frozen, or gets new versions."""


@dataclass(frozen=True)
class Lock:
    """What lies on one version: a retention, holds, both or neither."""

    mode: str = ""
    until: float = 0  # a second, or half of one
    holds: tuple[tuple[str, int], ...] = ()  # case, and who placed it


NO_LOCK = Lock()


CHMOD, QUIET, CLOSE = "chmod", "quiet", "close"
"""When a file takes its lock: if write permission is taken away, after a while, when closed."""
_SOONER = (CHMOD, QUIET, CLOSE)


@dataclass(frozen=True)
class Demand:
    """What directories ask of the files below them: a mode and a time in seconds; none, nothing."""

    mode: str = ""
    period: float = 0
    commit: str = ""  # CHMOD, QUIET or CLOSE; "" = nothing is said of it
    quiet: float = 0  # seconds without a writer


NO_DEMAND = Demand()


def _soon(demand: Demand) -> tuple[int, float]:
    """The greater, the sooner a file takes its lock; what locks nothing comes last."""
    return (_SOONER.index(demand.commit or CLOSE) if demand.mode else -1, -demand.quiet)


def stricter(one: Demand, other: Demand) -> Demand:
    """What both ask together."""
    if NO_DEMAND in (one, other):
        return other if one == NO_DEMAND else one
    mode = COMPLIANCE if COMPLIANCE in (one.mode, other.mode) else one.mode or other.mode
    sooner = max(one, other, key=_soon)
    return Demand(mode, max(one.period, other.period), sooner.commit, sooner.quiet)


def is_weaker(one: Demand, other: Demand) -> bool:
    """Whether it asks for less in any way."""
    is_less = other.mode == COMPLIANCE and one.mode != COMPLIANCE
    is_later = bool(other.mode) and _soon(one) < _soon(other)
    return one.period < other.period or is_less or is_later


def completed(wanted: Demand, here: Demand, above: Demand) -> Demand:
    """What it does not say of when files are locked is as it was said here, or above."""
    said = [wanted, here, *([] if here.mode else [above])]
    of_commit = next((each for each in said if each.commit), Demand(commit=CLOSE))
    return replace(wanted, commit=of_commit.commit, quiet=of_commit.quiet)


def demanded(lock: Lock, demand: Demand, since: float) -> Lock:
    """The later date and the stricter mode of what lies on a version and what is asked for."""
    if not demand.mode:
        return lock
    mode = COMPLIANCE if COMPLIANCE in (lock.mode, demand.mode) else demand.mode
    return replace(lock, mode=mode, until=max(lock.until, since + demand.period))


@dataclass(frozen=True)
class Bypass:
    """Somebody asks for GOVERNANCE to yield."""

    is_entitled: bool
    reason: str


def is_retained(lock: Lock, now_ns: int) -> bool:
    """Whether its date is ahead."""
    return lock.until * SECOND > now_ns


def is_protected(lock: Lock, now_ns: int) -> bool:
    """Whether the version may not go."""
    return bool(lock.holds) or is_retained(lock, now_ns)


def check_yields(lock: Lock, bypass: Bypass | None) -> None:
    """It is protected and gives way all the same: GOVERNANCE only, and only to who may."""
    if lock.holds or lock.mode != GOVERNANCE or bypass is None:
        raise Protected
    if not (bypass.is_entitled and bypass.reason):
        raise Refused("BypassNotPermitted")


def check_purge(lock: Lock, now_ns: int, bypass: Bypass | None) -> None:
    """The version may go."""
    if is_protected(lock, now_ns):
        check_yields(lock, bypass)


def retained(lock: Lock, mode: str, until: int, now_ns: int, bypass: Bypass | None) -> Lock:
    """Retention only grows, by date and by mode, unless it is over or yields. Holds stay."""
    if until * SECOND <= now_ns:
        raise Refused("InvalidRetention")
    is_less = until < lock.until or (lock.mode == COMPLIANCE and mode == GOVERNANCE)
    if is_retained(lock, now_ns) and is_less:
        check_yields(replace(lock, holds=()), bypass)
    return replace(lock, mode=mode, until=until)


def cleared(lock: Lock, now_ns: int, bypass: Bypass | None) -> Lock:
    """No retention lies on it. Holds stay."""
    if is_retained(lock, now_ns):
        check_yields(replace(lock, holds=()), bypass)
    return replace(lock, mode="", until=0)


def held(lock: Lock, case: str, who: int) -> Lock:
    """A hold lies on it for the case; one that did stays as it was placed."""
    if case in dict(lock.holds):
        return lock
    return replace(lock, holds=(*lock.holds, (case, who)))


def lifted(lock: Lock, case: str, who: int) -> Lock:
    """The hold for the case is gone. Only who placed it, and root, may lift it."""
    holds = dict(lock.holds)
    if who not in (0, holds.get(case, who)):
        raise Refused("NotPermitted")
    if case not in holds:
        raise Refused("InvalidArgument")
    return replace(lock, holds=tuple(each for each in lock.holds if each[0] != case))
