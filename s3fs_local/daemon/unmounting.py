"""Taking a mount away: the kernel's part, and waiting until the daemon has made all durable."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from s3fs_local import errors
from s3fs_local.control.client import connect
from s3fs_local.control.mount_table import is_automounted, mount_at, read_mounts
from s3fs_local.control.requests import Unmount
from s3fs_local.control.results.store import Unmounted, UnsavedRow
from s3fs_local.daemon.layout import OWNER_LOCK_NAME
from s3fs_local.fuse.mount_point import still_mounted, unmount, write_back
from s3fs_local.system.durable_files import OwnerLock, fsync_directory
from s3fs_local.system.processes import has_ended

DAEMON_SECONDS_MAX: Final = 60.0
"""How long a daemon that cannot be asked may take to end once its mount is gone."""
_HOLDERS_NAMED_MAX: Final = 5
STATUS_PATH: Final = ".s3fs/status.json"


class _Served(msgspec.Struct, rename="pascal"):
    """What of it is needed here."""

    daemon_pid: int | None = None
    unsaved: UnsavedRow | None = None


def unmount_and_wait(directory: Path, *, discards_unsaved: bool) -> Unmounted:
    """Nothing is mounted there any more, its daemon is gone, and everything is durable.

    Raises:
        NothingMounted: no store is mounted there.
        MountInUse: a program uses it; names some.
        UnsavedChanges: not everything can be made durable; unless it `discards_unsaved`.
        DaemonUnreachable: it is unmounted, but nobody said that all is durable.
        S3fsLocalError: what kept the daemon from making all durable.
    """
    mount_point = Path(os.path.realpath(directory))
    mounts = read_mounts()
    mount = mount_at(mount_point, mounts)
    if mount is None or not mount.is_ours:
        raise errors.NothingMounted(f"no store is mounted at {directory}")
    why = ""
    try:
        client = connect(mount.store)
    except errors.NotAStore as gone:  # the disk of the store's directory is; its daemon goes on
        client, why = None, str(gone)
    if client is None:
        served = _served_at(mount_point)
        if served.unsaved is not None and not discards_unsaved:
            sentence = served.unsaved.sentence
            raise unsaved_changes(mount_point, sentence, why or "nobody can be asked to")
        if why or served.daemon_pid is not None:
            _detach_and_await(mount_point, served)
        else:
            detach(mount_point)
            _await_release(mount.store)
        return Unmounted(served.unsaved)
    # While an automount takes away what nobody used, only the process group that it asks may touch
    # the mount point: ours, where systemd is at work, and not the daemon's.
    by_caller = is_automounted(mount_point, mounts)
    if by_caller:
        write_back(mount_point)
    request = Unmount(
        bytes(mount_point),
        by_caller=by_caller,
        discards_unsaved=discards_unsaved,
    )
    with client:
        answer = client.ask_to_end(
            request, seconds_max=DAEMON_SECONDS_MAX, on_progress=lambda _: detach(mount_point)
        )
    return msgspec.convert(answer.value or {}, Unmounted)


def unsaved_changes(mount_point: Path, unsaved: object, why: str) -> errors.UnsavedChanges:
    """The refusal to end a mount."""
    return errors.UnsavedChanges(f"{mount_point} stays mounted: {unsaved} cannot be saved: {why}")


def _served_at(mount_point: Path) -> _Served:
    """What serves the mount, as it says itself, after it had the chance to save everything."""
    try:
        with suppress(OSError):
            fsync_directory(mount_point)
        return msgspec.json.decode((mount_point / STATUS_PATH).read_bytes(), type=_Served)
    except (OSError, msgspec.MsgspecError):
        return _Served()


def _detach_and_await(mount_point: Path, served: _Served) -> None:
    """Nothing is mounted there any more, and the daemon has ended; what is unsaved is given up.

    Raises:
        DaemonUnreachable: it has not, or nobody knows.
    """
    process, daemon = None, served.daemon_pid
    with suppress(ProcessLookupError):
        process = None if daemon is None else os.pidfd_open(daemon)
    detach(mount_point)
    if process is None:
        raise errors.DaemonUnreachable("unmounted, but nobody says whether all is durable")
    try:
        if served.unsaved is not None:
            signal.pidfd_send_signal(process, signal.SIGTERM)  # it need not try for long
        ended = has_ended(process, seconds_max=DAEMON_SECONDS_MAX)
    finally:
        os.close(process)
    if not ended:
        raise errors.DaemonUnreachable(f"unmounted, but process {daemon} has not ended")


def detach(mount_point: Path, waiting: Iterable[int] = ()) -> None:
    """The kernel shows nothing there any more. Blocks, also on the daemon's answers.

    `waiting`: threads that wait for an answer; the kernel shows nobody what they open.

    Raises:
        MountInUse: a program uses it; names some.
    """
    if not unmount(mount_point, lazily=False):
        users = ", ".join(_first_users(mount_point, waiting)) or "a program"
        raise errors.MountInUse(f"{mount_point} is in use by {users}")


def refuse_if_mounted_yet(mount_point: Path, device: str) -> None:
    """The filesystem that was mounted there is mounted nowhere else. To be asked by its daemon.

    Raises:
        MountInUse: it is, which keeps it alive; names where.
    """
    places = list(islice(still_mounted(device), _HOLDERS_NAMED_MAX))
    if places:
        raise errors.MountInUse(
            f"{mount_point} is unmounted, and what was closed is durable, but the store is mounted "
            f"yet at {', '.join(places)}: it is served until that ends, or until kill {os.getpid()}"
        )


def _first_users(mount_point: Path, waiting: Iterable[int]) -> list[str]:
    users = {_process_of(thread): None for thread in waiting}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and any(
            Path(used).is_relative_to(mount_point) for used in _used_paths(process)
        ):
            users[process] = None
    return list(islice(filter(None, map(_described, users)), _HOLDERS_NAMED_MAX))


def _process_of(thread: int) -> Path:
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{thread}/status").read_text().splitlines()
        return Path("/proc") / next(line.split()[1] for line in lines if line.startswith("Tgid:"))
    return Path(f"/proc/{thread}")


def _described(process: Path) -> str:
    """Its name and number; nothing where it has ended."""
    with suppress(OSError):
        return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


def _used_paths(process: Path) -> Iterator[str]:
    links = [process / "cwd", process / "root", process / "exe"]
    with suppress(OSError):
        links += (process / "fd").iterdir()
    for link in links:
        with suppress(OSError):
            yield os.readlink(link)  # noqa: PTH115  may be "pipe:[1]", which is no Path


def _await_release(store: Path) -> None:
    """The daemon that could not be asked has ended (or there was none)."""
    deadline = time.monotonic() + DAEMON_SECONDS_MAX
    while (in_use := OwnerLock.refusal(store / OWNER_LOCK_NAME)) is not None:
        if time.monotonic() > deadline:
            raise errors.DaemonUnreachable(f"unmounted, but {in_use}") from in_use
        time.sleep(0.05)  # noqa: TID251  a command of its own: there is no event loop to block
