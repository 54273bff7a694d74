"""The secret that opens a key ring, out of what was given."""

from pathlib import Path

from s3fs_local import errors
from s3fs_local.crypto.slot_secrets import KeyFile, Passphrase, RecoveryKey, Secret
from s3fs_local.daemon.recovery_sheet import recovery_key_in
from s3fs_local.daemon.store_file import StoreRecord
from s3fs_local.daemon.unlocking import SECRET_BYTES_MAX, Unlocking
from s3fs_local.system import durable_files


def secret_of(path: Path, record: StoreRecord, unlocking: Unlocking) -> Secret:
    """What opens the key ring.

    Raises:
        WrongKey: nothing was given, or the key file is missing or none.
    """
    if unlocking.passphrase is not None:
        return Passphrase(unlocking.passphrase)
    if unlocking.key_text is not None:
        return _parsed(unlocking.key_text.encode(), "what the keyring holds")
    if unlocking.key_file is None and not record.key_file:
        raise errors.WrongKey(f"{path} is opened by a passphrase, and none was given")
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
