"""Directories that are being listed, from opendir(3) to closedir(3), live ones and views alike."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from s3fs_local.engine.attributes import Attributes
from s3fs_local.engine.views import Listing, Views
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import BadHandle
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, ROOT_INO, Inode

BATCH: Final = 128
FIRST_ENTRY_OFFSET: Final = 1
"""The readdir offset of `.versions` where it is shown; entries have far larger ones, stamps."""


class OpenDirectory(Struct):
    """A directory that is being listed."""

    ino: int
    listing: Listing | None  # of a view
    until_ns: int  # entries made later are left out, or a program that renames all would never end


class Listings:
    """The open directories of one mount. Numbers are never used twice."""

    def __init__(self, volume: Volume, *, attributes: Attributes, views: Views) -> None:
        self._volume = volume
        self._attributes = attributes
        self._views = views
        self._open: dict[int, OpenDirectory] = {}
        self._last = 0

    def open(self, ino: int) -> int:
        """A handle to list the directory with."""
        listing = None
        if ino >= FIRST_VIRTUAL_INO:
            listing = self._views.listing(ino)
        else:
            self._volume.directory(ino)
        self._last += 1
        self._open[self._last] = OpenDirectory(ino, listing, self._volume.now_ns())
        return self._last

    def close(self, handle: int) -> None:
        """The handle is closed, if it was open."""
        self._open.pop(handle, None)

    def listed(self, handle: int) -> int:
        """The directory that the handle lists; 0 where it is not open."""
        opened = self._open.get(handle)
        return 0 if opened is None else opened.ino

    def itself_and_parent(self, handle: int) -> tuple[Inode, Inode]:
        """What `.` and `..` mean there; a view's parent is not told. Raises BadHandle."""
        ino = self._opened(handle).ino
        if ino >= FIRST_VIRTUAL_INO:
            view = self._views.get(ino)
            return view, view
        itself = self._attributes.get(ino)
        return itself, self._volume.inode(itself.parent or ROOT_INO)

    def entries(
        self, handle: int, after: int, *, shows_views: bool
    ) -> Iterator[tuple[bytes, Inode, int]]:
        """(name, attributes, offset) of the entries behind the offset `after` (0: from the start).

        Offsets of a live directory stay true while entries come and go. With `shows_views` it has
        an entry for its `.versions`.

        Raises:
            BadHandle: it is not open.
        """
        opened = self._opened(handle)
        if opened.listing is not None:
            return self._views.entries(opened.listing, after)
        return self._live_entries(opened, after, shows_views=shows_views)

    def _live_entries(
        self, opened: OpenDirectory, after: int, *, shows_views: bool
    ) -> Iterator[tuple[bytes, Inode, int]]:
        if not after:
            opened.until_ns = self._volume.now_ns()  # rewinddir(3) looks anew
        door = self._volume.settings.snapdirname.encode()
        if shows_views and after < FIRST_ENTRY_OFFSET:
            folder = self._views.versions_of(opened.ino)
            self._views.remember(folder.ino)
            yield door, folder, FIRST_ENTRY_OFFSET
        while batch := self._volume.metadata.children(opened.ino, after, BATCH):
            for entry, inode in batch:
                after = entry.from_ns
                if after > opened.until_ns:
                    return
                if entry.name == door:
                    continue  # made under another snapdirname: nobody gets to it by this name
                shown = inode
                if inode.ino in self._volume.drafts:
                    shown = self._attributes.get(inode.ino)
                yield entry.name, shown, after

    def _opened(self, handle: int) -> OpenDirectory:
        opened = self._open.get(handle)
        if opened is None:
            raise BadHandle(f"directory handle {handle}")
        return opened
