"""Data keys: one random key a file, wrapped by the key ring, unwrapped keys in a bounded cache."""

from collections import OrderedDict
from typing import Final

from s3fs_local.crypto.key_ring import KeyRing
from s3fs_local.crypto.sealing import KEY_BYTES
from s3fs_local.errors import KeyMissing
from s3fs_local.metadata.changes import PutKey
from s3fs_local.metadata.interface import Metadata
from s3fs_local.system.randomness import Randomness

CACHED_KEYS_MAX: Final = 4096


class DataKeys:
    """Makes data keys and opens wrapped ones."""

    def __init__(
        self,
        *,
        metadata: Metadata,
        ring: KeyRing,
        randomness: Randomness,
        store_id: bytes,
        last_key_id: int,
    ) -> None:
        self._metadata = metadata
        self._ring = ring
        self._randomness = randomness
        self._store_id = store_id
        self._last_key_id = last_key_id
        self._open: OrderedDict[int, bytes] = OrderedDict()

    def make(self) -> PutKey:
        """A new key, usable at once; the caller applies the change that records it."""
        self._last_key_id += 1
        key_id = self._last_key_id
        key = self._randomness.bytes(KEY_BYTES)
        self._remember(key_id, key)
        return PutKey(key_id, self._ring.wrap(key, self._context(key_id)))

    def exists(self, key_id: int) -> bool:
        """Whether the key was made and not destroyed since."""
        return key_id in self._open or self._metadata.key(key_id) is not None

    def open(self, key_id: int) -> bytes:
        """The plain key.

        Raises:
            KeyMissing: it was destroyed, or its ring key is not there.
        """
        key = self._open.get(key_id)
        if key is not None:
            return key
        wrapped = self._metadata.key(key_id)
        if wrapped is None:
            raise KeyMissing(f"data key {key_id} was destroyed")
        key = self._ring.unwrap(wrapped, self._context(key_id))
        self._remember(key_id, key)
        return key

    def forget(self, key_id: int) -> None:
        """The plain key is no longer in memory."""
        self._open.pop(key_id, None)

    def _context(self, key_id: int) -> bytes:
        return self._store_id + key_id.to_bytes(8, "big")

    def _remember(self, key_id: int, key: bytes) -> None:
        self._open[key_id] = key
        if len(self._open) > CACHED_KEYS_MAX:
            self._open.popitem(last=False)
