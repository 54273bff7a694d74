"""What is asked of SQLite: counts are the same on every machine, times are not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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


class Steps:
    """How much SQLite did: operations of its machine, so that a row that it skips counts too."""

    def __init__(self) -> None:
        self.taken = 0

    def watch(self, connection: apsw.Connection) -> None:
        """What the connection does is counted from now on."""
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._note)

    def _note(self, told: dict[str, Any]) -> None:
        self.taken += told["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]

    def of(self, work: Callable[[], object]) -> int:
        """How many the work takes."""
        before = self.taken
        work()
        return self.taken - before


@contextmanager
def steps() -> Iterator[Steps]:
    """The steps of connections made in the block."""
    counted = Steps()
    apsw.connection_hooks.append(counted.watch)
    try:
        yield counted
    finally:
        apsw.connection_hooks.remove(counted.watch)


@contextmanager
def given_rows() -> Iterator[list[tuple[Any, ...]]]:
    """Every row that connections made in the block give, in order."""
    given: list[tuple[Any, ...]] = []

    def note(_: apsw.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
        given.append(row)
        return row

    def watch(connection: apsw.Connection) -> None:
        connection.row_trace = note

    apsw.connection_hooks.append(watch)
    try:
        yield given
    finally:
        apsw.connection_hooks.remove(watch)
