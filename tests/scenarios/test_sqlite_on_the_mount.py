"""SQLite works on the mount, and keeps every committed transaction when the daemon is killed."""

import random
import sqlite3
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest

from tests.mounting import MountedStore

pytestmark = [pytest.mark.mount, pytest.mark.slow, pytest.mark.timeout(300)]

TRANSACTIONS = 1000
KILLS = 5

# Writes one number a transaction, and says each number on stdout once COMMIT has returned.
CLIENT = """
import sqlite3, sys
path, journal, synchronous, first, last = sys.argv[1:]
database = sqlite3.connect(path, isolation_level=None)
assert database.execute(f"PRAGMA journal_mode={journal}").fetchone()[0].upper() == journal
database.execute(f"PRAGMA synchronous={synchronous}")
database.execute("CREATE TABLE IF NOT EXISTS done (number INTEGER PRIMARY KEY, text TEXT)")
for number in range(int(first), int(last)):
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO done VALUES (?, ?)", (number, "x" * (number % 700)))
    database.execute("UPDATE done SET text = text || 'y' WHERE number = ?", (number // 2,))
    database.execute("COMMIT")
    print(number, flush=True)
"""

WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
database.execute("CREATE TABLE IF NOT EXISTS shared (number)")
for number in range(50):
    database.execute("INSERT INTO shared VALUES (?)", (number,))
"""


def start_client(database: Path, *, mode: tuple[str, str], first: int) -> subprocess.Popen[str]:
    """Starts a client that commits the numbers from `first` on."""
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, database, *mode, str(first), str(TRANSACTIONS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def numbers_in(database: Path) -> list[int]:
    """What the database holds, after its own check has found it sound."""
    connection = sqlite3.connect(database)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [row[0] for row in connection.execute("SELECT number FROM done ORDER BY number")]
    finally:
        connection.close()


@pytest.mark.parametrize(
    "mode",
    [("DELETE", "EXTRA"), ("DELETE", "FULL"), ("TRUNCATE", "FULL"), ("WAL", "FULL")],
    ids="-".join,
)
def test_no_committed_transaction_is_lost_when_the_daemon_is_killed(
    mount: MountedStore, mode: tuple[str, str]
) -> None:
    """A database trusts fsync; an fsync that returned too early shows here as a lost row."""
    chance = random.Random(f"sqlite {mode}")
    database = mount.path / "numbers.db"
    stops = sorted(chance.sample(range(TRANSACTIONS // 10, TRANSACTIONS - 50), KILLS))
    committed = -1
    for stop in [*stops, None]:
        with start_client(database, mode=mode, first=committed + 1) as client:
            assert client.stdout
            assert client.stderr
            for line in client.stdout:
                committed = int(line)
                if committed == stop:
                    sleep(chance.uniform(0, 0.02))  # anywhere inside a transaction
                    mount.kill()
            message = client.stderr.read()
        if stop is None:
            assert client.returncode == 0, message
        else:
            mount.remount()

        found = numbers_in(database)
        assert found == list(range(len(found)))
        assert len(found) - 1 in (committed, committed + 1), f"after the kill at {stop}: {message}"
        committed = len(found) - 1

    assert committed == TRANSACTIONS - 1


def test_readers_and_a_writer_share_a_database(mount: MountedStore) -> None:
    """File locks and shared memory work between processes of one mount, as databases need."""
    database = mount.path / "shared.db"
    clients = [subprocess.Popen([sys.executable, "-c", WRITER, database]) for _ in range(3)]

    assert [client.wait(timeout=100) for client in clients] == [0, 0, 0]
    assert mount.run("sqlite3", database, "SELECT count(*) FROM shared").stdout.strip() == "150"
