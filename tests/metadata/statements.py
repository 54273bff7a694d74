"""What is asked of SQLite: counts are the same on every machine, times are not."""

from collections.abc import Iterator
from contextlib import contextmanager

import apsw


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement that runs on connections made in the block, in order."""
    told: list[str] = []

    def note(_: object, sql: str, __: object) -> bool:
        told.append(sql)
        return True

    def watch(connection: apsw.Connection) -> None:
        connection.exec_trace = note

    apsw.connection_hooks.append(watch)
    try:
        yield told
    finally:
        apsw.connection_hooks.remove(watch)
