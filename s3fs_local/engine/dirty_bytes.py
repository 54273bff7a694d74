"""Written bytes that are not sealed yet: sparse runs of one cell, in memory.

Memory follows what was written, never where: one byte at the end of a cell costs one byte.
"""

from bisect import bisect_left
from collections.abc import Iterator

from s3fs_local.rules.extents import CELL_BYTES, Runs, add_run, clip_runs


class DirtyBytes:
    """Disjoint, non-touching runs of one cell, ascending; positions count from the cell's start."""

    __slots__ = ("_data", "_starts", "size_bytes", "unjournaled")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._data: list[bytearray] = []
        self.size_bytes = 0
        self.unjournaled: Runs = []  # what no journal record holds yet

    def write(self, start: int, data: bytes | memoryview) -> None:
        """The cell's bytes from `start` are `data`."""
        end = start + len(data)
        add_run(self.unjournaled, start, end)
        if self._starts:
            last_start, last = self._starts[-1], self._data[-1]
            last_end = last_start + len(last)
            if start == last_end:
                self._extend(last, data)
                self.size_bytes += len(data)
                return
            if last_start <= start and end <= last_end:
                last[start - last_start : end - last_start] = data
                return
            if start <= last_end:
                self._write_across(start, end, data)
                return
        self._starts.append(start)
        self._data.append(bytearray(data))
        self.size_bytes += len(data)

    def _extend(self, last: bytearray, more: bytes | memoryview) -> None:
        """The last run goes on with `more`.

        A reader that failed may still look at it: whatever holds its traceback holds its views.
        """
        try:
            last += more
        except BufferError:
            self._data[-1] = last + more

    def _write_across(self, start: int, end: int, data: bytes | memoryview) -> None:
        """The general case: the runs that touch [start, end) become one with it."""
        first = bisect_left(self._starts, start)
        if first and self._starts[first - 1] + len(self._data[first - 1]) >= start:
            first -= 1
        stop = first
        while stop < len(self._starts) and self._starts[stop] <= end:
            stop += 1
        merged_start, merged = start, bytearray(data)
        if first < stop:
            head_start, head = self._starts[first], self._data[first]
            tail_start, tail = self._starts[stop - 1], self._data[stop - 1]
            if head_start < start:
                merged_start = head_start
                merged[:0] = head[: start - head_start]
            if tail_start + len(tail) > end:
                merged += tail[end - tail_start :]
            self.size_bytes -= sum(map(len, self._data[first:stop]))
        self._starts[first:stop] = [merged_start]
        self._data[first:stop] = [merged]
        self.size_bytes += len(merged)

    def clip(self, limit: int) -> None:
        """Nothing at or beyond `limit` is held any more."""
        while self._starts and self._starts[-1] + len(self._data[-1]) > limit:
            last = self._data[-1]
            keep = max(limit - self._starts[-1], 0)
            self.size_bytes -= len(last) - keep
            if keep:
                self._data[-1] = last[:keep]
                break
            self._starts.pop()
            self._data.pop()
        clip_runs(self.unjournaled, limit)

    def drop(self, start: int) -> None:
        """The run that begins at `start` is not held any more."""
        index = self._starts.index(start)
        end = start + len(self._data[index])
        self.size_bytes -= len(self._data[index])
        del self._starts[index], self._data[index]
        self.unjournaled = [run for run in self.unjournaled if not start <= run[0] < end]

    def runs(self) -> Runs:
        """The ranges held."""
        return [(s, s + len(d)) for s, d in zip(self._starts, self._data, strict=True)]

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, memoryview]]:
        """(position, bytes) of everything held in [start, end), ascending."""
        for run_start, data in zip(self._starts, self._data, strict=True):
            if run_start >= end:
                return
            run_end = run_start + len(data)
            if run_end > start:
                first, stop = max(start, run_start), min(end, run_end)
                yield first, memoryview(data)[first - run_start : stop - run_start]

    def run(self, start: int, end: int) -> bytearray | None:
        """The run that is exactly [start, end), as it is held: not to be changed or kept."""
        for run_start, data in zip(self._starts, self._data, strict=True):
            if run_start == start and len(data) == end - start:
                return data
        return None

    def holds(self, start: int, end: int) -> bool:
        """Whether every byte of [start, end) is held."""
        for run_start, data in zip(self._starts, self._data, strict=True):
            if run_start <= start and end <= run_start + len(data):
                return True
        return False

    @property
    def is_full(self) -> bool:
        """Whether it holds the whole cell."""
        return self.size_bytes == CELL_BYTES
