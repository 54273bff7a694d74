"""Programs that wait until what they wrote is durable: logs and databases."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.bench.place import Measured, Place
from tests.bench.row import Goal, Group, Row, Unit
from tests.bench.sizes import Sizes

LINE: Final = b"x" * 199 + b"\n"
APPEND: Final = Row("append", "append 200 bytes + fsync", Unit.MICROSECONDS, (Goal(1.0, "bindfs"),))
SQLITE: Final = Row(
    "sqlite", "SQLite insert transaction", Unit.MICROSECONDS, (Goal(0.6, "gocryptfs"),)
)


def append_lines(name: Path, count: int) -> None:
    """So many lines, each durable before the next."""
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(count):
        os.write(descriptor, LINE)
        os.fsync(descriptor)
    os.close(descriptor)


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """A log, then a database with its default rollback journal."""
    log, database = place.path / "log", place.path / "database"
    yield APPEND.timed(place, lambda: append_lines(log, sizes.appends), sizes.appends)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS line (words TEXT)")

        def insert_each() -> None:
            for number in range(sizes.transactions):
                connection.execute("INSERT INTO line VALUES (?)", (f"{number:0100}",))

        yield SQLITE.timed(place, insert_each, sizes.transactions)
    log.unlink()
    database.unlink()


GROUP: Final = Group("syncing", (APPEND, SQLITE), steps)
