"""How the tables of an older release become those of this one.

`schema.sql` is what a new store gets. When it changes, its number goes up by one and the script
that turns the previous schema into it is added here, so a store of any release can be opened.
"""

from collections.abc import Sequence
from importlib import resources
from typing import Final

import apsw

from s3fs_local.errors import FormatTooNew, StoreDamaged

FIRST_VERSION: Final = 1
MIGRATIONS: Final[tuple[str, ...]] = ()
"""Number i turns version FIRST_VERSION + i into the next one."""


def create_tables(connection: apsw.Connection) -> None:
    """An empty database has every table of the newest version; all at once or not at all."""
    schema = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
    version = FIRST_VERSION + len(MIGRATIONS)
    with connection:
        connection.execute(schema)
        connection.execute(f"PRAGMA user_version = {version}")


def migrate(connection: apsw.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """The tables are those of the newest version; each step is atomic.

    Raises:
        FormatTooNew: the database was written by a newer release; it was not touched.
        StoreDamaged: no release wrote this version.
    """
    newest = FIRST_VERSION + len(migrations)
    version = int(connection.pragma("user_version"))
    if version > newest:
        raise FormatTooNew(
            f"the metadata has format {version}, this release knows formats up to {newest}"
        )
    if version < FIRST_VERSION:
        raise StoreDamaged(f"the metadata has format {version}, which no release wrote")
    for number in range(version, newest):
        with connection:
            connection.execute(migrations[number - FIRST_VERSION])
            connection.execute(f"PRAGMA user_version = {number + 1}")
