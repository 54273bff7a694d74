"""What may be said with `-o` when mounting."""

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec
from msgspec import Struct

from s3fs_local.daemon.log_setup import LogFormat
from s3fs_local.daemon.metrics_address import MetricsAddress, parse_metrics_address
from s3fs_local.errors import InvalidMountOption

NAME_BYTES_MAX: Final = 255


class MountOptions(Struct, frozen=True):
    """How a store is shown at its mount point."""

    allow_other: bool = False
    read_only: bool = False
    snapdir: Literal["hidden", "visible"] = "hidden"
    snapdirname: str | None = None  # None = the store's setting
    xattr_list: bool = False
    writeback_cache: bool = False
    acl: bool = True
    archived: Literal["fail", "wait"] = "fail"
    nonempty: bool = False
    passphrase_file: Path | None = None
    key_file: Path | None = None
    log: LogFormat = "text"
    metrics: MetricsAddress | None = None  # None = nobody is told
    kernel_flags: tuple[str, ...] = ()  # such as nosuid: the kernel enforces them


_FLAGS: Final[dict[str, dict[str, bool]]] = {
    "allow_other": {"allow_other": True},
    "ro": {"read_only": True},
    "rw": {"read_only": False},
    "xattr_list": {"xattr_list": True},
    "writeback_cache": {"writeback_cache": True},
    "acl": {"acl": True},
    "noacl": {"acl": False},
    "nonempty": {"nonempty": True},
}
_KERNEL_FLAGS: Final = frozenset(
    {"nosuid", "suid", "nodev", "dev", "noexec", "exec", "noatime", "atime", "dirsync", "sync"}
)
_FOR_OTHERS: Final = frozenset(
    {
        *("defaults", "nofail", "_netdev", "noauto", "auto", "async", "silent", "loud"),
        *("user", "nouser", "users", "nousers", "owner", "noowner", "group", "nogroup", "comment"),
        # Access times follow nobody's reading, so these ask for what is so.
        *("relatime", "norelatime", "strictatime", "nodiratime", "diratime", "lazytime"),
    }
)
"""Words of /etc/fstab that mount(8) and systemd act on, and hand down."""
_OF_THE_TABLE: Final = frozenset(
    {
        *("user_id", "group_id", "rootmode", "fd", "default_permissions", "max_read", "blksize"),
        *("fsname", "subtype", "helper"),
    }
)
"""Words of /proc/mounts, and of mount(8)'s notes, about what is mounted."""
_KEY_OPTIONS: Final = frozenset({"passphrase_file", "key_file"})


MEANINGS: Final = {
    "allow_other": "Users other than the one who mounts may use the mount, too.",
    "ro": "Nothing can be changed.",
    "snapdir=hidden|visible": "Whether listings name the folder of versions; hidden if not said.",
    "snapdirname=NAME": "The name of the folder of versions, instead of .versions.",
    "archived=fail|wait": "Opening an archived file fails at once, or waits until it is restored.",
    "xattr_list": "Listings of extended attributes name those of locks (s3.…).",
    "writeback_cache": "The kernel gathers small writes, and fails late. Not with Object Lock.",
    "noacl": "POSIX ACLs are not heeded.",
    "nonempty": "The directory may hold files, which the mount hides.",
    "key_file=FILE": "Opens the keys of the store.",
    "passphrase_file=FILE": "Its first line opens the keys of the store.",
    "log=text|json|journal": "How the daemon logs: lines, JSON objects, or the system's journal.",
    "metrics=ADDRESS": "Tell OpenMetrics at a port of the loopback or a unix socket.",
    "remount": "With ro or rw, or the kernel's: changes what is mounted, while it is in use.",
    "noexec, nosuid, nodev, noatime, dirsync, sync": "As for any mount; the kernel heeds them.",
}
"""What mount options do, for the manual; their opposites (rw, acl, exec) are understood, too."""


def parse_mount_options(texts: Iterable[str]) -> MountOptions:
    """The options in the arguments of all `-o`; `_` and `-` are the same, the last of equals wins.

    Raises:
        InvalidMountOption: an option is unknown (the nearest known one is named), or its
            value is not acceptable.
    """
    return msgspec.convert(_fields(texts), MountOptions)


