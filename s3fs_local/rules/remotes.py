"""Named remotes: the stores that replication may have as destinations, and what opens them.

A remote's name is what S3's document calls a bucket: `arn:aws:s3:::NAME`. As people type them:
`west=/mnt/west/store; east=/srv/east?passphrase-file=/root/east`.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from msgspec import Struct

from s3fs_local.errors import InvalidArgument

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""S3's names of buckets."""
_OPENERS: Final = {"key-file": "key_file", "passphrase-file": "passphrase_file"}


class Remote(Struct, frozen=True, omit_defaults=True):
    """Where a destination is: the directory of a store, whatever zones it has."""

    path: str
    key_file: str = ""
    passphrase_file: str = ""


def parse_remotes(text: str) -> dict[str, Remote]:
    """The remotes by name; an empty text is none.

    Raises:
        InvalidArgument: it is malformed, or a path is not absolute.
    """
    remotes: dict[str, Remote] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, separator, place = part.partition("=")
        if not separator or _NAME.fullmatch(name) is None or name in remotes:
            raise InvalidArgument(f"{part[:64]!r} is no remote; write NAME=/path/of/store")
        remotes[name] = _parse_place(place)
    return remotes


def _parse_place(text: str) -> Remote:
    path, _, query = text.partition("?")
    openers = dict(parse_qsl(query))
    if not path.startswith("/") or openers.keys() - _OPENERS.keys():
        raise InvalidArgument(f"{text[:64]!r} is no place of a store; write an absolute path")
    if any(not opener.startswith("/") for opener in openers.values()):
        raise InvalidArgument("name key-file and passphrase-file by absolute paths")
    return Remote(path, **{_OPENERS[name]: value for name, value in openers.items()})


def format_remotes(remotes: Mapping[str, Remote]) -> str:
    """As `parse_remotes` takes them."""
    return "; ".join(f"{name}={_format_place(remote)}" for name, remote in remotes.items())


def _format_place(remote: Remote) -> str:
    openers = [
        f"{name}={value}" for name, field in _OPENERS.items() if (value := getattr(remote, field))
    ]
    return remote.path + ("?" + "&".join(openers) if openers else "")
