"""What opens a store's key ring, and where it is looked for.

In this order: what was named with the command; a credential that systemd gave the unit; the keyring
of the desktop, where `init` put the key there; the key file that `store.json` names. Nothing secret
is ever taken from the environment, which other processes may read.
"""

import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.daemon.layout import KEY_RING_NAME
from s3fs_local.system import durable_files

CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
KEY_CREDENTIAL: Final = "key"
PASSPHRASE_CREDENTIAL: Final = "passphrase"  # noqa: S105  a name
KEYRING_SERVICE: Final = "s3fs-local"
SECRET_BYTES_MAX: Final = 4096


class Unlocking(Struct, frozen=True):
    """What was given; nothing = what is found."""

    passphrase: str | None = None
    key_file: Path | None = None
    key_text: str | None = None  # what a key file would hold

    def __repr__(self) -> str:
        return "Unlocking(…)"

    @property
    def is_given(self) -> bool:
        """Whether it names anything."""
        return (self.passphrase, self.key_file, self.key_text) != (None, None, None)


def secrets_of(unlocking: Unlocking) -> bytes:
    """What must not stand in an argument, for the pipe to the daemon."""
    return msgspec.json.encode([unlocking.passphrase, unlocking.key_text])


def read_secrets(data: bytes, *, key_file: Path | None) -> Unlocking:
    """The other end of the pipe."""
    passphrase, key_text = msgspec.json.decode(data, type=tuple[str | None, str | None])
    return Unlocking(passphrase=passphrase, key_file=key_file, key_text=key_text)


def credential() -> Unlocking:
    """What systemd gave the unit that we run in (`LoadCredential=key:…` or `passphrase:…`)."""
    folder = os.environ.get(CREDENTIALS_VARIABLE)
    if not folder:
        return Unlocking()
    key, passphrase = Path(folder) / KEY_CREDENTIAL, Path(folder) / PASSPHRASE_CREDENTIAL
    if key.exists():
        return Unlocking(key_file=key)
    if not passphrase.exists():
        return Unlocking()
    return Unlocking(passphrase=read_passphrase(passphrase))


def read_passphrase(path: Path) -> str:
    """The first line of the file.

    Raises:
        InvalidArgument: it cannot be read, or the line is empty, over 4096 bytes or no UTF-8.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(SECRET_BYTES_MAX + 1).rstrip(b"\r\n")
    except OSError as error:
        raise errors.InvalidArgument(
            f"the passphrase file {path} cannot be read: {error.strerror}"
        ) from error
    if not 0 < len(line) <= SECRET_BYTES_MAX:
        raise errors.InvalidArgument(
            f"the first line of {path} must hold 1 to {SECRET_BYTES_MAX} bytes"
        )
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise errors.InvalidArgument(f"the first line of {path} is not UTF-8") from None


def may_have_a_passphrase(store: Path) -> bool:
    """Whether a passphrase opens it, as far as its directory tells: a zone may know better."""
    from s3fs_local.crypto.key_ring import slot_kinds_of  # noqa: PLC0415  slow, and rarely needed

    try:
        return "passphrase" in slot_kinds_of(durable_files.read_small(store / KEY_RING_NAME))
    except (OSError, errors.S3fsLocalError):
        return True


def from_keyring(store_id: str) -> Unlocking:
    """The key that the desktop's keyring has for the store.

    Raises:
        WrongKey: it has none, or cannot be asked.
    """
    import keyring  # noqa: PLC0415  slow to import, and rarely needed
    from keyring.errors import KeyringError  # noqa: PLC0415

    try:
        text = keyring.get_password(KEYRING_SERVICE, store_id)
    except KeyringError as error:
        raise errors.WrongKey(f"the keyring of this system cannot be asked: {error}") from error
    if text is None:
        raise errors.WrongKey(
            f"the keyring of this system has no key {KEYRING_SERVICE!r} for {store_id}"
        )
    return Unlocking(key_text=text)


def put_into_keyring(store_id: str, key_text: str) -> None:
    """The desktop's keyring has the key for the store.

    Raises:
        InvalidArgument: it cannot take it.
    """
    import keyring  # noqa: PLC0415  as above
    from keyring.errors import KeyringError  # noqa: PLC0415

    try:
        keyring.set_password(KEYRING_SERVICE, store_id, key_text.strip())
    except KeyringError as error:
        raise errors.InvalidArgument(
            f"the keyring of this system does not take a key: {error}"
        ) from error
