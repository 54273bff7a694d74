"""What an object may be called."""

import re
from typing import Final

from s3fs_local.errors import InvalidArgument

_PART: Final = r"[a-z0-9][a-z0-9._-]*"
_NAME: Final = re.compile(rf"{_PART}(/{_PART})*")
_NAME_BYTES_MAX: Final = 200


def is_name(name: str) -> bool:
    """Whether an object may be called that; never true of `..`, hidden or absolute names."""
    return len(name) <= _NAME_BYTES_MAX and _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Passes a good name.

    Raises:
        InvalidArgument: not lower-case ASCII parts joined by `/`, each beginning with a letter or
            digit, 200 bytes at most.
    """
    if not is_name(name):
        raise InvalidArgument(f"{name!r} is no name for an object")
