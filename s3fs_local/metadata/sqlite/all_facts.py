"""Every row of the database as the change that puts it, in the order of `changes.fact_key`."""

# The texts are put together from field names and constants only.
# ruff: noqa: S608

from collections.abc import Callable, Iterator
from typing import Final

import apsw

from s3fs_local.metadata.changes import (
    AddBlock,
    Fact,
    KeepAttributes,
    MarkUnsettled,
    OpenEntry,
    PutCell,
    PutInode,
    PutKey,
    PutPack,
    PutPendingLock,
    PutReplica,
    PutSetting,
    PutTask,
    PutVersion,
    ScheduleKey,
    ShareBlocks,
)
from s3fs_local.metadata.sqlite.connection import raise_translated
from s3fs_local.metadata.sqlite.rows import (
    Row,
    columns,
    to_entry,
    to_inode,
    to_kept,
    to_replica,
    to_task,
    to_version,
)
from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.namespace import Entry
from s3fs_local.rules.replication import Replica, Task
from s3fs_local.rules.versioning import Version

_TABLES: Final[list[tuple[str, Callable[[Row], Fact]]]] = [
    (f"SELECT {columns(Inode)} FROM inode ORDER BY ino", lambda row: PutInode(to_inode(row))),
    (
        f"SELECT {columns(KeptAttributes)} FROM kept_attributes ORDER BY ino, to_ns",
        lambda row: KeepAttributes(to_kept(row)),
    ),
    (
        f"SELECT {columns(Entry)} FROM entry NOT INDEXED ORDER BY parent, name, from_ns",
        lambda row: OpenEntry(to_entry(row)),
    ),
    (
        f"SELECT {columns(Version)} FROM version ORDER BY ino, stamp_ns",
        lambda row: PutVersion(to_version(row)),
    ),
    (
        "SELECT ino, cell, from_ns, to_ns, extents FROM cell ORDER BY ino, cell, from_ns",
        lambda row: PutCell(*row),
    ),
    (
        f"SELECT {columns(Block)} FROM block ORDER BY block_id",
        lambda row: AddBlock(Block(*row)),
    ),
    ("SELECT ino FROM unsettled ORDER BY ino", lambda row: MarkUnsettled(*row)),
    ("SELECT ino, source FROM sharing ORDER BY ino, source", lambda row: ShareBlocks(*row)),
    ("SELECT key_id, wrapped FROM data_key ORDER BY key_id", lambda row: PutKey(*row)),
    ("SELECT pack_id, placement FROM pack ORDER BY pack_id", lambda row: PutPack(*row)),
    ("SELECT name, value FROM setting ORDER BY name", lambda row: PutSetting(*row)),
    (
        "SELECT place, name, at_ns, acted_ns FROM agenda ORDER BY place, name",
        lambda row: ScheduleKey(*row),
    ),
    ("SELECT ino, due_ns FROM pending_lock ORDER BY ino", lambda row: PutPendingLock(*row)),
    (
        f"SELECT {columns(Task)} FROM task NOT INDEXED ORDER BY destination, ino, stamp_ns",
        lambda row: PutTask(to_task(row)),
    ),
    (
        f"SELECT {columns(Replica)} FROM replica NOT INDEXED ORDER BY source, kind, there",
        lambda row: PutReplica(to_replica(row)),
    ),
]


def read_facts(connection: apsw.Connection) -> Iterator[Fact]:
    """Every row, from a connection in a transaction, which is closed at the end."""
    try:
        for sql, to_change in _TABLES:
            for row in connection.execute(sql):
                yield to_change(row)
    except apsw.Error as error:
        raise_translated(error, connection.system_errno)
    finally:
        connection.close()
