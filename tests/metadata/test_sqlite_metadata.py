"""What is special to the metadata engine on SQLite: its file, the disk below, what it costs."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

import apsw
import apsw.ext
import pytest
from msgspec import structs

from s3fs_local.errors import (
    FormatTooNew,
    MetadataDamaged,
    QuotaExceeded,
    StoreDamaged,
    StoreExists,
    StoreFull,
)
from s3fs_local.metadata.changes import (
    Change,
    CloseCell,
    OpenCell,
    OpenEntry,
    PutInode,
    PutKey,
    PutSetting,
    RemoveKey,
)
from s3fs_local.metadata.sqlite import SqliteMetadata, queries
from s3fs_local.metadata.sqlite.connection import connect, raise_translated
from s3fs_local.metadata.sqlite.migrations import create_tables, migrate
from s3fs_local.metadata.sqlite.writing import Inodes
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.namespace import OPEN_NS, Entry
from tests.campaigns.interposed import Interposed
from tests.metadata.statements import statements

FILE: Final = Inode(ino=2, mode=0o100644, uid=0, gid=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is or will be."""
    return tmp_path / "metadata.db"


@pytest.fixture
def metadata(path: Path) -> Iterator[SqliteMetadata]:
    """A new database."""
    made = SqliteMetadata.create(path)
    yield made
    made.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("needs root to mount a small filesystem")
    command = [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("may not mount a small filesystem")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def big_keys(first: int, count: int) -> list[Change]:
    """About 16 KiB each."""
    return [PutKey(first + number, b"k" * 16_000) for number in range(count)]


OPENED_BY_ANOTHER: Final = """
import sqlite3, sys
sqlite3.connect(sys.argv[1], timeout=0).execute("SELECT count(*) FROM inode")
"""


def test_no_file_of_the_database_is_mapped_and_no_other_process_is_let_in(
    path: Path, metadata: SqliteMetadata
) -> None:
    """A full btrfs kills whoever writes to a mapped page (SIGBUS): the daemon, by its -shm.

    The index of the log is in the memory of this process, so it must be the only one.
    """
    metadata.apply([PutInode(FILE)])
    metadata.commit(1)
    metadata.checkpoint()
    assert not path.with_name(f"{path.name}-shm").exists()
    assert str(path) not in Path("/proc/self/maps").read_text()
    refused = subprocess.run(
        [sys.executable, "-c", OPENED_BY_ANOTHER, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "database is locked" in refused.stderr


def test_the_database_can_be_read_by_its_owner_only(path: Path, metadata: SqliteMetadata) -> None:
    """It holds every file name in the store."""
    metadata.apply([PutInode(FILE)])
    metadata.commit(1)
    files = [*path.parent.glob("metadata.db*")]

    assert len(files) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_making_a_database_never_touches_one_that_is_there(path: Path) -> None:
    """Neither ours nor anybody's."""
    path.write_bytes(b"precious")

    with pytest.raises(StoreExists):
        SqliteMetadata.create(path)
    assert path.read_bytes() == b"precious"


def test_a_missing_database_is_damage_and_is_not_made(path: Path) -> None:
    """An empty new one would look like a store that lost every file."""
    with pytest.raises(StoreDamaged, match=r"metadata\.db"):
        SqliteMetadata(path)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"Dear diary, " * 1000], ids=["empty", "text"])
def test_a_file_that_is_no_database_is_refused_untouched(path: Path, content: bytes) -> None:
    """It may be the only copy of something."""
    path.write_bytes(content)

    with pytest.raises(StoreDamaged):
        SqliteMetadata(path)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused_untouched(path: Path) -> None:
    """Even switching it to our journal mode would be a change."""
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE song (title TEXT)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreDamaged, match="another program"):
        SqliteMetadata(path)
    assert path.read_bytes() == before


def test_a_newer_format_is_refused(path: Path, metadata: SqliteMetadata) -> None:
    """An old release cannot know what it would break."""
    metadata.close()
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(FormatTooNew, match="99"):
        SqliteMetadata(path)


def test_a_format_that_never_was_is_damage(path: Path, metadata: SqliteMetadata) -> None:
    """Number 0 is what a database has whose making was cut short."""
    metadata.close()
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 0")
    connection.close()

    with pytest.raises(StoreDamaged):
        SqliteMetadata(path)


def test_migrations_run_in_order_and_once() -> None:
    """Each step builds on the one before it."""
    connection = apsw.Connection(":memory:")
    create_tables(connection)
    steps = ("CREATE TABLE step (number INTEGER)", "INSERT INTO step VALUES (2)")

    migrate(connection, steps)
    migrate(connection, steps)

    assert connection.execute("SELECT number FROM step").fetchall() == [(2,)]
    assert connection.pragma("user_version") == 3


