"""`store.json`: what must be known of a store before any other part of it can be opened.

Plain JSON, so that a person can read it with nothing but a pager. It holds no secret. Written last
by `init` and replaced as a whole afterwards: where it is, there is a store.
"""

from pathlib import Path
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta, Struct

from s3fs_local import errors
from s3fs_local.rules.storage_classes import ZoneKind
from s3fs_local.system import durable_files

STORE_FILE_NAME: Final = "store.json"
S3_SCHEME: Final = "s3://"
FORMAT: Final = 1
_MARK: Final = "s3fs_local store"

Identifier = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]


class ZoneRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """One failure domain."""

    zone_id: Identifier
    url: Annotated[str, Meta(min_length=1)]  # a directory; relative ones are below the store
    kind: ZoneKind = ZoneKind.HOT


class Placed(Protocol):
    """A zone, as it is recorded or as it is open."""

    @property
    def url(self) -> str:
        """See `ZoneRecord`."""
        ...


def directory_of(store: Path, zone: Placed) -> Path | None:
    """Where the zone lies on this machine; None where it does not."""
    return None if zone.url.startswith(S3_SCHEME) else store / zone.url


class StoreRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    what: str
    format: Annotated[int, Meta(ge=1)]
    store_id: Identifier
    zones: Annotated[tuple[ZoneRecord, ...], Meta(min_length=1)]
    key_file: str = ""  # opens the key ring unless told otherwise; "" = a passphrase does
    keyring: bool = False  # the desktop's keyring has the key
    test_clock: bool = False


class _Heading(Struct, frozen=True):
    """The part of the file that every release, past and future, can read."""

    what: str = ""
    format: int = 0


def new_record(
    *,
    store_id: str,
    zones: tuple[ZoneRecord, ...],
    key_file: str,
    keyring: bool,
    test_clock: bool,
) -> StoreRecord:
    """The record of a store that is being made."""
    return StoreRecord(
        what=_MARK,
        format=FORMAT,
        store_id=store_id,
        zones=zones,
        key_file=key_file,
        keyring=keyring,
        test_clock=test_clock,
    )


def write_store_file(store: Path, record: StoreRecord) -> None:
    """The directory is a store, durably.

    Raises:
        StoreFull: no space.
        OSError: the file cannot be written.
    """
    durable_files.replace(store / STORE_FILE_NAME, encode_store_file(record))


def encode_store_file(record: StoreRecord) -> bytes:
    """The text of the file, as the store's directory and every zone have it."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def read_store_file(store: Path) -> StoreRecord:
    """The record of the store.

    Raises:
        NotAStore: the directory holds no store.
        NotPermitted: it may not be read by this user.
        StoreDamaged: the file is there and unreadable, or not what any release wrote.
        FormatTooNew: a newer release wrote it.
    """
    path = store / STORE_FILE_NAME
    try:
        text = durable_files.read_small(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise errors.NotAStore(f"{store} holds no store ({STORE_FILE_NAME} is missing)") from error
    except PermissionError as error:
        raise errors.NotPermitted(f"{path} may not be read by you") from error
    except OSError as error:
        raise errors.StoreDamaged(f"{path} cannot be read: {error.strerror}") from error
    return decode_store_file(text, path=str(path))


def decode_store_file(text: bytes, *, path: str) -> StoreRecord:
    """The record in a text that came from `path`.

    Raises:
        StoreDamaged: it is not what any release wrote.
        FormatTooNew: a newer release wrote it.
    """
    try:
        heading = msgspec.json.decode(text, type=_Heading)
        if heading.what != _MARK:
            raise errors.StoreDamaged(f"{path} does not describe a store")
        if heading.format > FORMAT:
            raise errors.FormatTooNew(
                f"{path} has format {heading.format}; this release reads up to {FORMAT}"
            )
        return msgspec.json.decode(text, type=StoreRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise errors.StoreDamaged(f"{path} is damaged: {error}") from error
