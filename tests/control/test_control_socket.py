"""A command's way over the control socket, and what clients can do to a daemon (nothing)."""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from s3fs_local import errors
from s3fs_local.control.client import Client, connect
from s3fs_local.control.protocol import (
    HEADER_BYTES,
    Failure,
    Progress,
    Reply,
    decode_reply,
    frame,
)
from s3fs_local.control.requests import DescribeStatus, ListVersions, Purge, ReadVersion, Request
from s3fs_local.control.server import Answer, Outlet, listening_socket, serve
from s3fs_local.rules.inode import Caller


async def answer_plainly(request: Request, caller: Caller, outlet: Outlet) -> object:
    """A daemon that knows a little of everything."""
    match request:
        case ListVersions(path=path):
            return {"path": path, "uid": caller.uid, "pid": caller.pid}
        case ReadVersion():
            await outlet.progress("reading", done=1, total=2)
            await outlet.data(b"\x00\xff")
            await outlet.data(b"end")
            return {"Size": 5}
        case Purge():
            raise errors.Protected("report.pdf is locked until 2030")
        case DescribeStatus():
            return 1 // 0
        case _:
            raise errors.Unsupported("not here")


@asynccontextmanager
async def daemon(store: Path, answer: Answer = answer_plainly) -> AsyncIterator[None]:
    """A server at the store's socket for the time of the block."""
    async with trio.open_nursery() as nursery:
        listener = listening_socket(store)
        await nursery.start(partial(serve, listener, answer, accepting=trio.CancelScope()))
        yield
        nursery.cancel_scope.cancel()


async def ask(store: Path, request: Request) -> tuple[object, list[Progress], bytes]:
    """The result, the progress and the data of a request."""
    progress: list[Progress] = []
    data = bytearray()

    def blocking() -> object:
        client = connect(store)
        assert client is not None
        with client:
            return client.ask(request, on_progress=progress.append, on_data=data.extend)

    result = await trio.to_thread.run_sync(blocking)
    return result, progress, bytes(data)


async def test_a_command_gets_its_arguments_there_and_its_result_back(tmp_path: Path) -> None:
    """The story: any bytes in a path, progress and data on the way, one result at the end."""
    async with daemon(tmp_path):
        result, _, _ = await ask(tmp_path, ListVersions(path=b"a/\xff\n"))
        content, progress, data = await ask(tmp_path, ReadVersion(path=b"f"))

    assert result == {"path": b"a/\xff\n", "uid": os.getuid(), "pid": os.getpid()}
    assert content == {"Size": 5}
    assert progress == [Progress(what="reading", done=1, total=2)]
    assert data == b"\x00\xffend"


async def test_an_error_arrives_as_the_same_error(tmp_path: Path) -> None:
    """The command line must not care whether the store was mounted."""
    async with daemon(tmp_path):
        with pytest.raises(errors.Protected, match="is locked until 2030"):
            await ask(tmp_path, Purge(path=b"report.pdf", version="x"))


