"""The request loop on real mounts: nobody waits for ever, whatever handlers do."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter_ns

import pytest
import trio
import trio.testing

from s3fs_local.errors import CallerInterrupted, MountEnded
from s3fs_local.fuse import replies
from s3fs_local.fuse.answers import BODY, greeting, interrupting
from s3fs_local.fuse.answers import Answer as Answering
from s3fs_local.fuse.boundary import Refused
from s3fs_local.fuse.connection import Connection
from s3fs_local.fuse.kernel_mount import Mounting, mount_device
from s3fs_local.fuse.mount_point import unmount
from s3fs_local.fuse.protocol import GETXATTR_IN, Feature, Opcode
from s3fs_local.fuse.reader_gate import FAIR_NS, WORKER_NAME, ReaderGate
from s3fs_local.rules.inode import Caller, Inode
from tests.mounting import is_mounted

pytestmark = [pytest.mark.mount, pytest.mark.timeout(300)]

Answer = Callable[[bytes], Awaitable[bytes]]

ASK = "import os, sys; os.getxattr(sys.argv[1], sys.argv[2])"
ASK_FOR_EVER = """
import os, sys
while True:
    os.getxattr(sys.argv[1], "user.hammer")
"""


class TellingGate(ReaderGate):
    """Tells when the kernel has told of a signal."""

    def __init__(self) -> None:
        super().__init__()
        self.told = trio.Event()

    def interrupt(self, request: int) -> None:
        """As ever."""
        super().interrupt(request)
        self.told.set()


def questions(gate: ReaderGate, answer: Answer) -> dict[int, Answering]:
    """An empty root whose extended attributes are questions: nothing about them is ever cached."""

    def getattr_(node: int, _: Caller, __: memoryview) -> bytes:
        return replies.attributes(Inode(ino=node, mode=0o40755, uid=0, gid=0))

    async def getxattr(_: int, __: Caller, request: memoryview) -> bytes:
        name = request[BODY + GETXATTR_IN.size : -1].tobytes()
        return await answer(name)

    return {
        Opcode.INIT: greeting(Feature(0), lambda: None),
        Opcode.GETATTR: getattr_,
        Opcode.GETXATTR: getxattr,
        Opcode.INTERRUPT: interrupting(gate.interrupt),
    }


async def ask(mount_point: Path, question: str) -> bytes:
    """Asks from a thread, as any program would; given up when the test is."""
    return await trio.to_thread.run_sync(
        os.getxattr, mount_point, f"user.{question}", abandon_on_cancel=True
    )


@asynccontextmanager
async def asking_slowly(mount_point: Path) -> AsyncIterator[trio.Process]:
    """A program that asks "slow"; it is killed at the end."""
    client = await trio.lowlevel.open_process(
        [sys.executable, "-c", ASK, str(mount_point), "user.slow"], stderr=subprocess.DEVNULL
    )
    try:
        yield client
    finally:
        client.kill()


@contextmanager
def mounted(
    gate: ReaderGate, mount_point: Path, answer: Answer
) -> Iterator[tuple[Connection, dict[int, Answering]]]:
    """Mounts what answers questions, for a gate to serve; nothing is mounted after."""
    mounting = Mounting(mount_point=mount_point, store=Path("questions"))
    connection = Connection(mount_device(mount_point, mounting))
    try:
        yield connection, questions(gate, answer)
    finally:
        connection.close()
        if is_mounted(mount_point):
            unmount(mount_point, lazily=True)


@asynccontextmanager
async def serving(
    gate: ReaderGate, mount_point: Path, answer: Answer, *, workers_max: int = 99
) -> AsyncIterator[trio.Nursery]:
    """Answers questions; at the end stops, waits for the loop, and unmounts.

    A thread that waits for an answer cannot be killed, nor its process: so a test that hangs is
    given up here, before anything outside would.
    """
    with mounted(gate, mount_point, answer) as (connection, answers), trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            serve = partial(gate.serve, workers_max=workers_max, idle_max=1)
            nursery.start_soon(serve, connection, answers)
            yield nursery
            gate.stop()


def worker_count() -> int:
    """How many workers exist."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    tasks = [root]
    for task in tasks:
        tasks.extend(child for nursery in task.child_nurseries for child in nursery.child_tasks)
    return sum(task.name == WORKER_NAME for task in tasks)


async def echo(question: bytes) -> bytes:
    """Answers at once."""
    return question


