"""Data keys: random keys of files, wrapped by the key ring or a key service, opened on demand.

Open keys are kept in memory: those of the ring as long as there is room, those of a service for a
bounded time, after which the service is asked again. Nothing here waits but `open`: where a service
must be asked, `open_nowait` says None and `questions.put`, in a thread, gets what it lacked.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec import Struct

from s3fs_local.crypto.key_ring import KeyRing
from s3fs_local.crypto.key_service import KeyService
from s3fs_local.crypto.wrapped_keys import (
    Binding,
    BucketForm,
    RingForm,
    ServiceForm,
    TwoForm,
    form_of,
    ino_of,
    unwrap_under_bucket_key,
)
from s3fs_local.engine.key_questions import KeyQuestions
from s3fs_local.errors import KeyMissing, KeyServiceUnavailable
from s3fs_local.metadata.interface import Metadata

CACHED_KEYS_MAX: Final = 16_384
CACHE_SECONDS: Final = 300.0
SERVICE_SETTING: Final = "kms"
"""Once this was set, some data key may need a service; it is never unset, only switched off."""


class OpenKey(Struct, frozen=True, gc=False):
    """A key in memory, and until when (monotonic seconds) it may be used."""

    key: bytes
    expires: float

    def __repr__(self) -> str:
        return "OpenKey(…)"


class DataKeys:
    """Opens wrapped data keys, and keeps the open ones."""

    def __init__(
        self,
        *,
        metadata: Metadata,
        ring: KeyRing,
        store_id: bytes,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metadata = metadata
        self.ring: Final = ring
        self.store_id: Final = store_id
        self.seconds: Final = seconds
        self.questions: Final = KeyQuestions(seconds)
        self.find_service: Callable[[], KeyService | None] = lambda: None
        self.find_cache_seconds: Callable[[], float] = lambda: CACHE_SECONDS
        self.is_pinned: Callable[[int], bool] = lambda _: False
        """Whether a key must stay open: somebody writes, and close(2) cannot wait for a service."""
        self._open: OrderedDict[int, OpenKey] = OrderedDict()
        self._ring_is_whole = ring.is_whole
        self._needs_service = metadata.setting(SERVICE_SETTING) is not None

    @property
    def service(self) -> KeyService | None:
        """The key service that the settings name."""
        return self.find_service()

    @property
    def is_simple(self) -> bool:
        """Whether every data key opens by the ring alone, so that nobody needs to look."""
        if self.service is not None:
            self._needs_service = True
        return self._ring_is_whole and not self._needs_service

    def ring_changed(self) -> None:
        """A key of the ring was enabled or disabled: nothing is taken to be open any more."""
        self._ring_is_whole = self.ring.is_whole
        for key_id in [key_id for key_id in self._open if not self.is_pinned(key_id)]:
            del self._open[key_id]

    def exists(self, key_id: int) -> bool:
        """Whether the key was made and not destroyed since."""
        return key_id in self._open or self._metadata.key(key_id) is not None

    def opened(self, key_id: int, *, fresh: bool = False) -> OpenKey | None:
        """The key, if it is in memory and may still be used; `fresh`: pins do not count."""
        found = self._open.get(key_id)
        if found is None or found.expires == math.inf or self.seconds() < found.expires:
            return found
        return found if not fresh and self.is_pinned(key_id) else None

    def open(self, key_id: int) -> bytes:
        """The plain key; waits for a key service where it must be asked.

        Raises:
            EncryptionError: it was destroyed, or what wraps it cannot be used.
        """
        while True:
            key = self.open_nowait(key_id)
            if key is not None:
                return key.key
            self.questions.put()

    def open_nowait(self, key_id: int, *, fresh: bool = False) -> OpenKey | None:
        """The key; None where a key service must be asked first (then call `questions.put`).

        Raises:
            KeyMissing: it was destroyed, or its ring key is not there.
            EncryptionError: the key that wraps it cannot be used.
        """
        found = self.opened(key_id, fresh=fresh)
        if found is not None:
            return found
        wrapped = self._metadata.key(key_id)
        if wrapped is None:
            raise KeyMissing(f"data key {key_id} was destroyed")
        binding = self.binding(ino_of(wrapped), key_id)
        found = self._unwrapped(form_of(wrapped), binding)
        return None if found is None else self.remember(key_id, found)

    def _unwrapped(
        self, form: RingForm | ServiceForm | BucketForm | TwoForm, binding: Binding
    ) -> OpenKey | None:
        match form:
            case RingForm():
                return OpenKey(self.ring.unwrap(form, binding.encode()), math.inf)
            case ServiceForm():
                return self._by_service(form, binding)
            case BucketForm():
                bucket = self.open_nowait(form.number)
                if bucket is None:
                    return None
                key = unwrap_under_bucket_key(form, bucket_key=bucket.key, binding=binding)
                return OpenKey(key, bucket.expires)
            case TwoForm():
                second = self.ring.unwrap(form.second, binding.encode())
                first = self._unwrapped(form.first, binding)
                return None if first is None else OpenKey(first.key + second, first.expires)

    def _by_service(self, form: ServiceForm, binding: Binding) -> OpenKey | None:
        if self.service is None:
            raise KeyServiceUnavailable(
                f"the data key is wrapped by the key {form.key!r} of a key service, and none is set"
            )
        ask = partial(self.service.unwrap, form.blob, binding.context())
        answer = self.questions.answer(binding.key_id, ask)
        return OpenKey(answer, self.soon()) if isinstance(answer, bytes) else None

    def remember(self, key_id: int, key: OpenKey) -> OpenKey:
        """The key stays in memory, as long as it may and there is room."""
        self._open[key_id] = key
        if len(self._open) > CACHED_KEYS_MAX:
            self._open.popitem(last=False)
        return key

    def forget(self, key_id: int) -> None:
        """The plain key is no longer in memory."""
        self._open.pop(key_id, None)

    def binding(self, ino: int, key_id: int) -> Binding:
        """What the data key belongs to."""
        return Binding(self.store_id, ino, key_id)

    def soon(self) -> float:
        """When a key that a service opened now must be asked for again."""
        return self.seconds() + self.find_cache_seconds()