async def test_a_bug_is_told_without_its_insides_and_the_daemon_lives_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A traceback belongs into the log, not onto a terminal."""
    async with daemon(tmp_path):
        with pytest.raises(errors.ControlError, match="InternalError"):
            await ask(tmp_path, DescribeStatus())
        result, _, _ = await ask(tmp_path, ListVersions(path=b"f"))

    assert result
    assert "DescribeStatus failed by a bug" in caplog.text


async def test_the_caller_is_who_the_kernel_says_not_who_the_client_says(tmp_path: Path) -> None:
    """A bypass of a lock is granted by uid."""
    async with daemon(tmp_path):
        result, _, _ = await ask(tmp_path, ListVersions(path=b"f"))

    assert isinstance(result, dict)
    assert (result["uid"], result["pid"]) == (os.getuid(), os.getpid())


GARBAGE = {
    "a length of four gigabytes": b"\xff\xff\xff\xff",
    "no msgpack": b"\x00\x00\x00\x40" + b"\xc1" * 64,
    "an unknown command": frame(Progress(what="versions", done=1)),
    "a command that is no text": b"\x00\x00\x00\x0b\x81\xa7command\xa1\xff",
    "http": b"\x00\x00\x00\x10GET / HTTP/1.1\r\n",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=list(GARBAGE))
async def test_garbage_is_refused_and_harms_nobody(tmp_path: Path, garbage: bytes) -> None:
    """Whatever is sent, the answer is a refusal and the next client is served."""
    async with daemon(tmp_path):
        reply = await raw_exchange(tmp_path, garbage)
        result, _, _ = await ask(tmp_path, ListVersions(path=b"f"))

    assert isinstance(reply, Failure)
    assert reply.code == "InvalidArgument"
    assert result


async def raw_exchange(store: Path, request: bytes) -> Reply:
    """The answer to any bytes."""
    async with await trio.open_unix_socket(str(store / "control.sock")) as stream:
        await stream.send_all(request)
        answer = bytearray()
        async for piece in stream:
            answer += piece
    return decode_reply(bytes(answer[HEADER_BYTES:]))


async def test_a_client_that_says_nothing_delays_nobody(tmp_path: Path) -> None:
    """One hanging script must not stop an administrator."""
    async with daemon(tmp_path), await trio.open_unix_socket(str(tmp_path / "control.sock")):
        result, _, _ = await ask(tmp_path, ListVersions(path=b"f"))

    assert result


async def test_a_client_that_leaves_cancels_its_command(tmp_path: Path) -> None:
    """Ctrl-C at a long command ends the work, not only the waiting."""
    cancelled = trio.Event()
    started = trio.Event()

    async def answer(_request: Request, _caller: Caller, _outlet: Outlet) -> object:
        started.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with daemon(tmp_path, answer):
        async with await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
            await stream.send_all(frame(DescribeStatus()))
            await started.wait()
        with trio.fail_after(5):
            await cancelled.wait()


async def test_a_store_with_a_very_long_path_can_be_reached(tmp_path: Path) -> None:
    """A socket's address holds 108 bytes; directories go to 4096."""
    store = tmp_path / ("long" * 50) / ("path" * 50)
    store.mkdir(parents=True)
    async with daemon(store):
        result, _, _ = await ask(store, ListVersions(path=b"f"))

    assert result


async def test_the_socket_of_a_dead_daemon_is_replaced(tmp_path: Path) -> None:
    """After kill -9 the next mount must not stumble over what is left."""
    listening_socket(tmp_path).close()
    assert connect(tmp_path) is None

    async with daemon(tmp_path):
        result, _, _ = await ask(tmp_path, ListVersions(path=b"f"))

    assert result


def test_no_daemon_is_told_from_no_store(tmp_path: Path) -> None:
    """Without a daemon a command opens the store itself; without a store it cannot."""
    assert connect(tmp_path) is None
    with pytest.raises(errors.NotAStore, match="missing"):
        connect(tmp_path / "missing")


def scripted(script: Callable[[socket.socket], object]) -> Client:
    """A client whose daemon does just that."""
    ours, theirs = socket.socketpair()
    script(theirs)
    theirs.close()
    return Client(ours)


def test_a_daemon_that_dies_before_its_answer_is_an_error_of_ours() -> None:
    """Silence must never be taken for success."""
    with scripted(lambda _: None) as client, pytest.raises(errors.DaemonUnreachable):
        client.ask(DescribeStatus(), on_progress=print, on_data=print)


def test_a_daemon_that_hangs_is_named_to_who_set_a_time() -> None:
    """`status` is asked when something is wrong, and must not hang with it."""
    ours, its = socket.socketpair()
    with its, Client(ours) as client, pytest.raises(errors.DaemonUnreachable) as raised:
        client.ask(DescribeStatus(), on_progress=print, on_data=print, seconds_max=0.01)

    assert str(raised.value) == f"the daemon (process {os.getpid()}) has been silent for 0.01 s"


def test_half_an_answer_is_no_answer() -> None:
    """A connection cut inside a frame is a failure too."""
    reply = frame(Progress(what="x", done=1))
    with (
        scripted(lambda peer: peer.sendall(reply[:-1])) as client,
        pytest.raises(errors.DaemonUnreachable),
    ):
        client.ask(DescribeStatus(), on_progress=print, on_data=print)
