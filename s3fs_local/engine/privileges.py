"""What a program gives to whoever runs it falls when its bytes or its owner change.

That is set-id bits, and capabilities of the file. The kernel leaves the bits to the filesystem
(FUSE_HANDLE_KILLPRIV_V2) and says where whoever asks may not leave them: with a new size or owner,
and with each write. Before a write to a file which it knows to have such bits comes a SETATTR that
asks for nothing. Its reply lets the kernel know what is left, so there is no moment in which it
would still run the file with them.

Capabilities it takes away itself, but not before a write to a file that had none when it last
asked. Since then they may have come from elsewhere: so a write takes both.
"""

from typing import Final

import msgspec

from s3fs_local.engine.attributes import AttributeChange, Attributes
from s3fs_local.engine.volume import Volume
from s3fs_local.rules.inode import SET_ID_BITS, Caller, Inode, set_id_bits_lost
from s3fs_local.system.processes import supplementary_groups

FILE_CAPABILITIES: Final = b"security.capability"

_NOTHING: Final = AttributeChange()


class Privileges:
    """Takes away what one volume's files give to those who run them."""

    def __init__(self, volume: Volume, attributes: Attributes) -> None:
        self._volume = volume
        self._attributes = attributes

    def drop(self, inode: Inode, caller: Caller) -> None:
        """The file gives nobody the rights that go when an ordinary caller changes its bytes.

        What is locked or append-only stays as it is.
        """
        if inode.lock or inode.append_only or not inode.is_file:
            return
        if FILE_CAPABILITIES in inode.xattrs:
            self._attributes.remove_xattr(inode.ino, FILE_CAPABILITIES)
        lost = _lost(inode, caller)
        if lost:
            self._attributes.set(inode.ino, AttributeChange(mode=inode.mode & ~lost), caller)
            self._volume.invalidation.inode(inode.ino)


def without_set_id_bits(inode: Inode, wanted: AttributeChange, caller: Caller) -> AttributeChange:
    """The change as it shall be made, with the mode that is left."""
    if not wanted.takes_set_id_bits and not (caller.uid and wanted == _NOTHING):
        return wanted
    mode = inode.mode if wanted.mode is None else wanted.mode
    lost = 0 if inode.is_directory else _lost(inode, caller)
    return msgspec.structs.replace(
        wanted, mode=mode & ~lost if lost else wanted.mode, takes_set_id_bits=False
    )


def _lost(inode: Inode, caller: Caller) -> int:
    if not inode.mode & SET_ID_BITS:
        return 0
    is_in_group = not caller.uid or caller.gid == inode.gid
    is_in_group = is_in_group or inode.gid in supplementary_groups(caller.pid)
    return set_id_bits_lost(inode.mode, is_in_group=is_in_group)
