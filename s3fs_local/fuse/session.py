"""One mount, from the check of its mount point to the unmount."""

import logging
import os
import signal
import string
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyfuse3
import trio
from msgspec import Struct

from s3fs_local.errors import MountFailed
from s3fs_local.fuse.invalidator import Invalidator
from s3fs_local.fuse.mount_point import (
    SUBTYPE,
    Mount,
    abort_connection,
    mount_at,
    prepare,
    unmount,
    write_back,
)
from s3fs_local.fuse.operations import Operations
from s3fs_local.fuse.reader_gate import ReaderGate

log = logging.getLogger(__name__)

IDLE_WORKERS_MAX: Final = 4
"""Workers that stay parked, so that a few parallel fsyncs need not start one each."""

WORKERS_MAX: Final = 400
"""So many requests may wait at once (for restores, say, which take hours); the next waits unread. A
worker costs a task and up to 1 MiB of buffer, of which only touched pages exist."""

READ_AHEAD_KIB: Final = 1024
"""One block. The kernel's default of 128 KiB would open each block eight times."""

HANG_UP_SECONDS_MAX: Final = 1.0
"""How long after an unmount the kernel may take to hang up. Longer means that it is mounted yet: by
a bind mount, or in another mount namespace."""

_PLAIN: Final = frozenset(string.ascii_letters.encode() + string.digits.encode() + b"/._-+@:=~ ")


class Mounting(Struct, frozen=True):
    """What is mounted where, and how."""

    mount_point: Path
    store: Path  # shown as the device
    allow_other: bool = False
    read_only: bool = False
    nonempty: bool = False
    kernel_flags: tuple[str, ...] = ()  # such as noexec; root mounts nosuid and nodev unless told


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
        MountFailed: nothing was mounted; carries what the mount helper said.
    """
    mount_point = mounting.mount_point.resolve()
    await trio.to_thread.run_sync(lambda: prepare(mount_point, nonempty=mounting.nonempty))
    started = trio.Event()
    operations.on_started = started.set
    with gate.installed(), _mounted(operations, mount_point, fuse_options(mounting)) as mount:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_get_ready, started, mount, on_ready)
            nursery.start_soon(_end_on_signal, mount_point, invalidator)
            nursery.start_soon(invalidator.run)
            try:
                await pyfuse3.main(IDLE_WORKERS_MAX, WORKERS_MAX)
            finally:
                if invalidator.is_telling:
                    # It may wait for a program that waits for us, and nobody answers any more.
                    abort_connection(mount_point, mount)
                nursery.cancel_scope.cancel()


def fuse_options(mounting: Mounting) -> set[str]:
    """The options for libfuse, one each, commas and the like escaped."""
    options = {
        f"fsname={_escaped(mounting.store)}",
        f"subtype={SUBTYPE}",
        "default_permissions",
        *mounting.kernel_flags,
    }
    if mounting.allow_other:
        options.add("allow_other")
    if mounting.read_only:
        options.add("ro")
    return options


def _escaped(path: Path) -> str:
    """The path in ASCII, as libfuse reads options: a byte may be a backslash and three digits."""
    return "".join(
        chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in os.fsencode(path.absolute())
    )


@contextmanager
def _mounted(operations: Operations, mount_point: Path, options: set[str]) -> Iterator[Mount]:
    with _said_to_stderr() as said:
        try:
            pyfuse3.init(operations, str(mount_point), options)
        except RuntimeError as error:
            words = said() or str(error)
            raise MountFailed(f"{mount_point} could not be mounted: {words}") from None
    mount = mount_at(mount_point)
    try:
        if mount is None:
            raise MountFailed(f"{mount_point} was unmounted at once by someone else")
        yield mount
    finally:
        # Another mount may be below ours, if ours has gone: that is not ours to unmount.
        pyfuse3.close(unmount=mount_at(mount_point) == mount)
        # libfuse leaves ours in place if the connection was cut rather than unmounted.
        if mount_at(mount_point) == mount:
            unmount(mount_point, lazily=True)


@contextmanager
def _said_to_stderr() -> Iterator[Callable[[], str]]:
    """Catches what libfuse and fusermount3 say: their only way to tell why a mount failed."""
    with tempfile.TemporaryFile() as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)

        def said() -> str:
            file.seek(0)
            return "; ".join(file.read().decode(errors="replace").split("\n")).strip("; ")

        try:
            yield said
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


async def _get_ready(started: trio.Event, mount: Mount, on_ready: Callable[[], None]) -> None:
    await started.wait()
    # The kernel sets the read-ahead itself while it says hello, so ours comes after.
    file = Path(f"/sys/class/bdi/{mount.device}/read_ahead_kb")
    try:
        file.write_text(str(READ_AHEAD_KIB))  # noqa: ASYNC240  sysfs, which never waits
    except OSError as error:
        log.info("reads stay at the kernel's default size: %s", error)
    on_ready()


async def _end_on_signal(mount_point: Path, invalidator: Invalidator) -> None:
    """Unmounts at the first signal; at the second ends the loop whatever is going on."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            async for number in signals:
                log.info("unmounting because of %s", signal.Signals(number).name)
                nursery.start_soon(_leave, mount_point, invalidator)
                break
            async for _ in signals:
                pyfuse3.terminate()


async def _leave(mount_point: Path, invalidator: Invalidator) -> None:
    # While the loop still answers, so that what the kernel waits for can end.
    await invalidator.settled()
    invalidator.stop()
    if await trio.to_thread.run_sync(lambda: unmount(mount_point, lazily=False)):
        await trio.sleep(HANG_UP_SECONDS_MAX)  # cancelled when the kernel hangs up
        log.info("it is mounted elsewhere yet: programs that use it there will get errors")
    else:
        log.info("the mount is in use: programs that have files open there will get errors")
        await trio.to_thread.run_sync(write_back, mount_point)
        await trio.to_thread.run_sync(lambda: unmount(mount_point, lazily=True))
    pyfuse3.terminate()
