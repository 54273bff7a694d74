"""Object tags: S3's limits, in the form of the `x-amz-tagging` header (`a=1&b=2`, URL-encoded)."""

import re
from typing import Final
from urllib.parse import parse_qsl, urlencode

from s3fs_local.errors import InvalidArgument

TAGS_MAX: Final = 10
KEY_UNITS_MAX: Final = 128
VALUE_UNITS_MAX: Final = 256
"""S3 counts UTF-16 units (User Guide, "Categorizing your storage using tags")."""

_ALLOWED: Final = re.compile(r"[\w .:/=+@-]*")


def decode_tags(text: str) -> dict[str, str]:
    """The tags of a header value; an empty text is no tags.

    Raises:
        InvalidArgument: malformed, over S3's limits, or a key twice.
    """
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=TAGS_MAX
        )
    except ValueError:
        raise InvalidArgument(f"tags are written a=1&b=2, at most {TAGS_MAX}") from None
    tags = dict(pairs)
    if len(tags) != len(pairs):
        raise InvalidArgument("a tag key is given twice")
    check_tags(tags)
    return tags


def encode_tags(tags: dict[str, str]) -> str:
    """The header value; `decode_tags` gives the tags back."""
    return urlencode(tags)


def check_tags(tags: dict[str, str]) -> None:
    """The tags keep S3's limits.

    Raises:
        InvalidArgument: says which does not.
    """
    if len(tags) > TAGS_MAX:
        raise InvalidArgument(f"a file has at most {TAGS_MAX} tags")
    for key, value in tags.items():
        if not 1 <= _units(key) <= KEY_UNITS_MAX or _units(value) > VALUE_UNITS_MAX:
            raise InvalidArgument(f"tag {key[:40]!r}: at most 128 characters, its value 256")
        if key.startswith("aws:") or not (_ALLOWED.fullmatch(key) and _ALLOWED.fullmatch(value)):
            raise InvalidArgument(
                f"tag {key[:40]!r}: only letters, digits, spaces and . : / = + @ _ -, no aws:"
            )


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
