"""File names: which are acceptable, how they look below `.versions`, and which nobody looks for.

Names are bytes, as the kernel gives them; no encoding is assumed.
"""

import re
from typing import Final

from msgspec import Struct

from s3fs_local.errors import InvalidArgument, InvalidTime, NameTooLong
from s3fs_local.rules.identifiers import parse_short_id, short_id
from s3fs_local.rules.instants import MILLISECOND_NS, format_file_time, parse_instant
from s3fs_local.rules.limits import NAME_BYTES_MAX

_VERSION_FILE: Final = re.compile(rb"(?P<time>[0-9T-]{19}\.[0-9]{3}Z)~(?P<id>[0-9a-z]{7})")

SNAPSHOTS_NAME: Final = b"@snapshots"


class AtInstant(Struct, frozen=True):
    """`.versions/@TEXT`: the directory as of the instant that `text` may name."""

    text: str


class Snapshots(Struct, frozen=True):
    """`.versions/@snapshots`: a list of instants at which to look."""


class OfName(Struct, frozen=True):
    """`.versions/NAME`: everything the name ever held."""

    name: bytes


def check_name(name: bytes) -> None:
    """The name may be given to an entry of a directory.

    Raises:
        InvalidArgument: it is empty, `.` or `..`, or holds a `/` or a zero byte.
        NameTooLong: it has over 255 bytes.
    """
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise InvalidArgument(f"{name[:64]!r} is no file name")
    if len(name) > NAME_BYTES_MAX:
        raise NameTooLong(f"the name has {len(name)} bytes; at most {NAME_BYTES_MAX} are possible")


def printed(name: bytes) -> str:
    """The name in a message for people, in quotes; what is no UTF-8 is escaped."""
    return repr(name.decode("utf-8", "backslashreplace"))


def escape(name: bytes) -> bytes:
    """How the name of an entry is spelled below `.versions`, where `@` introduces an instant.

    One byte longer for names that start with `@`, so up to 256 bytes (FUSE takes 1024).
    """
    return b"@" + name if name.startswith(b"@") else name


def parse_below_versions(name: bytes) -> AtInstant | OfName | Snapshots:
    """What a name directly below `.versions` asks for; undoes `escape`."""
    if name.startswith(b"@@"):
        return OfName(name[1:])
    if name == SNAPSHOTS_NAME:
        return Snapshots()
    if name.startswith(b"@"):
        return AtInstant(name[1:].decode("utf-8", "backslashreplace"))
    return OfName(name)


def version_file_name(stamp_ns: int, salt: int, name: bytes) -> bytes:
    """`2026-11-22T15-04-05.123Z~ID.EXT`: the file below `.versions/NAME/` that is this version.

    The extension lets viewers open it; one so long that the whole would pass 255 bytes is left out.
    """
    stem = f"{format_file_time(stamp_ns)}~{short_id(salt)}".encode()
    extension = _extension(name)
    return stem + extension if len(stem + extension) <= NAME_BYTES_MAX else stem


class VersionName(Struct, frozen=True):
    """What `version_file_name` was made of: the millisecond of the commit, and the salt."""

    from_ns: int
    salt: int

    @property
    def to_ns(self) -> int:
        """The end of the millisecond."""
        return self.from_ns + MILLISECOND_NS


def parse_version_file_name(file_name: bytes) -> VersionName | None:
    """What the file name says; whether there is such a version is another question."""
    parts = _VERSION_FILE.match(file_name)
    if parts is None:
        return None
    salt = parse_short_id(parts["id"].decode())
    try:
        at_ns = parse_instant(parts["time"].decode(), now_ns=0)
    except InvalidTime:
        return None
    return None if salt is None else VersionName(at_ns - at_ns % MILLISECOND_NS, salt)


def _extension(name: bytes) -> bytes:
    """The last extension with its dot: `.gz` of `a.tar.gz`, nothing of `.bashrc` or `a.`."""
    _, dot, extension = name.lstrip(b".").rpartition(b".")
    return dot + extension if extension and dot else b""


# Six characters of mkstemp(3), told from a word (`.env.sample`, `.conf.Backup`, `sedan2024`) by an
# upper-case letter after the first. One real name in fifteen is missed; no likely word is taken.
_RANDOM: Final = rb"(?=.{1,5}[A-Z])(?=[A-Z]*[a-z0-9])[A-Za-z0-9]{6}"

_TRANSIENT: Final = re.compile(
    rb"|".join(
        (
            rb"\.(?:.+\.)?sw[klmnopx]|\..+\.swpx",  # vim's swap files; not .swf, a film
            rb".+~",  # backups of vim, emacs, nano
            rb"#.+#|\.#.+",  # emacs: autosave, lock
            rb"\..+\.kate-swp",
            rb"sed" + _RANDOM,  # sed -i
            rb"\..+\." + _RANDOM,  # rsync
            rb"\.nfs[0-9a-f]{16,24}",  # NFS clients, for files removed while open
            rb"\.fuse_hidden[0-9a-f]{16,}",  # libfuse, for the same
            rb"\.goutputstream-[A-Za-z0-9]{6}",  # GLib
            rb"\.~lock\..+#",  # LibreOffice
            rb"~\$.+",  # Microsoft Office
            rb"(?:index|HEAD|packed-refs|next-index-[0-9]+)\.lock",  # git; not Cargo.lock
            rb"tmp_(?:obj|pack|idx|rev)_[A-Za-z0-9]{6}",  # git
        )
    ),
    re.DOTALL,
)


def is_transient(name: bytes) -> bool:
    """Whether the name is unmistakably a program's temporary one, missed by nobody once gone.

    Narrow on purpose: `*.tmp`, `*.bak`, `*.lock` and vim's probe `4913` are also names of things
    people made (a mail folder has a message 4913), so they are not among these.
    """
    return _TRANSIENT.fullmatch(name) is not None
