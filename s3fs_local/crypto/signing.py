"""Signatures that anybody can check and only the holder of the key ring can make (Ed25519)."""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_BYTES: Final = 64


class Signer:
    """Signs with one key."""

    def __init__(self, seed: bytes) -> None:
        """The private key that the 32 bytes make; the same seed makes the same key."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: Final = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The signature, SIGNATURE_BYTES."""
        return self._key.sign(message)


def is_signed(message: bytes, signature: bytes, *, public_key: bytes) -> bool:
    """Whether the holder of the key signed exactly this."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
