"""Version ids: 20 characters that sort as time does.

    01hyz3k9v2c4d 7q0m8wx
    stamp (64 bit) salt (35 bit)

The first 13 characters are the commit stamp. The salt begins with the place in the stamp's
millisecond, and its other 15 bits are random, so that nobody can guess an id from a time. The salt
alone is the *short id* that people see in file names, where it follows the millisecond: so these
sort as time does, too. The alphabet is Crockford's base 32 in lower case: digits sort before
letters, nothing looks like something else, and since it has neither `l` nor `u`, S3's literal
`null` can never be an id or the beginning of one.
"""

import re
from typing import Final

from s3fs_local.errors import NoSuchVersion
from s3fs_local.rules.instants import MILLISECOND_NS
from s3fs_local.rules.namespace import OPEN_NS

SALT_BITS: Final = 35
RANDOM_BITS: Final = SALT_BITS - (MILLISECOND_NS - 1).bit_length()

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_STAMP_DIGITS: Final = 13
_SALT_DIGITS: Final = 7
_PREFIX_CHARACTERS_MIN: Final = 4
_SHORT_ID: Final = re.compile(f"[{_ALPHABET}]{{{_SALT_DIGITS}}}")
_VERSION_ID: Final = re.compile(f"[{_ALPHABET}]{{{_STAMP_DIGITS + _SALT_DIGITS}}}")


def salt_of(stamp_ns: int, random: int) -> int:
    """The second half of the id of what is committed then, of that many as RANDOM_BITS say."""
    assert 0 <= random < 1 << RANDOM_BITS, random
    return stamp_ns % MILLISECOND_NS << RANDOM_BITS | random


def version_id(stamp_ns: int, salt: int) -> str:
    """The id of the version (or delete marker) committed at `stamp_ns`; ids sort as stamps do."""
    assert 0 <= stamp_ns < 1 << 64, stamp_ns
    return _encode(stamp_ns, _STAMP_DIGITS) + short_id(salt)


def short_id(salt: int) -> str:
    """The second half of the id, enough to tell the versions of one name apart."""
    assert 0 <= salt < 1 << SALT_BITS, salt
    return _encode(salt, _SALT_DIGITS)


def parse_short_id(text: str) -> int | None:
    """The salt that `text` is the short id of; None where it is none."""
    return _decode(text) if _SHORT_ID.fullmatch(text) else None


def parse_version_id(text: str) -> tuple[int, int]:
    """The stamp and the salt that `text` is the whole id of; there is one spelling for each.

    Raises:
        NoSuchVersion: `text` is no id that a store could have given out (`null` included, which
            names no stamp). Ids are opaque to S3's clients, so a malformed one is simply not there.
    """
    found = parse_whole_id(text)
    if found is None:
        raise NoSuchVersion(f"{text[:64]!r} is no version id")
    return found


def parse_whole_id(text: str) -> tuple[int, int] | None:
    """The same; None where `parse_version_id` raises."""
    if _VERSION_ID.fullmatch(text) is None:
        return None
    stamp_ns = _decode(text[:_STAMP_DIGITS])
    if stamp_ns >= OPEN_NS:  # would not fit the engines' signed 64-bit columns
        return None
    return stamp_ns, _decode(text[_STAMP_DIGITS:])


def is_exactly(text: str, stamp_ns: int, salt: int) -> bool:
    """Whether `text` is the whole id or the whole short id of this version."""
    return text in (version_id(stamp_ns, salt), short_id(salt))


def matches(text: str, stamp_ns: int, salt: int) -> bool:
    """Whether `text` begins the id or the short id of this version, with at least 4 characters.

    Several versions may match; who chooses prefers one that `is_exactly` the text.
    """
    return len(text) >= _PREFIX_CHARACTERS_MIN and (
        version_id(stamp_ns, salt).startswith(text) or short_id(salt).startswith(text)
    )


def _encode(number: int, digits: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(digits)))


def _decode(text: str) -> int:
    number = 0
    for character in text:
        number = number << 5 | _VALUES[character]
    return number
