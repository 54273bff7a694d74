"""Facts in memory that a power cut may take back, as it may those of SQLite."""

from random import Random  # noqa: TID251 - passed in, with a seed

from s3fs_local.metadata.memory import MemoryMetadata


class LaggingMetadata(MemoryMetadata):
    """Facts in memory that a power cut may take back to an earlier commit, as it may SQLite's."""

    wal_bytes = 0

    def __init__(self) -> None:
        super().__init__()
        self._commits: list[tuple[int, int]] = [(0, 0)]  # journal position, mark in the tables

    def commit(self, position: int) -> None:
        """Not durable before `checkpoint`."""
        self._position = position
        self._commits.append((position, self._tables.mark()))

    def close(self) -> None:
        """The process is killed: the last commit is what the page cache has."""
        self._back_to(len(self._commits) - 1)

    def checkpoint(self) -> None:
        """The last commit is durable."""
        position, mark = self._commits[-1]
        self._tables.keep(mark)
        self._commits = [(position, 0)]

    def power_cut(self, random: Random) -> None:
        """Some commit since the last checkpoint is what the disk has."""
        self._back_to(random.randrange(len(self._commits)))

    def _back_to(self, number: int) -> None:
        self._position, mark = self._commits[number]
        self._tables.undo_to(mark)
        del self._commits[number + 1 :]
