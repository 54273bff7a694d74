"""How background work yields to programs: how long it rests after what it took.

A call that meets a step of background work waits for it. So what a program notices is the share of
its calls that meet one, and that is the share of time that background work takes. It takes so small
a share that a hundredth of the calls is more than meet it. A rest has an end in any case, so all
work comes to its own.
"""

from typing import Final

SHARE: Final = 1 / 50
"""Of the time in which programs use the mount, for all background work together."""
STEP_S: Final = 0.002
"""Steps that took less are put together before a rest: a short rest is no rest."""
REST_S_MAX: Final = 0.25
"""The floor: while nobody else asks, there are at least so many steps a second, as is said here."""
QUIET_S: Final = 0.1
"""A mount that nobody asked for so long is not in use."""
PIECE_BYTES_IN_USE: Final = 1 << 20
PIECE_BYTES: Final = 8 << 20
"""Fewer and longer steps cost less where nobody is disturbed."""
LATE_S: Final = 5.0
"""What somebody waits for, such as another region for what is written here, yields until then."""
SHARE_FOR_A_PERSON: Final = 1 / 4
"""Of what a person waits for, from then on. Programs notice; whoever waits can stop it."""
WHOLE: Final = 1.0


def share(late_s: float, when_late: float) -> float:
    """Of the time, for work of which somebody waits for the result since then."""
    return SHARE if late_s < LATE_S else when_late


def rest_s(took_s: float, of_share: float = SHARE) -> float:
    """How long all work of that share rests after a step that took so long; 0 after a short one."""
    if took_s < STEP_S:
        return 0.0
    return min(took_s * (1 / of_share - 1), REST_S_MAX)


def is_in_use(quiet_s: float) -> bool:
    """Whether programs use a mount that was last asked something so long ago."""
    return quiet_s < QUIET_S


def piece_bytes(*, in_use: bool) -> int:
    """How much one step reads: a thread that reads and computes takes its time from the loop."""
    return PIECE_BYTES_IN_USE if in_use else PIECE_BYTES
