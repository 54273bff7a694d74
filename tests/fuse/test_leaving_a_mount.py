"""A daemon that is told to end while programs have files open and mapped."""

from pathlib import Path

import pytest
import trio

from s3fs_local.fuse import session
from s3fs_local.fuse.invalidator import Invalidator
from s3fs_local.fuse.reader_gate import ReaderGate


class _BusyGate(ReaderGate):
    """Has requests left for a while; notes how many were there when it was stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting_requests = 0
        self.left_behind: list[int] = []

    @property
    def is_idle(self) -> bool:
        self.waiting_requests -= self.waiting_requests > 0
        return not self.waiting_requests

    def stop(self) -> None:
        self.left_behind.append(self.waiting_requests)


async def _left_behind(monkeypatch: pytest.MonkeyPatch, requests: int) -> list[int]:
    gate = _BusyGate()

    def write_back(_: Path) -> None:
        gate.waiting_requests = requests  # sent, and not waited for

    monkeypatch.setattr(session, "write_back", write_back)
    monkeypatch.setattr(session, "unmount", lambda _, *, lazily: lazily)
    await session.leave(Path("/nowhere"), gate, Invalidator())
    return gate.left_behind


@pytest.mark.usefixtures("autojump_clock")
async def test_what_the_kernel_writes_back_is_taken_before_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On newer kernels syncfs(2) returns before we have answered: bytes of mappings were lost."""
    assert await _left_behind(monkeypatch, 100) == [0]


@pytest.mark.usefixtures("autojump_clock")
async def test_programs_that_go_on_for_ever_do_not_keep_a_daemon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SIGTERM cannot be refused."""
    started = trio.current_time()
    (left,) = await _left_behind(monkeypatch, 1 << 40)
    assert left
    assert trio.current_time() - started <= session.WRITTEN_BACK_SECONDS_MAX + 1
