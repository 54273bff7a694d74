"""The SQL of every question. Each text is constant, so it is compiled once.

Questions about one instant are one seek to the newest row at or before it. Whether that row had
ended is for the caller to see: as a condition here, SQLite would walk on through the history.
"""

# The texts are put together from field names and constants only.
# ruff: noqa: S608

from typing import Final

from s3fs_local.metadata.sqlite.rows import columns
from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.lifecycle import SMALL_BYTES
from s3fs_local.rules.namespace import OPEN_NS, Entry
from s3fs_local.rules.replication import Task
from s3fs_local.rules.versioning import Version

STATE: Final = "SELECT position, ino, block_id, key_id, pack_id, stamp_ns FROM state"
PUT_STATE: Final = """
    UPDATE state SET position = ?, ino = ?, block_id = ?, key_id = ?, pack_id = ?, stamp_ns = ?"""

COUNT_INODES: Final = """
    SELECT count(*), count(*) FILTER (WHERE mode & 0xf000 = 0x8000) FROM inode WHERE nlink > 0"""
COUNT_VERSIONS: Final = "SELECT count(*) FROM version"
COUNT_BLOCKS: Final = """
    SELECT count(*), coalesce(sum(length), 0), coalesce(sum(sealed_length), 0) FROM block"""

INODE: Final = f"SELECT {columns(Inode)} FROM inode WHERE ino = ?"

NEWEST_INO: Final = """
    SELECT ino, to_ns FROM entry WHERE parent = ? AND name = ? ORDER BY from_ns DESC LIMIT 1"""
NEWEST_ENTRY: Final = f"""
    SELECT {columns(Entry)} FROM entry WHERE parent = ? AND name = ?
    ORDER BY from_ns DESC LIMIT 1"""
ENTRY_AT: Final = f"""
    SELECT {columns(Entry)} FROM entry WHERE parent = ? AND name = ? AND from_ns <= ?
    ORDER BY from_ns DESC LIMIT 1"""

CHILDREN: Final = f"""
    SELECT {columns(Entry)} FROM entry INDEXED BY entry_by_end
    WHERE parent = ? AND to_ns = {OPEN_NS} AND ino <> 0 AND from_ns > ?
    ORDER BY from_ns LIMIT ?"""
HAS_CHILDREN: Final = f"""
    SELECT 1 FROM entry INDEXED BY entry_by_end
    WHERE parent = ? AND to_ns = {OPEN_NS} AND ino <> 0 LIMIT 1"""
CHILDREN_AT: Final = f"""
    SELECT {columns(Entry)} FROM entry INDEXED BY entry_by_end
    WHERE parent = ?1 AND to_ns > ?2 AND ino <> 0 AND from_ns <= ?2
    ORDER BY name"""

NAME_HISTORY: Final = f"""
    SELECT {columns(Entry)} FROM entry WHERE parent = ? AND name = ? ORDER BY from_ns"""
NAME_BEFORE: Final = f"""
    SELECT {columns(Entry)} FROM entry WHERE parent = ? AND name = ? AND from_ns < ?
    ORDER BY from_ns DESC LIMIT ?"""
BEGUN_BEFORE: Final = f"""
    SELECT {columns(Entry)} FROM entry INDEXED BY entry_by_start WHERE from_ns <= ?
    ORDER BY from_ns DESC, ino DESC, parent DESC, name DESC LIMIT ?"""
LEFT_BEFORE: Final = f"""
    SELECT {columns(Entry)} FROM entry INDEXED BY entry_by_leaving
    WHERE ending IN (1, 2, 5, 6) AND to_ns <= ?
    ORDER BY to_ns DESC, parent DESC, name DESC, from_ns DESC LIMIT ?"""
COUNT_REMOVALS: Final = """
    SELECT count(*) FROM entry INDEXED BY entry_by_start
    WHERE from_ns >= ? AND from_ns < ? AND ino = 0"""
DIRECTORY_HISTORY: Final = f"""
    SELECT {columns(Entry)} FROM entry WHERE parent = ? ORDER BY name, from_ns"""
ENTRIES_AFTER: Final = f"""
    SELECT {columns(Entry)} FROM entry WHERE parent = ? AND (name, from_ns) > (?, ?)
    ORDER BY name, from_ns LIMIT ?"""
ENTRIES_OF: Final = f"""
    SELECT {columns(Entry)} FROM entry INDEXED BY entry_by_ino
    WHERE ino = ? AND ino <> 0 ORDER BY from_ns, parent, name"""
NAMES_BEFORE: Final = f"""
    SELECT {columns(Entry)} FROM entry INDEXED BY entry_by_ino
    WHERE ino = ? AND ino <> 0 AND from_ns <= ?
    ORDER BY from_ns DESC, parent DESC, name DESC LIMIT ?"""

VERSIONS: Final = f"SELECT {columns(Version)} FROM version WHERE ino = ? ORDER BY stamp_ns DESC"
VERSIONS_AFTER: Final = f"""
    SELECT {columns(Version)} FROM version WHERE (ino, stamp_ns) > (?, ?)
    ORDER BY ino, stamp_ns LIMIT ?"""
