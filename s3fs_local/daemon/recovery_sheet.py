"""The sheet of paper with which a store can be opened when everything else is lost."""

import re
import textwrap
from typing import Final

_GROUPS: Final = re.compile(r"\b[A-Za-z0-9]{5}(?:[\s-]+[A-Za-z0-9]{5}){7}\b")
_WIDTH: Final = 72
_GROUPS_A_LINE: Final = 4


def recovery_sheet(key_text: str, *, store: str, store_id: str, date: str) -> str:
    """The text to print."""
    groups = key_text.split("-")
    lines = [
        "    " + "  ".join(groups[start : start + _GROUPS_A_LINE])
        for start in range(0, len(groups), _GROUPS_A_LINE)
    ]
    explanation = (
        "This key opens the store when its key file, passphrase or keyring is lost. Whoever has it"
        " and the store, or a copy of a zone, can read everything. Print this sheet, keep it where"
        " you keep what must not burn or be stolen, and delete the file."
    )
    use = (
        "Type the 40 letters and digits into a file, in lines and groups as you like. The last"
        " eight are check digits: a mistyped letter is noticed. There is no 0, 1 or 8: read them"
        " as O, I and B. Then:"
    )
    afterwards = "Then give the store a new passphrase, and make a new sheet:"
    return "\n".join(
        (
            "RECOVERY KEY OF AN S3FS_LOCAL STORE",
            "",
            f"Store:     {store}",
            f"Store id:  {store_id}",
            f"Made on:   {date}",
            "",
            *lines,
            "",
            *textwrap.wrap(explanation, _WIDTH),
            "",
            *textwrap.wrap(use, _WIDTH),
            "",
            "    s3fs-local mount --key-file FILE STORE DIRECTORY",
            "",
            *textwrap.wrap(afterwards, _WIDTH),
            "",
            "    s3fs-local key passphrase STORE",
            "    s3fs-local key recovery STORE SHEET",
            "",
        )
    )


def recovery_key_in(text: str) -> str:
    """The key in a sheet, or the text as it is where it is no sheet."""
    found = _GROUPS.search(_without_words(text))
    return found.group() if found else text


def _without_words(text: str) -> str:
    """Only lines that hold nothing but groups of five."""
    lines = [line for line in text.splitlines() if _is_groups(line)]
    return "\n".join(lines)


def _is_groups(line: str) -> bool:
    groups = re.split(r"[\s-]+", line.strip())
    return bool(line.strip()) and all(re.fullmatch(r"[A-Za-z0-9]{5}", group) for group in groups)
