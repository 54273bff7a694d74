"""Which of the machine's mounts are ours, and what a path of the machine means in a store."""

import os
import re
from pathlib import Path
from typing import Final

from msgspec import Struct

from s3fs_local import errors

FILESYSTEM_TYPE: Final = "fuse.s3fs_local"
_AUTOMOUNT: Final = "autofs"
_MOUNT_TABLE: Final = Path("/proc/self/mountinfo")
_ESCAPE: Final = re.compile(rb"\\([0-7]{3})")


class Mount(Struct, frozen=True):
    """One line of the mount table."""

    mount_point: bytes
    root: bytes  # the path inside the filesystem that shows at the mount point
    filesystem_type: str
    source: bytes  # ours: the store's directory

    @property
    def is_ours(self) -> bool:
        """Whether it shows a store."""
        return self.filesystem_type == FILESYSTEM_TYPE

    @property
    def store(self) -> Path:
        """The store's directory (of a mount of ours)."""
        return Path(os.fsdecode(self.source))


class Place(Struct, frozen=True):
    """A path inside a store; b"" is its root."""

    store: Path
    path: bytes


def read_mounts() -> list[Mount]:
    """Every mount this process sees, in the order they were made."""
    return parse_mounts(_MOUNT_TABLE.read_bytes())


def parse_mounts(table: bytes) -> list[Mount]:
    """The mounts in a text as that of /proc/self/mountinfo (proc(5))."""
    mounts = []
    for line in table.splitlines():
        before, separator, after = line.partition(b" - ")
        if not separator:
            continue
        fields = before.split(b" ")
        kind, source = after.split(b" ")[:2]
        mounts.append(
            Mount(
                mount_point=_unescaped(fields[4]),
                root=_unescaped(fields[3]),
                filesystem_type=os.fsdecode(kind),
                source=_unescaped(source),
            )
        )
    return mounts


def mount_at(mount_point: Path, mounts: list[Mount]) -> Mount | None:
    """The topmost mount exactly at that directory."""
    wanted = os.fsencode(mount_point)
    return next((mount for mount in reversed(mounts) if mount.mount_point == wanted), None)


def is_automounted(mount_point: Path, mounts: list[Mount]) -> bool:
    """Whether an automount makes what is mounted at that directory, and takes it away."""
    point = os.fsencode(mount_point)
    return any(
        mount.mount_point == point and mount.filesystem_type == _AUTOMOUNT for mount in mounts
    )


def place_of(path: str, mounts: list[Mount]) -> Place:
    """The store and the path in it that `path` means; the path need not exist any more.

    `STORE:/path/inside` names it directly. A symlink at the end of the path is not followed.

    Raises:
        NotMounted: the path is inside no mount of ours.
    """
    if (named := _named_place(path)) is not None:
        return named
    absolute = _resolved(path)
    mount = _holding(absolute, mounts)
    if mount is None or not mount.is_ours:
        raise errors.NotMounted(f"{path} is not inside a mounted store")
    below = absolute[len(mount.mount_point) :] if mount.mount_point != b"/" else absolute
    return Place(store=mount.store, path=_joined(mount.root, below))


def _named_place(path: str) -> Place | None:
    store, separator, inside = path.partition(":/")
    if not separator or not store or not Path(store).is_dir():
        return None
    return Place(store=Path(store).resolve(), path=_joined(b"", os.fsencode(inside)))


def _resolved(path: str) -> bytes:
    """Absolute, with symlinks followed everywhere but in the last part; missing parts stay."""
    text = os.fsencode(path)
    folder, name = os.path.split(text.rstrip(b"/") or b"/")
    if name in {b"", b".", b".."}:
        return os.path.realpath(text)
    return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118  Path drops no bytes, but decodes


def mount_holding(path: Path, mounts: list[Mount]) -> Mount | None:
    """The mount that has what lies at the absolute path; nothing of it is touched."""
    return _holding(os.path.normpath(bytes(path)), mounts)


def _holding(absolute: bytes, mounts: list[Mount]) -> Mount | None:
    """The deepest mount above the path, and of several at one place the last made."""
    holding = None
    for mount in mounts:
        top = mount.mount_point.rstrip(b"/")
        if (absolute + b"/").startswith(top + b"/") and (
            holding is None or len(mount.mount_point) >= len(holding.mount_point)
        ):
            holding = mount
    return holding


def _joined(root: bytes, below: bytes) -> bytes:
    return os.path.normpath(b"/" + root + b"/" + below).lstrip(b"/")


def _unescaped(field: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field)