def test_a_migration_that_fails_changes_nothing() -> None:
    """The next attempt starts from a format that is known."""
    connection = apsw.Connection(":memory:")
    create_tables(connection)

    with pytest.raises(apsw.SQLError):
        migrate(connection, ("CREATE TABLE step (number INTEGER); INSERT INTO nowhere VALUES (1)",))
    assert connection.pragma("user_version") == 1
    assert connection.table_exists(None, "step") is False


STEPS: Final = (
    "CREATE TABLE step (number INTEGER); INSERT INTO step SELECT ino FROM inode",
    "ALTER TABLE step ADD COLUMN twice INTEGER; UPDATE step SET twice = 2 * number",
)
KILLED_WHILE_IT_MIGRATES: Final = f"""
import sys
from pathlib import Path
from s3fs_local.metadata.sqlite.connection import connect
from s3fs_local.metadata.sqlite.migrations import migrate
connection = connect(Path(sys.argv[1]))
connection.execute("PRAGMA journal_mode = WAL")
migrate(connection, {STEPS!r})
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
connection.close()
"""


def test_a_process_that_is_killed_while_it_migrates_leaves_one_format_and_the_next_goes_on(
    tmp_path: Path,
) -> None:
    """At whatever call on the files: each step is there or not, and none is done twice.

    Made-up steps: there has been one format only.
    """
    original, path = tmp_path / "original", tmp_path / "db" / "metadata.db"
    metadata = SqliteMetadata.create(original)
    metadata.apply([PutInode(Inode(ino=ino, mode=0o100644, uid=0, gid=0)) for ino in range(2, 900)])
    metadata.commit(1)
    metadata.close()
    path.parent.mkdir()
    interposed = Interposed(tmp_path, path.parent)
    versions: set[int] = set()
    for nth in count(1, 7):
        for left in path.parent.iterdir():
            left.unlink()
        shutil.copy(original, path)
        interposed.kill(nth=nth)
        ended = subprocess.run(
            [sys.executable, "-c", KILLED_WHILE_IT_MIGRATES, str(path)],
            env=os.environ | interposed.environment,
            check=False,
        )
        if not ended.returncode:
            break
        assert ended.returncode == -signal.SIGKILL
        connection = connect(path)
        version = int(connection.pragma("user_version"))
        versions.add(version)
        assert connection.table_exists(None, "step") is (version > 1)
        migrate(connection, STEPS)
        rows = connection.execute("SELECT count(*), sum(twice) - 2 * sum(number) FROM step")
        assert rows.fetchall() == [(898, 0)]
        assert connection.pragma("integrity_check") == "ok"
        connection.close()
    assert versions == {1, 2, 3}


KILLED_BETWEEN_APPLY_AND_COMMIT: Final = """
import os, signal, sys
from pathlib import Path
from s3fs_local.metadata.changes import PutInode, PutSetting
from s3fs_local.metadata.sqlite import SqliteMetadata
from s3fs_local.rules.inode import Inode
metadata = SqliteMetadata(Path(sys.argv[1]))
metadata.apply([PutInode(Inode(ino=2, mode=0o100644, uid=0, gid=0))])
metadata.commit(5)
metadata.apply([PutInode(Inode(ino=2, mode=0o100600, uid=0, gid=0)), PutSetting("a", "1")])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_the_last_commit(path: Path, metadata: SqliteMetadata) -> None:
    """Facts and journal position must agree, or replay repeats or skips changes."""
    metadata.close()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BETWEEN_APPLY_AND_COMMIT, str(path)], check=False
    )
    reopened = SqliteMetadata(path)

    assert killed.returncode == -signal.SIGKILL
    assert reopened.position() == 5
    assert reopened.inode(2) == FILE
    assert reopened.setting("a") is None
    reopened.close()


def test_a_full_disk_fails_the_commit_and_loses_nothing_that_was_applied(small_disk: Path) -> None:
    """The engine goes read-only, frees something, and tries again."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500 << 10))
    metadata = SqliteMetadata.create(small_disk / "metadata.db")
    metadata.apply([PutInode(FILE)])
    metadata.commit(1)
    metadata.apply(big_keys(1, 20))
    metadata.apply(big_keys(21, 20))

    with pytest.raises(StoreFull):
        metadata.commit(2)
    assert metadata.position() == 1
    assert metadata.key(40) is not None
    assert metadata.inode(2) == FILE
    assert metadata.counters().key_id == 40

    metadata.apply([RemoveKey(7)])
    ballast.unlink()
    metadata.commit(3)
    metadata.close()
    reopened = SqliteMetadata(small_disk / "metadata.db")

    assert reopened.position() == 3
    assert reopened.key(40) is not None
    assert reopened.key(7) is None
    reopened.close()


