"""A service that keeps keys and never gives them out: it wraps and unwraps data keys on request."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class MadeKey(Struct, frozen=True):
    """A new data key, plain and as the service wrapped it."""

    plain: bytes
    blob: bytes

    def __repr__(self) -> str:
        return "MadeKey(…)"


class KeyService(Protocol):
    """Blocks while it asks, for a bounded time; called in threads, several at once.

    Raises:
        KeyMissing: the service knows no such key.
        KeyDisabled: the key is disabled, or waits for its deletion.
        KeyNotPermitted: the caller may not use it.
        KeyServiceUnavailable: no answer after some tries.
        DataDamaged: a blob was changed, or the context is not the one it was made with.
    """

    def make(self, key: str, context: Mapping[str, str]) -> MadeKey:
        """A new data key of 32 bytes, wrapped by the named key for this context."""
        ...

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """The data key that a blob of `make` wraps."""
        ...

    @property
    def problem(self) -> str:
        """What the last request met, where the service did not answer it; else empty."""
        ...
