"""Copies of the metadata in the zones: from the newest, and the journal after it, all is rebuilt.

A checkpoint is one object, named for the journal position that it has reached:

    header      magic, format, store id, position, salt
    pieces      length, and a piece of the image: compressed, then sealed, bound to its place
    end         a sealed piece of no bytes, so that one cut short is known as such

What the image says is not known here.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from struct import Struct as Layout
from typing import Final

import zstandard

from s3fs_local.crypto.frames import SALT_BYTES, TAG_BYTES
from s3fs_local.crypto.sealing import RecordCipher
from s3fs_local.errors import DataDamaged, FormatTooNew, StorageError, ZoneUnavailable
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.system.randomness import Randomness

FORMAT: Final = 1
PIECE_BYTES: Final = 1 << 20

STREAM: Final = "checkpoint"
_FOLDER: Final = f"{STREAM}/"
_SUFFIX: Final = ".checkpoint"
_MAGIC: Final = b"S3FSMETA"
_HEADER: Final = Layout(f">8sII16sQ{SALT_BYTES}s")  # magic, format, zero, store id, position, salt
_LENGTH: Final = Layout(">I")
_LEVEL: Final = 3
_PIECE_BYTES_MAX: Final = 2 * PIECE_BYTES + TAG_BYTES


def checkpoint_name(position: int) -> str:
    """The object that holds the checkpoint."""
    return f"{_FOLDER}{position:016x}{_SUFFIX}"


def checkpoint_position(name: str) -> int | None:
    """The position of the checkpoint that the object holds; None for any other object."""
    try:
        position = int(name.removeprefix(_FOLDER).removesuffix(_SUFFIX), 16)
    except ValueError:
        return None
    return position if checkpoint_name(position) == name else None


class Checkpoints:
    """The checkpoints of one store. Every method blocks; one call at a time."""

    def __init__(
        self, zones: ZoneSet, *, key: bytes, store_id: bytes, randomness: Randomness
    ) -> None:
        self._zones = zones
        self._key = key
        self._store_id = store_id
        self._randomness = randomness

    def positions(self) -> list[int]:
        """Of all checkpoints in zones that answer, the newest first."""
        found = map(checkpoint_position, self._zones.list_anywhere(_FOLDER))
        return sorted((position for position in found if position is not None), reverse=True)

    def size_bytes(self) -> int:
        """Of the newest one; 0 where there is none."""
        for position in self.positions():
            with suppress(KeyError, StorageError):
                return self._zones.length(checkpoint_name(position))
        return 0

    def write(self, position: int, image: Iterable[bytes]) -> None:
        """The newest checkpoint is this one, durably; older ones are gone.

        Args:
            position: everything in the journal up to it is in the image.
            image: its bytes, in pieces of at most PIECE_BYTES.

        Raises:
            StoreFull, TooFewZones, ZoneUnavailable: the older ones are still there.
        """
        name = checkpoint_name(position)
        if name in self._zones.list(_FOLDER):
            return
        appender = self._zones.create(name, patient=True)
        try:
            for piece in self._sealed(position, image):
                appender.append(piece)
            appender.sync()
        except StorageError:
            with suppress(StorageError):  # without its end it counts for nothing
                self._zones.delete(name)
            raise
        finally:
            appender.close()
        for older in self.positions():
            if older < position:
                self._zones.delete(checkpoint_name(older))

    def read(self, position: int) -> Iterator[bytes]:
        """The image, from the first zone whose copy is whole.

        Raises:
            DataDamaged: no zone that answers has a whole one.
            ZoneUnavailable: the zone does not have it any more, in the middle.
            FormatTooNew: a newer release wrote it.
        """
        name = checkpoint_name(position)
        for copy in self._zones.object_copies(name).values():
            if self.is_whole(position, copy):
                try:
                    yield from self._opened(position, copy)
                except DataDamaged as error:
                    raise ZoneUnavailable(f"{name} was whole, and is not any more") from error
                return
        raise DataDamaged(f"{name} is damaged in every zone")

    def is_whole(self, position: int, copy: ObjectCopy) -> bool:
        """Whether the bytes are that checkpoint, from its head to its end."""
        try:
            for _ in self._opened(position, copy):
                pass
        except DataDamaged:
            return False
        return True

    def best_copy(self, name: str, copies: Sequence[ObjectCopy]) -> ObjectCopy | None:
        """The first of the copies of a checkpoint that is whole. Reads only what it is given."""
        position = checkpoint_position(name)
        if position is None:
            return None
        return next((copy for copy in copies if self.is_whole(position, copy)), None)

    def is_blank(self, name: str, copies: Sequence[ObjectCopy]) -> bool:
        """Never: a checkpoint is there whole or not at all."""
        del name, copies
        return False

    def _sealed(self, position: int, image: Iterable[bytes]) -> Iterator[bytes]:
        salt = self._randomness.bytes(SALT_BYTES)
        header = _HEADER.pack(_MAGIC, FORMAT, 0, self._store_id, position, salt)
        cipher = RecordCipher(self._key, salt=salt, header=header)
        compressor = zstandard.ZstdCompressor(level=_LEVEL)
        yield header
        offset = len(header)
        for piece in image:
            assert 0 < len(piece) <= PIECE_BYTES
            sealed = cipher.seal(compressor.compress(piece), offset=offset)
            yield _LENGTH.pack(len(sealed)) + sealed
            offset += _LENGTH.size + len(sealed)
        end = cipher.seal(b"", offset=offset)
        yield _LENGTH.pack(len(end)) + end

    def _opened(self, position: int, copy: ObjectCopy) -> Iterator[bytes]:
        """The image in these bytes. Raises DataDamaged where they go wrong, FormatTooNew."""
        header = bytes(copy.piece(0, _HEADER.size))
        if len(header) < _HEADER.size:
            raise DataDamaged("a checkpoint has no header")
        magic, version, zero, owner, its_position, salt = _HEADER.unpack(header)
        if (magic, zero, owner, its_position) != (_MAGIC, 0, self._store_id, position):
            raise DataDamaged("a checkpoint has another's header")
        if version > FORMAT:
            raise FormatTooNew(f"a checkpoint has format {version}, this release knows {FORMAT}")
        cipher = RecordCipher(self._key, salt=salt, header=header)
        decompressor = zstandard.ZstdDecompressor()
        offset = len(header)
        while True:
            start = offset + _LENGTH.size
            prefix = copy.piece(offset, start)
            if len(prefix) < _LENGTH.size:
                raise DataDamaged("a checkpoint is cut short")
            (length,) = _LENGTH.unpack(prefix)
            if length > _PIECE_BYTES_MAX:
                raise DataDamaged("a checkpoint has a piece that is too long")
            compressed = cipher.open(copy.piece(start, start + length), offset=offset)
            offset = start + length
            if not compressed:
                if offset != copy.length:
                    raise DataDamaged("a checkpoint goes on after its end")
                return
            try:
                yield decompressor.decompress(compressed, max_output_size=PIECE_BYTES)
            except zstandard.ZstdError as error:
                raise DataDamaged("a piece of a checkpoint cannot be decompressed") from error
