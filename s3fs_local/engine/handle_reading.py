"""What an open file contains: as it is now, draft included, or as a view shows it."""

from s3fs_local.engine.durability import run_in_thread
from s3fs_local.engine.open_files import OpenFiles
from s3fs_local.engine.reading import CURRENT_NS, Reading
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import BadHandle


class HandleReading:
    """Reads the files of one volume for whoever has them open."""

    def __init__(self, volume: Volume, reading: Reading, open_files: OpenFiles) -> None:
        self._volume = volume
        self._reading = reading
        self._open_files = open_files

    def read_nowait(self, handle: int, offset: int, size: int) -> bytes | None:
        """The bytes; None where something would have to be waited for (then call `read`)."""
        opened = self._open_files.get(handle)
        if opened.content is not None:
            return opened.content[offset : offset + size]
        if opened.make_content is not None:
            return None
        if opened.at_ns:
            version = self._volume.metadata.version(opened.ino, opened.at_ns)
            if version is None:
                raise BadHandle("the version was purged")
            size = min(size, version.size - offset)
            if size <= 0:
                return b""
            layouts = self._reading.layouts(opened.ino, opened.at_ns)
            return self._reading.read_nowait(layouts, offset, size)
        return self.current_nowait(opened.ino, offset, size)

    def current_nowait(self, ino: int, offset: int, size: int) -> bytes | None:
        """The bytes of the file as it is now, draft included; None as in `read_nowait`."""
        draft = self._volume.drafts.get(ino)
        if draft is None:
            size = min(size, self._volume.inode(ino).size - offset)
            if size <= 0:
                return b""
            layouts = self._reading.layouts(ino, CURRENT_NS)
            return self._reading.read_nowait(layouts, offset, size)
        size = min(size, draft.size - offset)
        if size <= 0:
            return b""
        return self._reading.read_nowait(
            lambda cell: self._reading.draft_layout(draft, cell), offset, size, draft
        )

    def current(self, ino: int, offset: int, size: int) -> bytes:
        """As `current_nowait`. Blocks while a device is read."""
        while True:
            content = self.current_nowait(ino, offset, size)
            if content is not None:
                return content
            self._volume.blocks.fetch()

    async def read(self, handle: int, offset: int, size: int) -> bytes:
        """As `read_nowait`, waiting for devices while others are served."""
        opened = self._open_files.get(handle)
        if opened.make_content is not None and opened.content is None:
            made = await opened.make_content()
            if opened.content is None:  # else another read was quicker, and its text counts
                opened.content = made
        while True:
            content = self.read_nowait(handle, offset, size)
            if content is not None:
                return content
            await self._reading.wait(run_in_thread)

    def read_in_place(self, handle: int, offset: int, size: int) -> bytes | None:
        """As `read`, where the device is quick; None where it must be waited for (then `read`)."""
        content = None
        if self._open_files.get(handle).make_content is not None:
            return None
        while content is None and self._volume.blocks.fetch_in_place():
            content = self.read_nowait(handle, offset, size)
        return content
