"""One mount, from the check of its mount point to the unmount."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import trio

from s3fs_local.errors import MountFailed
from s3fs_local.fuse.answers import answers_of, greeting, interrupting
from s3fs_local.fuse.connection import Connection
from s3fs_local.fuse.invalidator import Invalidator
from s3fs_local.fuse.kernel_mount import Mounting, mount_device
from s3fs_local.fuse.mount_point import (
    Mount,
    abort_connection,
    mount_at,
    prepare,
    unmount,
    write_back,
)
from s3fs_local.fuse.operations import Operations
from s3fs_local.fuse.protocol import Feature, Opcode
from s3fs_local.fuse.reader_gate import ReaderGate

log = logging.getLogger(__name__)

FEATURES: Final = (
    Feature.ASYNC_READ
    | Feature.ATOMIC_O_TRUNC
    | Feature.EXPORT_SUPPORT
    | Feature.EXPLICIT_INVAL_DATA
    | Feature.DO_READDIRPLUS
    | Feature.PARALLEL_DIROPS
    | Feature.HANDLE_KILLPRIV_V2
    | Feature.SETXATTR_EXT
)
"""What the kernel shall do in any case. Not ASYNC_DIO: see decision 0041."""

READ_AHEAD_KIB: Final = 1024
"""One block. The kernel's default of 128 KiB would open each block eight times."""

HANG_UP_SECONDS_MAX: Final = 1.0
"""How long after an unmount the kernel may take to hang up. Longer means that it is mounted yet: by
a bind mount, or in another mount namespace."""

WRITTEN_BACK_SECONDS_MAX: Final = 30.0
"""How long it may take to answer what the kernel writes back, where programs go on meanwhile."""
WRITTEN_BACK_LOOK_SECONDS: Final = 0.005


async def serve(
    operations: Operations,
    gate: ReaderGate,
    mounting: Mounting,
    *,
    invalidator: Invalidator,
    on_ready: Callable[[], None],
) -> None:
    """Mounts, serves until unmounted by anyone, SIGTERM or SIGINT, and leaves nothing mounted.

    `on_ready` is called once, when system calls are being answered. Cancellation ends the loop at
    once: system calls that wait for an answer then fail with ECONNABORTED.

    Raises:
        MountPointUnusable: nothing was mounted; the message says what to do.
        MountFailed: nothing was mounted; the message says why.
    """
    mount_point = mounting.mount_point.resolve()
    await trio.to_thread.run_sync(lambda: prepare(mount_point, nonempty=mounting.nonempty))
    greeted = trio.Event()
    with _mounted(mount_point, mounting) as (connection, mount):
        answers = answers_of(operations)
        answers[Opcode.INIT] = greeting(features_of(operations), greeted.set)
        answers[Opcode.INTERRUPT] = interrupting(gate.interrupt)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_get_ready, greeted, mount, on_ready)
            nursery.start_soon(_end_on_signal, mount_point, gate, invalidator)
            nursery.start_soon(invalidator.run, connection)
            try:
                await gate.serve(connection, answers)
                log.info("the mount has ended: the kernel sends no more requests")
            finally:
                if invalidator.is_telling:
                    # It may wait for a program that waits for us, and nobody answers any more.
                    abort_connection(mount_point, mount)
                nursery.cancel_scope.cancel()


def features_of(operations: Operations) -> Feature:
    """What the kernel shall do for these handlers."""
    features = FEATURES
    if operations.enable_acl:
        features |= Feature.POSIX_ACL | Feature.DONT_MASK
    if operations.enable_writeback_cache:
        features |= Feature.WRITEBACK_CACHE
    return features


@contextmanager
def _mounted(mount_point: Path, mounting: Mounting) -> Iterator[tuple[Connection, Mount]]:
    connection = Connection(mount_device(mount_point, mounting))
    mount = mount_at(mount_point)
    try:
        if mount is None:
            raise MountFailed(f"{mount_point} was unmounted at once by someone else")
        yield connection, mount
    finally:
        connection.close()
        # Another mount may be here, if ours has gone: that is not ours to unmount.
        if mount_at(mount_point) == mount:
            unmount(mount_point, lazily=True)


async def _get_ready(started: trio.Event, mount: Mount, on_ready: Callable[[], None]) -> None:
    await started.wait()
    # The kernel sets the read-ahead itself while it says hello, so ours comes after.
    file = Path(f"/sys/class/bdi/{mount.device}/read_ahead_kb")
    try:
        file.write_text(str(READ_AHEAD_KIB))  # noqa: ASYNC240  sysfs, which never waits
    except OSError as error:
        log.info("reads stay at the kernel's default size: %s", error)
    on_ready()


async def _end_on_signal(mount_point: Path, gate: ReaderGate, invalidator: Invalidator) -> None:
    """Unmounts at the first signal; at the second ends the loop whatever is going on."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            async for number in signals:
                log.info("unmounting because of %s", signal.Signals(number).name)
                nursery.start_soon(leave, mount_point, gate, invalidator)
                break
            async for _ in signals:
                gate.stop()


async def leave(mount_point: Path, gate: ReaderGate, invalidator: Invalidator) -> None:
    """The mount is gone, from programs that use it too, and no further request is read."""
    # While the loop still answers, so that what the kernel waits for can end.
    await invalidator.settled()
    invalidator.stop()
    if await trio.to_thread.run_sync(lambda: unmount(mount_point, lazily=False)):
        await trio.sleep(HANG_UP_SECONDS_MAX)  # cancelled when the kernel hangs up
        log.info("it is mounted elsewhere yet: programs that use it there will get errors")
    else:
        log.info("the mount is in use: programs that have files open there will get errors")
        await _take_what_is_written_back(mount_point, gate)
        await trio.to_thread.run_sync(lambda: unmount(mount_point, lazily=True))
    gate.stop()


async def _take_what_is_written_back(mount_point: Path, gate: ReaderGate) -> None:
    """Pages that programs dirtied through mappings are with us.

    syncfs(2) has the kernel send them; whether it waits for our answers depends on the kernel.
    """
    await trio.to_thread.run_sync(write_back, mount_point)
    with trio.move_on_after(WRITTEN_BACK_SECONDS_MAX):
        while not gate.is_idle:  # noqa: ASYNC110  the gate tells nobody
            await trio.sleep(WRITTEN_BACK_LOOK_SECONDS)
