"""How threads take turns under Python's lock."""

import sys
from typing import Final

TURN_S: Final = 0.0005
"""A thread that computes gives way after this. By default it is 5 ms: so long a request waited each
time that a scrub, a seal or a move was computing in a thread beside the loop."""


def keep_turns_short() -> None:
    """A thread that wants to go on waits for another one no longer than `TURN_S`."""
    sys.setswitchinterval(TURN_S)
