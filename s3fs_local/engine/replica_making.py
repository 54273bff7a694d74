"""Files that a destination is receiving: their numbers here, and the keys of their new bytes."""

from collections.abc import Collection

from msgspec import Struct, structs

from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.replication_messages import Origin
from s3fs_local.engine.volume import Volume
from s3fs_local.metadata.changes import PutKey
from s3fs_local.rules.encryption import Encryption
from s3fs_local.rules.inode import Inode


class Making(Struct):
    """A file that is being received: its number, and its key."""

    ino: int
    key_id: int = 0
    new_keys: list[PutKey] = []  # that no fact knows yet


class Makings:
    """The files that one source is telling of, since it last settled."""

    def __init__(self, volume: Volume, origins: Origins) -> None:
        self._volume = volume
        self._metadata = volume.metadata
        self._origins = origins
        self._makings: dict[Origin, Making] = {}

    def of(self, origin: Origin) -> Making:
        """The file of that origin, whether it is here already or is new."""
        making = self._makings.get(origin)
        if making is None:
            ino = self._origins.inode(origin)
            making = Making(self._volume.new_ino() if ino is None else ino)
            self._makings[origin] = making
        return making

    def has_key_nowait(self, making: Making, wanted: Encryption) -> bool:
        """Whether the file has an open key of the kind that its new bytes have at the source.

        False where a key service must be asked first.
        """
        new_keys, keys = self._volume.new_keys, self._volume.keys
        with new_keys.following(wanted):
            if making.key_id and self._metadata.key(making.key_id) is None:
                if keys.opened(making.key_id) is not None:
                    return True
                making.key_id = 0  # too old to go on with, and nobody can be asked for it
            if not making.key_id:
                inode = self._metadata.inode(making.ino)
                if inode is not None and inode.key_id and new_keys.fits(inode.key_id):
                    making.key_id = inode.key_id
                elif not new_keys.can_make_nowait(making.ino):
                    return False
                else:
                    made = new_keys.make(making.ino)
                    making.new_keys += made
                    self._volume.arriving_keys.update((put.key_id, put.wrapped) for put in made)
                    making.key_id = made[-1].key_id
                    return True
        return keys.open_nowait(making.key_id) is not None

    def known(self, origin: Origin) -> Making | None:
        """The file, if anything was told of it."""
        return self._makings.get(origin)

    @property
    def inos(self) -> list[int]:
        """The numbers of them all."""
        return [making.ino for making in self._makings.values()]

    def of_keys(self, key_ids: Collection[int]) -> list[Making]:
        """The files with keys among these that no fact knows yet.

        A block that one version brought may count first with another: that of a file which shares
        it, while the file that it was carried for is refused.
        """
        return [
            making
            for making in self._makings.values()
            if any(put.key_id in key_ids for put in making.new_keys)
        ]

    def recorded(self, making: Making) -> None:
        """Facts know its keys now, or nothing came of them."""
        for put in making.new_keys:
            self._volume.arriving_keys.pop(put.key_id, None)
        making.new_keys = []

    def clear(self) -> None:
        """Nothing is being received any more."""
        for making in self._makings.values():
            self.recorded(making)
        self._makings.clear()


def without_content(told: Inode, ino: int) -> Inode:
    """A new inode of the same kind, without names and content."""
    bare = Inode(ino=ino, mode=told.mode, uid=told.uid, gid=told.gid, nlink=0, rdev=told.rdev)
    size = len(told.target) if told.is_symlink else 0
    return structs.replace(bare, target=told.target, size=size, btime_ns=told.btime_ns)