COMMITS_AFTER: Final = """
    SELECT ino, stamp_ns, size FROM version WHERE (ino, stamp_ns) > (?, ?)
    ORDER BY ino, stamp_ns LIMIT ?"""
VERSIONS_BEFORE: Final = f"""
    SELECT {columns(Version)} FROM version WHERE ino = ? AND stamp_ns < ?
    ORDER BY stamp_ns DESC LIMIT ?"""
VERSIONS_BY_ID: Final = f"""
    SELECT {columns(Version)} FROM version INDEXED BY version_by_time
    WHERE stamp_ns >= ? AND stamp_ns < ? AND salt = ? ORDER BY stamp_ns"""
COMMITS_BEFORE: Final = """
    SELECT stamp_ns, ino FROM version INDEXED BY version_by_time WHERE stamp_ns <= ?
    ORDER BY stamp_ns DESC LIMIT ?"""
COUNT_COMMITS: Final = """
    SELECT storage_class, count(*), sum(size) FROM version INDEXED BY version_by_time
    WHERE stamp_ns >= ? AND stamp_ns < ? GROUP BY storage_class ORDER BY storage_class"""
VERSION: Final = f"SELECT {columns(Version)} FROM version WHERE ino = ? AND stamp_ns = ?"
VERSION_AT: Final = f"""
    SELECT {columns(Version)} FROM version WHERE ino = ? AND stamp_ns <= ?
    ORDER BY stamp_ns DESC LIMIT 1"""
NEXT_VERSION: Final = "SELECT min(stamp_ns) FROM version WHERE ino = ? AND stamp_ns > ?"
# What began and is live, what ended, and what ended later: a seek, a seek, and the later ones.
LAST_CHANGE: Final = f"""
    SELECT max(
        coalesce((
            SELECT max(from_ns) FROM entry INDEXED BY entry_by_end
            WHERE parent = ?1 AND to_ns = {OPEN_NS} AND ino <> 0 AND from_ns <= ?2), 0),
        coalesce((
            SELECT max(to_ns) FROM entry INDEXED BY entry_by_end
            WHERE parent = ?1 AND to_ns <= ?2 AND ino <> 0), 0),
        coalesce((
            SELECT max(from_ns) FROM entry INDEXED BY entry_by_end
            WHERE parent = ?1 AND to_ns > ?2 AND to_ns < {OPEN_NS} AND ino <> 0
                AND from_ns <= ?2), 0))"""

ATTRIBUTES_AT: Final = f"""
    SELECT {columns(KeptAttributes)} FROM kept_attributes WHERE ino = ? AND to_ns > ?
    ORDER BY to_ns LIMIT 1"""
ATTRIBUTES_SINCE: Final = "SELECT coalesce(max(to_ns), 0) FROM kept_attributes WHERE ino = ?"

CELL: Final = """
    SELECT to_ns, extents FROM cell WHERE ino = ? AND cell = ? AND from_ns <= ?
    ORDER BY from_ns DESC LIMIT 1"""
# Hop from cell to cell, one seek each, and look only at the newest layout before the instant.
CELLS: Final = """
    WITH RECURSIVE present (cell) AS (
        SELECT min(cell) FROM cell WHERE ino = ?1 AND cell >= ?2
        UNION ALL
        SELECT (SELECT min(cell) FROM cell WHERE ino = ?1 AND cell > present.cell)
        FROM present WHERE present.cell IS NOT NULL
    )
    SELECT layout.cell, layout.from_ns, layout.extents
    FROM present CROSS JOIN cell AS layout
    WHERE layout.ino = ?1 AND layout.cell = present.cell AND layout.to_ns > ?3
        AND layout.from_ns = (
            SELECT max(from_ns) FROM cell
            WHERE ino = ?1 AND cell = present.cell AND from_ns <= ?3
        )
    ORDER BY layout.cell"""
CELL_ROWS: Final = """
    SELECT cell, from_ns, to_ns, extents FROM cell
    WHERE ino = ? AND cell >= ? AND cell < ? ORDER BY cell, from_ns"""
NEXT_CELL: Final = "SELECT min(cell) FROM cell WHERE ino = ? AND cell >= ?"

BLOCK: Final = f"SELECT {columns(Block)} FROM block WHERE block_id = ?"
BLOCKS_IN_PACK: Final = f"""
    SELECT {columns(Block)} FROM block WHERE pack_id = ? AND pack_offset > ?
    ORDER BY pack_offset, block_id LIMIT ?"""
PACKS: Final = """
    SELECT pack.pack_id, pack.placement, coalesce(sum(block.sealed_length), 0)
    FROM pack LEFT JOIN block USING (pack_id) GROUP BY pack.pack_id ORDER BY pack.pack_id"""

