"""Making data keys, as the store's default encryption says at the time.

The ring wraps at once. A key service makes the key itself, so whoever is about to need one asks
`can_make_nowait` beforehand, and has a thread put the question. With a bucket key (S3) the service
is asked once in a while, and that key wraps the files' keys.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from s3fs_local.crypto.key_ring import STORE_KEY
from s3fs_local.crypto.key_service import MadeKey
from s3fs_local.crypto.sealing import KEY_BYTES
from s3fs_local.crypto.wrapped_keys import (
    SALT_BYTES,
    BucketForm,
    RingForm,
    ServiceForm,
    TwoForm,
    form_of,
    service_form,
    two_form,
    with_ino,
    wrap_under_bucket_key,
)
from s3fs_local.engine.data_keys import CACHED_KEYS_MAX, DataKeys, OpenKey
from s3fs_local.metadata.changes import PutKey
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.encryption import Algorithm, Encryption
from s3fs_local.system.randomness import Randomness


class NewKeys:
    """Makes the data keys of one store."""

    def __init__(
        self, *, metadata: Metadata, keys: DataKeys, randomness: Randomness, last_key_id: int
    ) -> None:
        self._metadata = metadata
        self._keys = keys
        self._randomness = randomness
        self._last_key_id = last_key_id
        self._numbers: dict[int, int] = {}  # by inode, of a key that the service makes
        self._made: dict[int, MadeKey] = {}  # by that number, what it made
        self._bucket_number = 0  # of a bucket key that the service makes
        self._bucket_row: PutKey | None = None  # of the bucket key that wraps
        self._fitting: set[int] = set()  # keys wrapped by the ring alone as `_fitted_to` says
        self._fitted_to: Encryption | None = None
        self.encryption: Callable[[], Encryption] = Encryption

    @property
    def _by_service(self) -> bool:
        return (
            self.encryption().algorithm is not Algorithm.AES256 and self._keys.service is not None
        )

    @property
    def _ring_key(self) -> str:
        encryption = self.encryption()
        return STORE_KEY if encryption.algorithm is Algorithm.AES256 else encryption.key_name

    @property
    def _service_key(self) -> str:
        encryption = self.encryption()
        return encryption.key or f"alias/{encryption.key_name}"

    @contextmanager
    def following(self, encryption: Encryption) -> Iterator[None]:
        """Within the block keys are made as this says, and not as the store's default does."""
        default = self.encryption
        self.encryption = lambda: encryption
        try:
            yield
        finally:
            self.encryption = default

    def fits(self, key_id: int) -> bool:
        """Whether new bytes of a file may be sealed with the key, as the encryption is now."""
        encryption = self.encryption()
        if encryption is not self._fitted_to or len(self._fitting) > CACHED_KEYS_MAX:
            self._fitted_to = encryption
            self._fitting.clear()
        if key_id in self._fitting and self._keys.opened(key_id) is not None:
            return True
        wrapped = self._metadata.key(key_id)
        if wrapped is None:
            return False
        form = form_of(wrapped)
        fits = self._form_fits(form)
        if fits and isinstance(form, RingForm) and encryption.algorithm is Algorithm.AES256:
            self._fitting.add(key_id)
        return fits

    def _form_fits(self, form: RingForm | ServiceForm | BucketForm | TwoForm) -> bool:
        is_double = isinstance(form, TwoForm)
        if is_double != (self.encryption().algorithm is Algorithm.DSSE):
            return False
        match form.first if isinstance(form, TwoForm) else form:
            case RingForm(name=name):
                return not self._by_service and name == self._ring_key
            case ServiceForm(key=key):
                return self._by_service and not self._uses_bucket_key and key == self._service_key
            case BucketForm(number=number):
                return self._uses_bucket_key and self._is_bucket_key(self._metadata.key(number))

    @property
    def _uses_bucket_key(self) -> bool:
        return self._by_service and self.encryption().bucket_key

    def _is_bucket_key(self, wrapped: bytes | None) -> bool:
        """Whether the bucket key is one of the present default's."""
        form = None if wrapped is None else form_of(wrapped)
        return isinstance(form, ServiceForm) and form.key == self._service_key

    def check(self) -> None:
        """The ring keys that a new data key needs are there.

        Raises:
            KeyMissing, KeyDisabled: one is not, or must not be used.
        """
        if self.encryption().algorithm is Algorithm.AES256:
            self._keys.ring.check_wraps(STORE_KEY)
            return
        if not self._by_service:
            self._keys.ring.check_wraps(self._ring_key)
        if self.encryption().algorithm is Algorithm.DSSE:
            self._keys.ring.check_wraps(STORE_KEY)

    def can_make_nowait(self, ino: int) -> bool:
        """Whether `make` has all it needs; else a question must be put, and this called again.

        Raises:
            EncryptionError: what the service answered, or what `check` says.
        """
        self.check()
        if not self._by_service:
            return True
        if self._uses_bucket_key:
            return self._bucket_key_nowait(fresh=True) is not None
        if ino not in self._numbers:
            self._numbers[ino] = self._new_number()
        number = self._numbers[ino]
        if number not in self._made:
            made = self._made_by_service(ino, number)
            if made is None:
                return False
            self._made[number] = made
        return True

    def _made_by_service(self, ino: int, number: int) -> MadeKey | None:
        service = self._keys.service
        assert service is not None
        context = self._keys.binding(ino, number).context()
        ask = partial(service.make, self._service_key, context)
        answer = self._keys.questions.answer(number, ask)
        return answer if isinstance(answer, MadeKey) else None

    @property
    def bucket_number(self) -> int:
        """The number of the bucket key that wraps; 0 = none does."""
        return 0 if self._bucket_row is None else self._bucket_row.key_id

    def _bucket_key_nowait(self, *, fresh: bool) -> OpenKey | None:
        """An open bucket key of the present default; None where the service must be asked."""
        row = self._bucket_row
        if row is not None and self._is_bucket_key(row.wrapped):
            found = self._keys.opened(row.key_id, fresh=fresh)
            if found is not None:
                return found
        self._bucket_number = self._bucket_number or self._new_number()
        made = self._made_by_service(0, self._bucket_number)
        if made is None:
            return None
        form = service_form(self._service_key, made.blob)
        self._bucket_row = PutKey(self._bucket_number, with_ino(0, form))
        self._bucket_number = 0
        return self._keys.remember(self._bucket_row.key_id, OpenKey(made.plain, self._keys.soon()))

    def release(self, ino: int) -> None:
        """A key that the service made for the file and nobody used is forgotten."""
        self._made.pop(self._numbers.pop(ino, 0), None)

    def make(self, ino: int) -> list[PutKey]:
        """A new key for the file, usable at once; the caller applies the changes that record it.

        The last of them is the key's own. Waits for a key service only where nobody called
        `can_make_nowait` before, as while a store is opened.

        Raises:
            EncryptionError: the key that would wrap it cannot be used.
        """
        is_usual = self.encryption().algorithm is Algorithm.AES256
        if not is_usual and self._by_service:
            if self._uses_bucket_key:
                return self._make_by_bucket_key(ino)
            return self._make_by_service(ino)
        number = self._new_number()
        key = OpenKey(self._randomness.bytes(KEY_BYTES), math.inf)
        context = self._keys.binding(ino, number).encode()
        ring_key = STORE_KEY if is_usual else self._ring_key
        form = self._keys.ring.wrap(key.key, context, ring_key)
        return [self._complete(ino, number, key, form)]

    def _make_by_service(self, ino: int) -> list[PutKey]:
        while not self.can_make_nowait(ino):
            self._keys.questions.put()
        number = self._numbers.pop(ino)
        made = self._made.pop(number)
        key = OpenKey(made.plain, self._keys.soon())
        return [self._complete(ino, number, key, service_form(self._service_key, made.blob))]

    def _make_by_bucket_key(self, ino: int) -> list[PutKey]:
        self.check()
        while (bucket := self._bucket_key_nowait(fresh=False)) is None:
            self._keys.questions.put()
        row = self._bucket_row
        assert row is not None
        number = self._new_number()
        key = OpenKey(self._randomness.bytes(KEY_BYTES), bucket.expires)
        form = wrap_under_bucket_key(
            key.key,
            bucket_key=bucket.key,
            number=row.key_id,
            binding=self._keys.binding(ino, number),
            salt=self._randomness.bytes(SALT_BYTES),
        )
        put = self._complete(ino, number, key, form)
        return [put] if self._metadata.key(row.key_id) is not None else [row, put]

    def _complete(self, ino: int, number: int, key: OpenKey, form: bytes) -> PutKey:
        """The key is open. Where two layers are wanted it has a second half, of the ring."""
        if self.encryption().algorithm is Algorithm.DSSE:
            second = self._randomness.bytes(KEY_BYTES)
            context = self._keys.binding(ino, number).encode()
            form = two_form(form, self._keys.ring.wrap(second, context, STORE_KEY))
            key = OpenKey(key.key + second, key.expires)
        self._keys.remember(number, key)
        return PutKey(number, with_ino(ino, form))

    def _new_number(self) -> int:
        self._last_key_id += 1
        return self._last_key_id
