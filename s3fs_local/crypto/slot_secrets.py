"""What opens a key ring: a key file, a passphrase or a recovery key. No repr shows them."""

import base64
import binascii
import re
import unicodedata
from typing import Final, Literal, Self

from blake3 import blake3
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from msgspec import Struct

from s3fs_local.crypto.sealing import KEY_BYTES
from s3fs_local.errors import InvalidArgument, WrongKey
from s3fs_local.system.randomness import Randomness

_RECOVERY_BYTES: Final = 20  # 160 bits
_CHECKSUM_BYTES: Final = 5
_GROUP_LETTERS: Final = 5
_RECOVERY_CONTEXT: Final = b"s3fs_local recovery key 1"
_MISREAD: Final = str.maketrans("018", "OIB")  # base32 has none of these digits


class PassphraseCost(Struct, frozen=True, forbid_unknown_fields=True):
    """How hard a passphrase is to guess (Argon2id, RFC 9106). The default takes about 0.4 s."""

    memory_kib: int = 65_536
    iterations: int = 4
    lanes: int = 4

    def is_sane(self) -> bool:
        """Whether a machine of today can do it, and Argon2id is defined for it."""
        return (
            1 <= self.lanes <= 64
            and 8 * self.lanes <= self.memory_kib <= 4 << 20
            and 1 <= self.iterations <= 1000
        )


class KeyFile(Struct, frozen=True):
    """The content of a key file: 32 random bytes."""

    key: bytes

    @classmethod
    def generate(cls, randomness: Randomness) -> Self:
        """A new one."""
        return cls(randomness.bytes(KEY_BYTES))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From a file: 32 bytes, or 64 hexadecimal digits with white space around.

        Raises:
            InvalidArgument: neither.
        """
        if len(data) == KEY_BYTES:
            return cls(data)
        try:
            key = bytes.fromhex(data.decode("ascii").strip())
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise InvalidArgument("a key file holds 32 bytes, or 64 hexadecimal digits")
        return cls(key)

    def text(self) -> str:
        """What to write into the file."""
        return self.key.hex() + "\n"

    def __repr__(self) -> str:
        return "KeyFile(…)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return []


class Passphrase(Struct, frozen=True):
    """Words a person remembers."""

    words: str

    def slot_key(self, salt: bytes, cost: PassphraseCost) -> bytes:
        """The key that the words make; takes as long as the cost says."""
        # The same words typed on two systems may arrive composed differently.
        secret = unicodedata.normalize("NFC", self.words).encode()
        return Argon2id(
            salt=salt,
            length=KEY_BYTES,
            iterations=cost.iterations,
            lanes=cost.lanes,
            memory_cost=cost.memory_kib,
        ).derive(secret)

    def __repr__(self) -> str:
        return "Passphrase(…)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return []


class RecoveryKey(Struct, frozen=True):
    """160 random bits to print and lock away."""

    bits: bytes

    @classmethod
    def generate(cls, randomness: Randomness) -> Self:
        """A new one."""
        return cls(randomness.bytes(_RECOVERY_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `text()`, typed in any case, with any spaces and dashes.

        Raises:
            WrongKey: it is mistyped, or none: its checksum does not fit.
        """
        letters = re.sub(r"[\s-]", "", text).upper().translate(_MISREAD)
        try:
            data = base64.b32decode(letters)
        except (binascii.Error, ValueError):
            data = b""
        bits, checksum = data[:_RECOVERY_BYTES], data[_RECOVERY_BYTES:]
        if len(bits) != _RECOVERY_BYTES or checksum != _checksum(bits):
            raise WrongKey("a recovery key that is mistyped: its checksum does not fit")
        return cls(bits)

    def text(self) -> str:
        """Eight groups of five letters or digits, the last one a checksum."""
        letters = base64.b32encode(self.bits + _checksum(self.bits)).decode("ascii")
        groups = range(0, len(letters), _GROUP_LETTERS)
        return "-".join(letters[start : start + _GROUP_LETTERS] for start in groups)

    def __repr__(self) -> str:
        return "RecoveryKey(…)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return []


Secret = KeyFile | Passphrase | RecoveryKey
SecretKind = Literal["key-file", "passphrase", "recovery"]


def kind_of(secret: Secret) -> SecretKind:
    """What a slot for the secret is called."""
    match secret:
        case KeyFile():
            return "key-file"
        case Passphrase():
            return "passphrase"
        case RecoveryKey():
            return "recovery"


def _checksum(bits: bytes) -> bytes:
    return blake3(_RECOVERY_CONTEXT + bits).digest(_CHECKSUM_BYTES)
