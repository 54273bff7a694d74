"""What a verification finds: one value for each thing that is not as the ledger says."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

KEPT_MAX: Final = 1000
"""Beyond this they are only counted: nobody reads more, and a lost zone would make millions."""


class Kind(StrEnum):
    """Where something is wrong."""

    RECORD = "record"  # a record of the ledger itself
    HEAD = "head"  # the ledger does not contain what was signed
    LAW = "law"  # the ledger tells of a change that no lawful program makes
    FACT = "fact"  # a row of the database is not what the ledger says
    BYTES = "bytes"  # content in a pack
    STORE = "store"  # anything else of the store


class Discrepancy(Struct, frozen=True):
    """One of them, for people."""

    kind: Kind
    sentence: str
    path: bytes | None = None  # of the file, as far as it can be told
    version: str = ""  # id of the version
    at_ns: int = 0  # when that version was committed, or the record written; 0: not known
    zone: str = ""


class Discrepancies:
    """Collects them; the first are kept, all are counted."""

    def __init__(self) -> None:
        self.kept: Final[list[Discrepancy]] = []
        self.count = 0

    def add(self, discrepancy: Discrepancy) -> None:
        """One more."""
        self.count += 1
        if self.count <= KEPT_MAX:
            self.kept.append(discrepancy)
