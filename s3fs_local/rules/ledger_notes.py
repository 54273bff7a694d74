"""What the ledger says beside the changes themselves: who did it, and what was refused.

Notes travel in the batch with the changes they belong to, so a crash keeps both or neither. Tags
are part of the format and are never reused.
"""

from msgspec import Struct


class Actor(Struct, frozen=True, array_like=True):
    """Who did something: a process, as it was at that moment."""

    uid: int
    pid: int = 0
    program: str = ""  # its name; empty where it could not be told


class Refused(Struct, frozen=True, tag=1, array_like=True):
    """A lock forbade an operation, once or `count` times since the note before it."""

    at_ns: int  # of the first
    who: Actor
    operation: str
    ino: int
    rule: str  # the sentence that names lock and end
    count: int = 1


class RefusedMore(Struct, frozen=True, tag=2, array_like=True):
    """Further refusals, of more kinds than are told apart at one time."""

    at_ns: int
    count: int


class Bypassed(Struct, frozen=True, tag=3, array_like=True):
    """GOVERNANCE gave way to somebody entitled, who gave this reason."""

    at_ns: int
    who: Actor
    operation: str
    ino: int
    version_ns: int
    reason: str


class Commanded(Struct, frozen=True, tag=4, array_like=True):
    """A command that may change the store was carried out."""

    at_ns: int
    who: Actor
    command: str


class LedgerDamaged(Struct, frozen=True, tag=5, array_like=True):
    """Opening the store found the ledger not as it had been left."""

    at_ns: int
    finding: str


class ClockNoted(Struct, frozen=True, tag=6, array_like=True):
    """The compliance clock came into doubt, or out of it, or was handed over."""

    at_ns: int
    finding: str


class LockLifted(Struct, frozen=True, tag=7, array_like=True):
    """A protection that was in force was ended or shortened, as the rules allow to some."""

    at_ns: int
    ino: int
    version_ns: int


class ClockShown(Struct, frozen=True, tag=8, array_like=True):
    """The compliance clock when a version with a retention went, or its retention was changed.

    A record tells what the clock shows when it is written. After a crash, and with a false date,
    that is earlier than what it showed when this was done.
    """

    at_ns: int
    expiry_ns: int


Note = (
    Refused
    | RefusedMore
    | Bypassed
    | Commanded
    | LedgerDamaged
    | ClockNoted
    | LockLifted
    | ClockShown
)
