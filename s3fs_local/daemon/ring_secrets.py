"""The secret that opens a key ring, out of what was given."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from s3fs_local import errors
from s3fs_local.crypto.slot_secrets import KeyFile, Passphrase, RecoveryKey, Secret
from s3fs_local.daemon.recovery_sheet import recovery_key_in
from s3fs_local.daemon.store_file import StoreRecord
from s3fs_local.daemon.unlocking import SECRET_BYTES_MAX, Unlocking
from s3fs_local.system import durable_files

_IN_WORDS: Final = {
    "key-file": "a key file",
    "passphrase": "a passphrase",
    "recovery": "a recovery key",
}


def secret_of(
    path: Path, record: StoreRecord, unlocking: Unlocking, kinds: Sequence[str]
) -> Secret:
    """What opens the key ring, which has slots of these kinds.

    Raises:
        WrongKey: nothing was given, or the key file is missing or none.
    """
    if unlocking.passphrase is not None:
        return Passphrase(unlocking.passphrase)
    if unlocking.key_text is not None:
        return _parsed(unlocking.key_text.encode(), "what the keyring holds")
    if unlocking.key_file is None and not record.key_file:
        ways = " or ".join(dict.fromkeys(_IN_WORDS[kind] for kind in kinds))
        raise errors.WrongKey(f"{path} is opened by {ways}, and none was given")
    key_file = unlocking.key_file or path / record.key_file
    try:
        return _parsed(
            durable_files.read_small(key_file, limit_bytes=SECRET_BYTES_MAX), str(key_file)
        )
    except OSError as error:
        raise errors.WrongKey(
            f"the key file {key_file} cannot be read: {error.strerror}"
        ) from error


def _parsed(data: bytes, source: str) -> Secret:
    """A key file's content, a recovery key, or a recovery sheet."""
    try:
        return KeyFile.parse(data)
    except errors.InvalidArgument:
        pass
    try:
        return RecoveryKey.parse(recovery_key_in(data.decode(errors="replace")))
    except errors.WrongKey as error:
        raise errors.WrongKey(f"{source} holds no key that opens a store, or {error}") from None