def test_a_restart_on_a_full_disk_finds_the_last_commit(small_disk: Path) -> None:
    """Reading must work when nothing can be written, above all then."""
    path = small_disk / "metadata.db"
    metadata = SqliteMetadata.create(path)
    metadata.apply([PutInode(FILE)])
    metadata.commit(1)
    metadata.apply(big_keys(1, 100))
    with pytest.raises(StoreFull):
        metadata.commit(2)
    metadata.close()
    reopened = SqliteMetadata(path)

    assert reopened.position() == 1
    assert reopened.inode(2) == FILE
    assert reopened.key(1) is None
    assert reopened.integrity_check() == []
    reopened.close()


def test_a_checkpoint_on_a_full_disk_says_so_and_loses_nothing(small_disk: Path) -> None:
    """The log stays what it was until there is room."""
    ballast = small_disk / "ballast"
    metadata = SqliteMetadata.create(small_disk / "metadata.db")
    metadata.apply(big_keys(1, 20))
    metadata.commit(1)
    free = os.statvfs(small_disk)
    ballast.write_bytes(bytes(free.f_bavail * free.f_frsize))

    with pytest.raises(StoreFull):
        metadata.checkpoint()
    assert metadata.key(20) is not None

    ballast.unlink()
    metadata.checkpoint()

    assert metadata.wal_bytes == 0
    metadata.close()


def test_a_quota_is_told_from_a_full_disk() -> None:
    """SQLite calls a quota an I/O error; only the number of the system says what it was."""
    with pytest.raises(QuotaExceeded):
        raise_translated(apsw.IOError("disk I/O error"), errno.EDQUOT)
    with pytest.raises(StoreFull) as full:
        raise_translated(apsw.FullError("database or disk is full"), errno.ENOSPC)

    assert not isinstance(full.value, QuotaExceeded)


def test_a_database_cannot_be_made_on_a_full_disk(small_disk: Path) -> None:
    """Making a store reports the disk, not a bug."""
    free = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(bytes(free.f_bavail * free.f_frsize))

    with pytest.raises(StoreFull):
        SqliteMetadata.create(small_disk / "metadata.db")