async def test_requests_are_served_while_a_handler_waits(tmp_path: Path) -> None:
    """The point of the gate: a slow fsync must not stop everybody else."""
    gate = ReaderGate()
    asked, allowed = trio.Event(), trio.Event()

    async def answer(question: bytes) -> bytes:
        if question == b"user.slow":
            asked.set()
            await gate.waiting(allowed.wait)
        return question

    answers = []
    async with serving(gate, tmp_path, answer), trio.open_nursery() as clients:

        async def ask_slowly() -> None:
            answers.append(await ask(tmp_path, "slow"))

        clients.start_soon(ask_slowly)
        await asked.wait()
        answers += [await ask(tmp_path, "quick") for _ in range(50)]
        allowed.set()

    assert answers == [b"user.quick"] * 50 + [b"user.slow"]


async def test_a_handler_may_wait_for_what_another_request_does(tmp_path: Path) -> None:
    """A lock waits for writers to close: their RELEASE must get through."""
    gate = ReaderGate()
    events = [trio.Event() for _ in range(5)]

    async def answer(question: bytes) -> bytes:
        number = int(question[5:])
        if number < len(events):
            await gate.waiting(events[number].wait)
        if number:
            events[number - 1].set()
        return question

    async with serving(gate, tmp_path, answer), trio.open_nursery() as clients:
        for number in range(len(events) + 1):
            clients.start_soon(ask, tmp_path, str(number))


