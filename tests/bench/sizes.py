"""How much work each row is."""

from collections.abc import Iterable
from typing import NamedTuple


class Sizes(NamedTuple):
    """Numbers that a full run and a quick one differ by."""

    files: int = 400  # small files in a round
    cold_files: int = 600
    tree_files: int = 400
    large_mib: int = 192  # read and written from one end to the other
    random_mib: int = 64
    random_calls: int = 4000
    appends: int = 200
    transactions: int = 60
    version_mib: int = 1024  # the file of which 4 KiB change
    versions: int = 1000
    few: int = 10_000  # files
    many: int = 1_000_000  # files
    writers: int = 64
    writer_mib: int = 32
    calls: int = 6000  # of which a percentile is taken: 1,500 stats are over in 60 ms
    seed: int = 9


FULL = Sizes()
QUICK = Sizes(
    files=150,
    cold_files=200,
    tree_files=120,
    large_mib=48,
    random_mib=16,
    random_calls=1000,
    appends=60,
    transactions=20,
    version_mib=128,
    versions=200,
    few=2_000,
    many=20_000,
    writers=16,
    writer_mib=16,
    calls=300,
)


def with_sizes(sizes: Sizes, words: Iterable[str]) -> Sizes:
    """The sizes, but for those that a word such as `files=100` sets.

    Raises:
        ValueError: there is no such size, or it is no whole number above 0.
    """
    for word in words:
        name, _, value = word.partition("=")
        if (
            name not in Sizes._fields
            or not value.isascii()
            or not value.isdigit()
            or not int(value)
        ):
            known = ", ".join(Sizes._fields)
            raise ValueError(f"--size {word} must be NAME=N, with N of 1 or more; names: {known}")
        sizes = sizes._replace(**{name: int(value)})
    return sizes
