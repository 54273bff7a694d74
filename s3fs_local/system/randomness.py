"""Where unpredictable bits come from."""

import os
import random
import secrets
from typing import Protocol


class Randomness(Protocol):
    """Bits nobody can guess, or (in simulations) bits that one seed repeats."""

    def bytes(self, count: int) -> bytes:
        """`count` bytes."""
        ...

    def bits(self, count: int) -> int:
        """An integer in [0, 2**count)."""
        ...


class SystemRandomness:
    """The kernel's; fit for keys."""

    def bytes(self, count: int) -> bytes:
        """`count` bytes."""
        return os.urandom(count)

    def bits(self, count: int) -> int:
        """An integer in [0, 2**count)."""
        return secrets.randbits(count)


class SeededRandomness:
    """The same bits for the same seed; never fit for keys of a real store."""

    def __init__(self, seed: int) -> None:
        """Begins the sequence that belongs to `seed`."""
        self._generator = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def bytes(self, count: int) -> bytes:
        """`count` bytes."""
        return self._generator.randbytes(count)

    def bits(self, count: int) -> int:
        """An integer in [0, 2**count)."""
        return self._generator.getrandbits(count)