def test_a_failed_batch_keeps_the_uncommitted_ones_before_it(metadata: SqliteMetadata) -> None:
    """They were acknowledged; the way back goes through the last commit and must not stop there."""
    metadata.apply([PutInode(FILE)])
    metadata.apply([PutKey(5, b"k")])

    with pytest.raises(MetadataDamaged):
        metadata.apply([PutSetting("a", "1"), RemoveKey(6)])
    assert metadata.inode(2) == FILE
    assert metadata.key(5) == b"k"
    assert metadata.setting("a") is None

    metadata.commit(1)

    assert metadata.counters().key_id == 5


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Each read of the file by a descriptor that is open now fails."""
    opened = [int(link.name) for link in Path("/proc/self/fd").iterdir() if _is_open_at(link, path)]
    kept = [os.dup(descriptor) for descriptor in opened]
    write_only = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor in opened:
            os.dup2(write_only, descriptor, inheritable=False)
        yield
    finally:
        for descriptor, own in zip(opened, kept, strict=True):
            os.dup2(own, descriptor, inheritable=False)
            os.close(own)
        os.close(write_only)


def _is_open_at(link: Path, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return link.readlink() == path
    return False


@pytest.mark.parametrize("ends", ["commits", "is killed"])
def test_a_read_that_fails_once_leaves_the_batches_before_it(path: Path, ends: str) -> None:
    """SQLite ends the transaction then, and would write what follows beside it, for good."""
    with closing(SqliteMetadata.create(path)) as first:
        first.apply(big_keys(1, 200))
        first.commit(1)
    with closing(SqliteMetadata(path)) as metadata:
        metadata.apply([PutSetting("before", "x")])
        with unreadable(path), pytest.raises(MetadataDamaged):
            metadata.key(100)

        assert metadata.key(100) == b"k" * 16_000
        assert metadata.setting("before") == "x"
        metadata.apply([PutSetting("after", "x")])
        if ends == "commits":
            metadata.commit(2)
    with closing(SqliteMetadata(path)) as reopened:
        found = [name for name in ("before", "after") if reopened.setting(name) == "x"]
        assert (reopened.position(), found) == (
            (2, ["before", "after"]) if ends == "commits" else (1, [])
        )


def test_a_value_that_no_column_takes_leaves_no_trace(metadata: SqliteMetadata) -> None:
    """A bug of the caller surfaces as itself, and the facts stay whole."""
    metadata.apply([PutInode(FILE)])

    with pytest.raises(OverflowError):
        metadata.apply([PutSetting("a", "1"), OpenCell(2, 1 << 70, 5, b"")])
    assert metadata.setting("a") is None
    assert metadata.inode(2) == FILE


def test_the_log_starts_over_although_writes_never_pause(metadata: SqliteMetadata) -> None:
    """Else it would grow until the disk is full on a store that is always busy."""
    longest = 0
    for round_ in range(12):
        metadata.apply(big_keys(round_ * 10, 10))
        metadata.commit(round_ + 1)
        metadata.apply([PutSetting("busy", str(round_))])
        longest = max(longest, metadata.wal_bytes)
        if metadata.wal_bytes > 500_000:
            metadata.checkpoint()

    assert 500_000 < longest < 1_000_000
    assert metadata.key(119) is not None


def test_a_checkpoint_moves_the_log_into_the_database(path: Path, metadata: SqliteMetadata) -> None:
    """Opening after a crash is then quick."""
    metadata.apply(big_keys(1, 10))
    metadata.commit(1)
    size_before = path.stat().st_size
    logged_before = metadata.wal_bytes
    metadata.checkpoint()

    assert logged_before > 160_000
    assert metadata.wal_bytes == 0
    assert path.stat().st_size >= size_before + 160_000


def test_checkpoints_in_a_thread_disturb_no_writer(metadata: SqliteMetadata) -> None:
    """A worker copies the log while the event loop goes on changing and committing."""
    failures: list[BaseException] = []
    written = threading.Event()

    def checkpoint_often() -> None:
        try:
            while not written.is_set():
                metadata.checkpoint()
            metadata.checkpoint()
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    worker = threading.Thread(target=checkpoint_often)
    worker.start()
    for round_ in range(1, 201):
        metadata.apply([*big_keys(round_ % 50, 3), PutSetting("round", str(round_))])
        metadata.commit(round_)
    written.set()
    worker.join()

    assert failures == []
    assert metadata.position() == 200
    assert metadata.setting("round") == "200"
    assert metadata.integrity_check() == []


def damage(path: Path, where: Callable[[int], int]) -> None:
    """Overwrite a page of the database."""
    with path.open("r+b") as file:
        file.seek(where(path.stat().st_size) // 4096 * 4096)
        file.write(b"\xa5" * 4096)


def test_damaged_pages_are_reported_as_damage(path: Path, metadata: SqliteMetadata) -> None:
    """A wrong answer would be worse."""
    metadata.apply([PutInode(Inode(ino=i, mode=0, uid=0, gid=0)) for i in range(1, 2000)])
    metadata.commit(1)
    assert metadata.integrity_check() == []
    metadata.close()
    damage(path, lambda size: size - 20_000)
    reopened = SqliteMetadata(path)

    assert reopened.integrity_check() != []
    with pytest.raises(MetadataDamaged):
        [reopened.inode(ino) for ino in range(1, 2000)]
    reopened.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE inode SET xattrs = x'c1'",
        "UPDATE entry SET ending = 77",
        "DELETE FROM inode",
        "DELETE FROM state",
    ],
)
def test_contradictions_inside_rows_are_reported_as_damage(
    path: Path, metadata: SqliteMetadata, sql: str
) -> None:
    """What SQLite finds well-formed may still make no sense."""
    metadata.apply([PutInode(FILE), OpenEntry(Entry(1, b"a", 10, 2))])
    metadata.commit(1)
    metadata.close()
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()

    with pytest.raises(MetadataDamaged):
        SqliteMetadata(path).children(1, 0, 10)


SCANS_ALLOWED: Final = {"COUNT_INODES", "COUNT_VERSIONS", "COUNT_BLOCKS", "PACKS", "SETTINGS"} | {
    *("CLASS_USAGE", "NEWEST_PACKS", "RETRIEVALS", "BACKLOG", "FAILED_TASKS", "PACK_PLACEMENTS"),
}
SORTS_ALLOWED: Final = {  # of the answer
    *("CHILDREN_AT", "ENTRIES_OF", "CELLS", "BLOCKS_IN_PACK", "CLASS_USAGE", "COUNT_COMMITS"),
    *("NEWEST_PACKS", "RETRIEVALS"),
}
QUERIES: Final = {
    name: text
    for name, text in vars(queries).items()
    if isinstance(text, str) and name.isupper() and name not in {"STATE", "PUT_STATE"}
}


@pytest.mark.parametrize("name", QUERIES)
def test_every_question_is_answered_by_an_index(name: str) -> None:
    """A scan or a sort shows only when the store has grown large."""
    connection = apsw.Connection(":memory:")
    create_tables(connection)
    parameters = apsw.ext.query_info(connection, QUERIES[name]).bindings_count
    explained = connection.execute(f"EXPLAIN QUERY PLAN {QUERIES[name]}", (None,) * parameters)
    plan = [row[3] for row in explained]
    harmless = {"SCAN present", "SCAN CONSTANT ROW"}  # of a few rows that no table holds
    scans = [step for step in plan if step.startswith("SCAN") and step not in harmless]
    sorts = [step for step in plan if "TEMP B-TREE" in step]

    assert name in SCANS_ALLOWED or not scans
    assert name in SORTS_ALLOWED or not sorts


def test_a_hot_cell_costs_no_more_than_a_quiet_one(path: Path, metadata: SqliteMetadata) -> None:
    """A log appended to 2000 times has 2000 layouts of its last cell."""
    quiet, hot = 2, 3
    changes: list[Change] = [OpenCell(ino, 0, 1, b"") for ino in (quiet, hot)]
    changes.append(OpenCell(quiet, 1, 1, b"once"))
    for stamp_ns in range(10, 2010):
        changes += [CloseCell(hot, 1, stamp_ns), OpenCell(hot, 1, stamp_ns, b"again")]
    metadata.apply(changes)
    metadata.commit(1)
    connection = apsw.Connection(str(path))
    connection.execute(queries.CELLS, (0, 0, 0)).fetchall()  # compiled from here on
    steps = 0

    def count_step() -> bool:
        nonlocal steps
        steps += 1
        return False

    connection.set_progress_handler(count_step, 1)
    costs = []
    for ino in (quiet, hot):
        steps = 0
        found = connection.execute(queries.CELLS, (ino, 0, OPEN_NS - 1)).fetchall()
        assert len(found) == 2
        costs.append(steps)
    connection.close()

    assert costs[1] == pytest.approx(costs[0], abs=5)


def test_the_inode_cache_is_bounded() -> None:
    """A walk over a large tree must not fill the memory; the newest are the ones that stay."""
    inodes = Inodes(apsw.Connection(":memory:").cursor(), at_most=16_384)
    for ino in range(1, 20_001):
        inodes.remember(Inode(ino=ino, mode=0, uid=0, gid=0))

    assert inodes.get(20_000 - 16_384) is None
    assert inodes.get(20_000 - 16_383) is not None


def test_an_inode_that_was_put_is_never_forgotten(path: Path, metadata: SqliteMetadata) -> None:
    """Its row is written late: until then no walk over a large tree may push it out."""
    metadata.apply([PutInode(FILE)])
    others = [PutInode(Inode(ino=ino, mode=0o100644, uid=0, gid=0)) for ino in range(3, 70_003)]
    metadata.apply(others)
    assert metadata.inode(2) == FILE
    metadata.commit(1)
    assert metadata.usage().files == 70_001
    with closing(SqliteMetadata(path)) as other:
        assert other.inode(2) == FILE


def test_the_row_of_a_directory_is_written_once_for_all_its_new_files(path: Path) -> None:
    """Each file that is made changes its directory: a row of 22 columns, for nobody to read."""
    with statements() as told, closing(SqliteMetadata.create(path)) as metadata:
        directory = Inode(ino=1, mode=0o040755, uid=0, gid=0)
        for number in range(100):
            entry = Entry(1, b"f%d" % number, number + 1, number + 2)
            inode = structs.replace(FILE, ino=number + 2)
            directory = structs.replace(directory, mtime_ns=number)
            metadata.apply([PutInode(inode), OpenEntry(entry), PutInode(directory)])
        metadata.commit(1)

    assert sum(sql.startswith("REPLACE INTO inode") for sql in told) == 101


def test_inodes_read_from_the_database_are_those_that_were_put(
    path: Path, metadata: SqliteMetadata
) -> None:
    """The cache must not be the only one that knows."""
    changed = Inode(ino=2, mode=0o100600, uid=1, gid=2, xattrs={b"user.a": b"b"})
    metadata.apply([PutInode(FILE), PutInode(changed)])
    metadata.commit(1)
    other = SqliteMetadata(path)

    assert other.inode(2) == changed
    other.close()
