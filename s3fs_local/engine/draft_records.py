"""What the journal holds: batches of changes, and what is needed to bring drafts back.

Each record is complete in itself; replayed in order they rebuild every draft that was not
committed.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from s3fs_local.errors import JournalDamaged
from s3fs_local.metadata.changes import Change
from s3fs_local.rules.extents import Block
from s3fs_local.rules.ledger_notes import Note

FLOOR_SETTING: Final = "fact.journal-floor"
"""The journal position before which no record is needed: facts have it, drafts repeat it later."""


class ChangeBatch(Struct, frozen=True, tag=1, array_like=True):
    """Changes to the facts, in order, and the drafts they committed or dropped.

    One record, so that a crash never leaves a commit without the end of its draft.
    """

    changes: list[Change]
    ended_drafts: list[int]
    notes: list[Note] = []  # for the ledger


class DraftBegun(Struct, frozen=True, tag=2, array_like=True):
    """A draft of the inode exists; it starts from the current version.

    Where the journal goes on in a new segment, the draft is begun again and repeated whole. Until
    the `follows` records behind are all there, what was said of it before still holds.
    """

    ino: int
    draft_id: int
    uid: int
    size: int
    follows: int = 0  # how many records of the draft belong to this one


class DraftWritten(Struct, frozen=True, tag=3, array_like=True):
    """Bytes of the file from `offset` are `data`."""

    ino: int
    draft_id: int
    offset: int
    data: bytes
    mtime_ns: int


class DraftResized(Struct, frozen=True, tag=4, array_like=True):
    """The file was truncated or extended to `size`."""

    ino: int
    draft_id: int
    size: int
    mtime_ns: int


class DraftSealed(Struct, frozen=True, tag=5, array_like=True):
    """A cell's bytes lie in packs; everything written to it before is in `layout`."""

    ino: int
    draft_id: int
    cell: int
    layout: bytes
    blocks: list[Block]  # those that are not among the facts yet
    mtime_ns: int  # of what was written to the file last


class PacksDurable(Struct, frozen=True, tag=6, array_like=True):
    """Blocks mentioned in records up to this journal position survive a power cut."""

    position: int


class _KnownBatch(Struct, frozen=True, tag=1, array_like=True):
    """A `ChangeBatch` of which only the ends of drafts are wanted."""

    changes: msgspec.Raw
    ended_drafts: list[int]
    notes: msgspec.Raw = msgspec.Raw()


DraftRecord = DraftBegun | DraftWritten | DraftResized | DraftSealed
JournalRecord = ChangeBatch | PacksDurable | DraftRecord

encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final[Callable[[bytes], JournalRecord]] = msgspec.msgpack.Decoder(JournalRecord).decode
_decode_known: Final = msgspec.msgpack.Decoder(_KnownBatch | PacksDurable | DraftRecord).decode


def decode(payload: bytes) -> JournalRecord:
    """The record. Raises JournalDamaged: no release of this format wrote it."""
    try:
        return _decode(payload)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise _damage(error) from error


def decode_known(payload: bytes) -> JournalRecord:
    """As `decode`, but a batch has neither its changes nor its notes: they are known already.

    Most of a journal is such batches, and to make objects of them would take a mount seconds.
    """
    try:
        record = _decode_known(payload)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise _damage(error) from error
    return ChangeBatch([], record.ended_drafts) if isinstance(record, _KnownBatch) else record


def _damage(error: Exception) -> JournalDamaged:
    return JournalDamaged(f"a record of the journal is whole and makes no sense: {error}")