def _fields(texts: Iterable[str]) -> dict[str, object]:
    """Those that were named, by their names here, and the kernel's flags. Raises as above."""
    fields: dict[str, object] = {}
    kernel_flags: list[str] = []
    for option in _words(texts):
        raw_name, separator, value = option.partition("=")
        name = _canonical(raw_name)
        if not name or name in _FOR_OTHERS or name.lower().startswith("x_"):
            continue
        if name in _VALUES:
            fields[name] = _VALUES[name](value)
        elif name not in _FLAGS and name not in _KERNEL_FLAGS:
            raise InvalidMountOption(f"unknown mount option {raw_name!r}{_suggestion(name)}")
        elif separator:
            raise InvalidMountOption(f"mount option {raw_name!r} takes no value, but got {value!r}")
        elif name in _KERNEL_FLAGS:
            kernel_flags.append(name)
        else:
            fields |= _FLAGS[name]
    return {**fields, "kernel_flags": tuple(kernel_flags)}


class Remounting(Struct, frozen=True):
    """What `-o remount` asks for."""

    read_only: bool | None  # None = as it is
    kernel_flags: tuple[str, ...]
    others: dict[str, object]  # which a mount has from its beginning, by their names here


def is_remount(texts: Iterable[str]) -> bool:
    """Whether the options are for what is mounted already."""
    return "remount" in _words(texts)


def parse_remount(texts: Iterable[str]) -> Remounting:
    """The options in the arguments of all `-o`, `remount` among them.

    mount(8) hands down what stands in the table of mounts, too, some of it in the kernel's words.

    Raises:
        InvalidMountOption: as `parse_mount_options`.
    """
    left_out = {*_OF_THE_TABLE, "remount"}
    words = [word for word in _words(texts) if word.partition("=")[0] not in left_out]
    fields = _fields(without_key_options(words))
    flags = fields.pop("kernel_flags")
    read_only = fields.pop("read_only", None)
    assert isinstance(flags, tuple)
    return Remounting(None if read_only is None else bool(read_only), flags, fields)


def changed_option(options: MountOptions, others: dict[str, object]) -> str | None:
    """The name of one of them that the mount does not have so; None where it has all."""
    return next((name for name, value in others.items() if getattr(options, name) != value), None)


def known_options() -> set[str]:
    """The names of all options that take effect."""
    return {*_FLAGS, *_VALUES, *_KERNEL_FLAGS, "remount"}


def without_key_options(texts: Iterable[str]) -> tuple[str, ...]:
    """The same options but for those that say where keys are, one a text."""
    return tuple(
        option
        for option in _words(texts)
        if _canonical(option.partition("=")[0]) not in _KEY_OPTIONS
    )


def _words(texts: Iterable[str]) -> list[str]:
    """Each option by itself."""
    return [part.strip() for text in texts for part in text.split(",")]


def _canonical(name: str) -> str:
    return name if name == "_netdev" else name.replace("-", "_")


def _suggestion(name: str) -> str:
    known = [*_FLAGS, *_VALUES, *_KERNEL_FLAGS, *_FOR_OTHERS]
    nearest = difflib.get_close_matches(name, known, n=1)
    if nearest:
        return f"; did you mean {nearest[0]!r}?"
    return f"; there are: {', '.join(sorted(known_options()))}"


def _snapdir(value: str) -> str:
    if value not in {"hidden", "visible"}:
        raise InvalidMountOption(f"snapdir is 'hidden' or 'visible', not {value!r}")
    return value


def _snapdirname(value: str) -> str:
    if value in {"", ".", "..", ".s3fs"} or "/" in value or "\0" in value:
        raise InvalidMountOption(f"snapdirname {value!r} cannot be the name of a directory")
    if len(value.encode(errors="surrogateescape")) > NAME_BYTES_MAX:
        raise InvalidMountOption(f"snapdirname is over {NAME_BYTES_MAX} bytes")
    return value


def _log(value: str) -> str:
    if value not in get_args(LogFormat):
        raise InvalidMountOption(f"log is one of {', '.join(get_args(LogFormat))}, not {value!r}")
    return value


def _existing_file(value: str) -> Path:
    path = Path(value)
    if "\0" in value or not path.is_file():
        raise InvalidMountOption(f"there is no key or passphrase file {value!r}")
    return path.absolute()


def _archived(value: str) -> str:
    if value not in {"fail", "wait"}:
        raise InvalidMountOption(f"archived is 'fail' or 'wait', not {value!r}")
    return value


_VALUES: Final[dict[str, Callable[[str], object]]] = {
    "archived": _archived,
    "snapdir": _snapdir,
    "snapdirname": _snapdirname,
    "passphrase_file": _existing_file,
    "key_file": _existing_file,
    "log": _log,
    "metrics": parse_metrics_address,
}
