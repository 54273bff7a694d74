"""The wrapped form of a data key: of which file it is, and who can unwrap it.

    8 bytes      inode of the file that the key was made for (0: a bucket key)
    1 byte       the form, then
    1 RING       1 byte n, n bytes name of the ring key, 4 version, 16 salt, 48 sealed
    2 SERVICE    2 bytes n, n bytes id of the key as it was asked for, the service's own blob
    3 BUCKET     8 bytes number of the bucket key, 16 salt, 48 sealed
    4 TWO        2 bytes n, n bytes the first half's form (1 or 2), the second half's form (1)

Whatever unwraps is given the *binding* too: which store, file and data key the bytes belong to. A
bucket key is a data key that wraps data keys, so that not every file costs a call of the service.
"""

from typing import Final

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from s3fs_local.crypto.sealing import KEY_BYTES
from s3fs_local.errors import DataDamaged

RING: Final = 1
SERVICE: Final = 2
BUCKET: Final = 3
TWO: Final = 4

SALT_BYTES: Final = 16
TAG_BYTES: Final = 16
_INO_BYTES: Final = 8
_NUMBER_BYTES: Final = 8
_VERSION_BYTES: Final = 4
_NONCE: Final = bytes(12)  # each seal has a key of its own, made from a fresh salt
_BUCKET_CONTEXT: Final = b"s3fs_local bucket key 1"


class Binding(Struct, frozen=True):
    """What a data key belongs to; it opens as nothing else."""

    store_id: bytes
    ino: int  # of the file that it was made for; other files may share its blocks
    key_id: int

    def encode(self) -> bytes:
        """For associated data."""
        return self.store_id + self.ino.to_bytes(8, "big") + self.key_id.to_bytes(8, "big")

    def context(self) -> dict[str, str]:
        """The encryption context of a key service; its log shows it."""
        return {
            "s3fs_local:store": self.store_id.hex(),
            "s3fs_local:file": str(self.ino),
            "s3fs_local:data-key": str(self.key_id),
        }


class RingForm(Struct, frozen=True):
    """Wrapped by a key of the store's own ring."""

    name: str
    version: int
    raw: bytes  # for `KeyRing.unwrap`


class ServiceForm(Struct, frozen=True):
    """Wrapped by a key service."""

    key: str  # as it was asked for: an id, an ARN or alias/NAME
    blob: bytes


class BucketForm(Struct, frozen=True):
    """Wrapped by a bucket key."""

    number: int  # the key_id of the bucket key
    raw: bytes


class TwoForm(Struct, frozen=True):
    """Two keys, for two layers, each wrapped by itself."""

    first: RingForm | ServiceForm
    second: RingForm


Form = RingForm | ServiceForm | BucketForm | TwoForm


def with_ino(ino: int, form: bytes) -> bytes:
    """The wrapped key, complete."""
    return ino.to_bytes(_INO_BYTES, "big") + form


def ino_of(wrapped: bytes) -> int:
    """The inode for which the key was made."""
    return int.from_bytes(wrapped[:_INO_BYTES], "big")


def form_of(wrapped: bytes) -> Form:
    """Who can unwrap it.

    Raises:
        DataDamaged: the bytes are no wrapped key.
    """
    return parse_form(wrapped[_INO_BYTES:])


def parse_form(form: bytes) -> Form:
    """See `form_of`; the inode is not part of it."""
    kind = form[0] if form else 0
    if kind == RING:
        return _ring_form(form)
    if kind == SERVICE:
        end, key = _text(form)
        return ServiceForm(key, form[end:])
    if kind == BUCKET and len(form) == 1 + _NUMBER_BYTES + SALT_BYTES + KEY_BYTES + TAG_BYTES:
        return BucketForm(int.from_bytes(form[1 : 1 + _NUMBER_BYTES], "big"), form)
    if kind == TWO:
        return _two_form(form)
    raise DataDamaged("these bytes are no wrapped data key")


def _ring_form(form: bytes) -> RingForm:
    end = 2 + form[1] if len(form) > 1 else 0
    if len(form) != end + _VERSION_BYTES + SALT_BYTES + KEY_BYTES + TAG_BYTES:
        raise DataDamaged("a wrapped data key has the wrong length")
    name = form[2:end].decode(errors="replace")
    return RingForm(name, int.from_bytes(form[end : end + _VERSION_BYTES], "big"), form)


def _two_form(form: bytes) -> TwoForm:
    end = 3 + int.from_bytes(form[1:3], "big")
    kinds = {*form[3:4], *form[end : end + 1]}
    if TWO in kinds:
        raise DataDamaged("a wrapped data key has more than two layers")
    first, second = parse_form(form[3:end]), parse_form(form[end:])
    if isinstance(first, RingForm | ServiceForm) and isinstance(second, RingForm):
        return TwoForm(first, second)
    raise DataDamaged("a wrapped data key of two layers is malformed")


def _text(form: bytes) -> tuple[int, str]:
    end = 3 + int.from_bytes(form[1:3], "big")
    if len(form) <= end:
        raise DataDamaged("a wrapped data key is cut short")
    return end, form[3:end].decode(errors="replace")


def service_form(key: str, blob: bytes) -> bytes:
    """The form of what a key service wrapped."""
    encoded = key.encode()
    return bytes((SERVICE,)) + len(encoded).to_bytes(2, "big") + encoded + blob


def two_form(first: bytes, second: bytes) -> bytes:
    """The form of two wrapped keys."""
    return bytes((TWO,)) + len(first).to_bytes(2, "big") + first + second


def wrap_under_bucket_key(
    data_key: bytes, *, bucket_key: bytes, number: int, binding: Binding, salt: bytes
) -> bytes:
    """The form of a data key that a bucket key wraps; `salt` is fresh."""
    header = bytes((BUCKET,)) + number.to_bytes(_NUMBER_BYTES, "big") + salt
    cipher = AESGCM(blake3(salt, key=bucket_key).update(_BUCKET_CONTEXT).digest())
    return header + cipher.encrypt(_NONCE, data_key, header + binding.encode())


def unwrap_under_bucket_key(form: BucketForm, *, bucket_key: bytes, binding: Binding) -> bytes:
    """The data key.

    Raises:
        DataDamaged: the bytes are damaged, or belong elsewhere.
    """
    end = 1 + _NUMBER_BYTES + SALT_BYTES
    header, sealed = form.raw[:end], form.raw[end:]
    salt = header[-SALT_BYTES:]
    cipher = AESGCM(blake3(salt, key=bucket_key).update(_BUCKET_CONTEXT).digest())
    try:
        return cipher.decrypt(_NONCE, sealed, header + binding.encode())
    except InvalidTag:
        raise DataDamaged("a data key does not open under its bucket key") from None