PACK_PLACEMENTS: Final = "SELECT pack_id, placement FROM pack ORDER BY pack_id"
LIVE_BYTES: Final = "SELECT coalesce(sum(sealed_length), 0) FROM block WHERE pack_id = ?"
PLACEMENT: Final = "SELECT placement FROM pack WHERE pack_id = ?"
NEWEST_PACKS: Final = "SELECT placement, max(pack_id) FROM pack GROUP BY placement"

UNSETTLED: Final = "SELECT ino FROM unsettled WHERE ino > ? ORDER BY ino LIMIT ?"
SHARING: Final = """
    SELECT source FROM sharing WHERE ino = ?1 UNION SELECT ino FROM sharing WHERE source = ?1
    ORDER BY 1"""
RETRIEVALS: Final = f"""
    SELECT {columns(Version)} FROM version INDEXED BY version_by_retrieval
    WHERE retrieval IS NOT NULL ORDER BY ino, stamp_ns"""
LOCKED_VERSIONS: Final = f"""
    SELECT {columns(Version)} FROM version INDEXED BY version_by_lock
    WHERE lock IS NOT NULL AND (ino, stamp_ns) > (?, ?) ORDER BY ino, stamp_ns LIMIT ?"""
UNREAD_SINCE: Final = f"""
    SELECT {columns(Version)} FROM version INDEXED BY version_by_access
    WHERE tier = ? AND tier <> '' AND accessed_ns < ? ORDER BY accessed_ns LIMIT ?"""

KEY: Final = "SELECT wrapped FROM data_key WHERE key_id = ?"
KEYS: Final = "SELECT key_id, wrapped FROM data_key WHERE key_id > ? ORDER BY key_id LIMIT ?"
KEY_IN_USE: Final = "SELECT 1 FROM block WHERE key_id = ? LIMIT 1"
PENDING_LOCK: Final = "SELECT due_ns FROM pending_lock WHERE ino = ?"
PENDING_LOCKS: Final = """
    SELECT due_ns, ino FROM pending_lock WHERE due_ns BETWEEN ? AND ?
    ORDER BY due_ns, ino LIMIT ?"""
SETTING: Final = "SELECT value FROM setting WHERE name = ?"
AGENDA: Final = """
    SELECT place, name FROM agenda INDEXED BY agenda_by_time WHERE at_ns <= ?
    ORDER BY at_ns, place, name LIMIT ?"""
AGENDA_ROW: Final = "SELECT at_ns, acted_ns FROM agenda WHERE place = ? AND name = ?"
# By hops: a name may have a million intervals.
NAMES_AFTER: Final = """
    SELECT parent, name FROM entry WHERE parent = ?1 AND name > ?2
    UNION ALL SELECT parent, name FROM entry WHERE parent > ?1
    ORDER BY parent, name LIMIT 1"""
INTERVAL: Final = f"""
    SELECT {columns(Entry)} FROM entry WHERE parent = ? AND name = ? AND from_ns = ?"""
CELLS_CHANGED: Final = f"""
    SELECT DISTINCT cell FROM cell WHERE ino = ?1 AND (
        (from_ns > ?2 AND from_ns <= ?3) OR (to_ns > ?2 AND to_ns <= ?3 AND to_ns < {OPEN_NS})
    ) ORDER BY cell"""
INODES_AFTER: Final = f"SELECT {columns(Inode)} FROM inode WHERE ino > ? ORDER BY ino LIMIT ?"
TASKS: Final = f"""
    SELECT {columns(Task)} FROM task INDEXED BY task_by_change
    WHERE destination = ? AND reason = '' ORDER BY changed_ns, ino, stamp_ns LIMIT ?"""
FAILED_TASKS: Final = f"""
    SELECT {columns(Task)} FROM task INDEXED BY task_failed WHERE reason <> ''
    ORDER BY destination, ino, stamp_ns LIMIT ?"""
TASK: Final = f"""
    SELECT {columns(Task)} FROM task WHERE destination = ? AND ino = ? AND stamp_ns = ?"""
TASKS_OF: Final = f"""
    SELECT {columns(Task)} FROM task INDEXED BY task_by_ino WHERE ino = ?
    ORDER BY destination, stamp_ns"""
BACKLOG: Final = """
    SELECT destination, rule, failed, operations, size, iif(failed, 0, (
        SELECT min(since_ns) FROM task INDEXED BY task_by_age
        WHERE destination = backlog.destination AND rule = backlog.rule AND reason = ''
    )) FROM backlog WHERE operations > 0 ORDER BY destination, rule, failed"""
REPLICA: Final = "SELECT here FROM replica WHERE source = ? AND kind = ? AND there = ?"
ORIGIN: Final = """
    SELECT source, there FROM replica INDEXED BY replica_by_copy WHERE kind = ? AND here = ?"""
CLASS_USAGE: Final = f"""
    SELECT storage_class, count(*), sum(size),
        count(*) FILTER (WHERE size < {SMALL_BYTES}),
        coalesce(sum(size) FILTER (WHERE size < {SMALL_BYTES}), 0)
    FROM version GROUP BY storage_class ORDER BY storage_class"""
SETTINGS: Final = "SELECT name, value FROM setting"