@pytest.mark.parametrize(("workers_max", "clients_count"), [(99, 99), (8, 30)])
async def test_a_burst_of_waiting_requests_is_answered_and_its_workers_go(
    tmp_path: Path, workers_max: int, clients_count: int
) -> None:
    """With every worker waiting nobody reads; the first that is done must read on."""
    gate = ReaderGate()
    full, allowed = trio.Event(), trio.Event()
    waiting = 0

    async def answer(question: bytes) -> bytes:
        nonlocal waiting
        waiting += 1
        if waiting == workers_max:
            full.set()
        if question.startswith(b"user.burst"):
            await gate.waiting(allowed.wait)
        return question

    answers = set()
    threads = trio.CapacityLimiter(clients_count)

    async with serving(gate, tmp_path, answer, workers_max=workers_max):
        async with trio.open_nursery() as clients:

            async def ask_in_burst(number: int) -> None:
                name = f"user.burst{number}"
                answers.add(
                    await trio.to_thread.run_sync(
                        os.getxattr, tmp_path, name, abandon_on_cancel=True, limiter=threads
                    )
                )

            for number in range(clients_count):
                clients.start_soon(ask_in_burst, number)
            await full.wait()
            workers_at_most = worker_count()
            allowed.set()
        for _ in range(10):
            await ask(tmp_path, "calm")
        workers_after = worker_count()

    assert len(answers) == clients_count
    assert workers_at_most == workers_max
    assert workers_after <= 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_program_that_waits_for_hours_can_be_stopped(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Once a request was received, the kernel waits for its answer whatever comes: only we know."""
    gate = ReaderGate()
    asked, cancelled = trio.Event(), trio.Event()

    async def wait_for_hours() -> None:
        asked.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async def answer(question: bytes) -> bytes:
        if question == b"user.slow":
            try:
                await gate.waiting_unless_interrupted(wait_for_hours)
            except CallerInterrupted:
                raise Refused(errno.EINTR) from None
        return question

    async with serving(gate, tmp_path, answer):
        async with asking_slowly(tmp_path) as client:
            await asked.wait()
            client.send_signal(number)
            await cancelled.wait()
            status = await client.wait()
        later = await ask(tmp_path, "later")

    assert status == -number
    assert later == b"user.later"


async def test_any_number_may_wait_for_hours_while_others_are_served(tmp_path: Path) -> None:
    """Opens of archived files must not use up the workers: then nobody could do anything."""
    gate = ReaderGate()
    workers_max, waiters = 4, 30
    waiting, allowed = 0, trio.Event()
    all_wait = trio.Event()

    async def wait_for_hours() -> None:
        nonlocal waiting
        waiting += 1
        if waiting == waiters:
            all_wait.set()
        await allowed.wait()

    async def answer(question: bytes) -> bytes:
        if question.startswith(b"user.slow"):
            await gate.waiting_unless_interrupted(wait_for_hours)
        elif question == b"user.fsync":
            await gate.waiting(trio.lowlevel.checkpoint)
        return question

    answers = []
    threads = trio.CapacityLimiter(waiters + 1)
    async with (
        serving(gate, tmp_path, answer, workers_max=workers_max),
        trio.open_nursery() as clients,
    ):

        async def ask_slowly(number: int) -> None:
            answers.append(
                await trio.to_thread.run_sync(
                    partial(os.getxattr, tmp_path, f"user.slow{number}"),
                    abandon_on_cancel=True,
                    limiter=threads,
                )
            )

        for number in range(waiters):
            clients.start_soon(ask_slowly, number)
        await all_wait.wait()
        assert gate.is_idle
        for _ in range(5):
            assert await ask(tmp_path, "quick") == b"user.quick"
            assert await ask(tmp_path, "fsync") == b"user.fsync"
        allowed.set()

    assert len(answers) == waiters


async def test_a_signal_that_came_before_the_long_wait_ends_it(tmp_path: Path) -> None:
    """The kernel tells of a signal once; who waited for a key first would wait for hours then."""
    gate = TellingGate()
    asked, ended = trio.Event(), trio.Event()

    async def answer(question: bytes) -> bytes:
        if question == b"user.slow":
            asked.set()
            await gate.waiting(gate.told.wait)
            try:
                await gate.waiting_unless_interrupted(trio.sleep_forever)
            except CallerInterrupted:
                ended.set()
                raise Refused(errno.EINTR) from None
        return question

    async with serving(gate, tmp_path, answer), asking_slowly(tmp_path) as client:
        await asked.wait()
        client.kill()
        await ended.wait()
        await client.wait()


async def test_who_waits_for_hours_is_told_when_the_loop_ends(tmp_path: Path) -> None:
    """SIGTERM must end a daemon in seconds, whoever waits for an archive."""
    gate = ReaderGate()
    asked = trio.Event()

    async def wait_for_hours() -> None:
        asked.set()
        await trio.sleep_forever()

    async def answer(_: bytes) -> bytes:
        try:
            await gate.waiting_unless_interrupted(wait_for_hours)
        except MountEnded:
            raise Refused(errno.ENOTCONN) from None
        return b""

    failures: list[int | None] = []
    async with trio.open_nursery() as clients:

        async def ask_slowly() -> None:
            with pytest.raises(OSError) as refused:  # noqa: PT011  the number is looked at
                await ask(tmp_path, "slow")
            failures.append(refused.value.errno)

        async with serving(gate, tmp_path, answer):
            clients.start_soon(ask_slowly)
            await asked.wait()

    assert failures == [errno.ENOTCONN]


async def test_a_waiting_handler_answers_before_the_loop_ends(tmp_path: Path) -> None:
    """`stop` is orderly: an fsync in progress still gets its reply."""
    gate = ReaderGate()
    asked, allowed = trio.Event(), trio.Event()

    async def answer(question: bytes) -> bytes:
        asked.set()
        await gate.waiting(allowed.wait)
        return question

    answers = []
    async with trio.open_nursery() as clients:

        async def ask_slowly() -> None:
            answers.append(await ask(tmp_path, "slow"))

        async with serving(gate, tmp_path, answer):
            clients.start_soon(ask_slowly)
            await asked.wait()
            gate.stop()
            await trio.testing.wait_all_tasks_blocked()
            allowed.set()

    assert answers == [b"user.slow"]


async def test_an_unmount_ends_the_loop_and_its_parked_workers(tmp_path: Path) -> None:
    """The usual end: somebody unmounts, and the daemon has to notice."""
    gate = ReaderGate()
    with mounted(gate, tmp_path, echo) as (connection, answers):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gate.serve, connection, answers)
            await ask(tmp_path, "a")
            await ask(tmp_path, "b")
            workers = worker_count()
            await trio.run_process(["fusermount3", "-u", str(tmp_path)])

    assert workers == 2


async def test_cancellation_ends_the_loop(tmp_path: Path) -> None:
    """A crash elsewhere in the daemon cancels the loop: reader, parked and waiting workers."""
    gate = ReaderGate()
    asked = trio.Event()

    async def answer(question: bytes) -> bytes:
        if question == b"user.slow":
            asked.set()
            await gate.waiting(trio.sleep_forever)
        return question

    async with trio.open_nursery() as clients, serving(gate, tmp_path, answer) as nursery:
        clients.start_soon(ask_in_vain, tmp_path)
        await asked.wait()
        await ask(tmp_path, "quick")
        nursery.cancel_scope.cancel()

    assert not is_mounted(tmp_path)


async def ask_in_vain(mount_point: Path) -> None:
    """Asks a question that dies with the mount."""
    with pytest.raises(OSError, match=r"abort|not connected"):
        await ask(mount_point, "slow")


async def test_a_handler_that_raises_ends_the_loop_with_its_exception(tmp_path: Path) -> None:
    """Handlers are guarded by the boundary; should one get past it, the mount must not hang."""
    gate = ReaderGate()

    async def answer(question: bytes) -> bytes:
        raise ZeroDivisionError(question)

    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with trio.open_nursery() as clients, serving(gate, tmp_path, answer):
            clients.start_soon(ask_in_vain, tmp_path)
            await trio.sleep_forever()


@pytest.mark.parametrize("attempt", range(8))
async def test_a_loop_stopped_while_the_reader_lets_others_run_ends(
    tmp_path: Path, attempt: int
) -> None:
    """The reader is then in no epoll that `stop` could wake it from.

    Trio runs the tasks of one turn in any order, so one attempt would prove little.
    """
    del attempt
    gate = ReaderGate()

    async def stop() -> None:
        gate.stop()

    async def answer(question: bytes) -> bytes:
        others.start_soon(stop)
        busy_until_ns = perf_counter_ns() + 2 * FAIR_NS
        while perf_counter_ns() < busy_until_ns:
            pass  # so long that the reader owes the others a turn
        return question

    async with trio.open_nursery() as others:
        with mounted(gate, tmp_path, answer) as (connection, answers), trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(gate.serve, connection, answers)
                await ask(tmp_path, "last")

    assert not is_mounted(tmp_path)


async def test_one_process_serves_one_session_after_another(tmp_path: Path) -> None:
    """The second descriptor has the number of the first; nothing of the first may remain."""
    answers = []
    for number in range(3):
        async with serving(ReaderGate(), tmp_path, echo):
            answers.append(await ask(tmp_path, str(number)))

    assert answers == [b"user.0", b"user.1", b"user.2"]


async def test_other_tasks_run_while_a_client_hammers(tmp_path: Path) -> None:
    """Group commits and timers share the loop with requests; without fairness this never ends.

    The gate would rather spin here than sleep, so the client cannot let others run by being slow.
    """
    async with serving(ReaderGate(spin_ns=200_000_000), tmp_path, echo):
        command = [sys.executable, "-c", ASK_FOR_EVER, str(tmp_path)]
        process = await trio.lowlevel.open_process(command)
        try:
            await ask(tmp_path, "started")
            for _ in range(100):
                await trio.lowlevel.checkpoint()
        finally:
            process.kill()
            await process.wait()


def wait_until_exited(process_id: int) -> None:
    """Blocks the whole loop until the process is gone, and leaves its status to others."""
    os.waitid(os.P_PID, process_id, os.WEXITED | os.WNOWAIT)


class KillsBetweenPollAndRead(Connection):
    """Kills the client when its request was seen, and before it is received."""

    victim: trio.Process | None = None

    def receive(self) -> int:
        """The reader was told of a request."""
        if self.victim is not None:
            victim, self.victim = self.victim, None
            victim.kill()
            wait_until_exited(victim.pid)
        return super().receive()


async def test_a_request_withdrawn_at_the_last_moment_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed program takes its unread request back; a read waiting for it holds the GIL."""
    monkeypatch.setattr(f"{__name__}.Connection", KillsBetweenPollAndRead)
    gate = ReaderGate()
    with mounted(gate, tmp_path, echo) as (connection, answers), trio.fail_after(20):
        assert isinstance(connection, KillsBetweenPollAndRead)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gate.serve, connection, answers)
            await ask(tmp_path, "before")
            command = [sys.executable, "-c", ASK, str(tmp_path), "user.killed"]
            client = await trio.lowlevel.open_process(command)
            connection.victim = client
            status = await client.wait()
            answer = await ask(tmp_path, "after")
            gate.stop()

    assert status == -signal.SIGKILL
    assert answer == b"user.after"


@pytest.mark.parametrize("spin_ns", [0, 50_000])
async def test_the_loop_works_with_and_without_spinning(tmp_path: Path, spin_ns: int) -> None:
    """On one CPU there is no spinning, only epoll."""
    async with serving(ReaderGate(spin_ns=spin_ns), tmp_path, echo):
        assert [await ask(tmp_path, str(number)) for number in range(20)] == [
            f"user.{number}".encode() for number in range(20)
        ]


def test_nothing_spins_on_one_cpu() -> None:
    """While we spin there, the client cannot run."""
    cpus = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cpus)})
        spin_ns_on_one = ReaderGate().spin_ns
    finally:
        os.sched_setaffinity(0, cpus)

    assert spin_ns_on_one == 0
