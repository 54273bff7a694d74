"""Starting a daemon that outlives the command that started it."""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from msgspec import Struct

from s3fs_local import errors
from s3fs_local.control.protocol import HEADER_BYTES, Failure, decode_reply, error_of
from s3fs_local.daemon.log_setup import LOG_NAME, last_words, opened_log
from s3fs_local.daemon.store_file import StoreRecord, read_store_file
from s3fs_local.daemon.unlocking import Unlocking, secrets_of
from s3fs_local.daemon.writability import why_unwritable
from s3fs_local.system.processes import interpreter

_LAST_LINES: Final = 5


class MountPlan(Struct, frozen=True):
    """What to mount where. All paths are absolute: a daemon lives in `/`."""

    store: Path
    mount_point: Path
    options: tuple[str, ...] = ()  # as given to `-o`, but for those about keys
    unlocking: Unlocking = Unlocking()


def mount_in_background(plan: MountPlan) -> None:
    """The store is mounted, by a process of its own.

    Until then it is in our process group, so that a signal to that ends both (Ctrl-C, a closed
    terminal), and because an automount lets nobody else through to make the mount.

    Raises:
        MountFailed: the daemon ended without a word; carries the last lines of its log. Or its
            log cannot be opened.
        S3fsLocalError: whatever kept it from mounting.
    """
    # Nothing is left behind in what is no store.
    log = _opened_log(plan.store, read_store_file(plan.store))
    try:
        _launch(plan, log)
    finally:
        os.close(log)


def _opened_log(store: Path, record: StoreRecord) -> int:
    """A descriptor that appends to the store's log; to nothing that stays, where it has none."""
    if not why_unwritable(store, record):
        return opened_log(store / LOG_NAME)
    with tempfile.TemporaryFile("ab") as file:
        return os.dup(file.fileno())


def _launch(plan: MountPlan, log: int) -> None:
    logged_bytes = os.fstat(log).st_size
    ready_reader, ready_writer = os.pipe()
    secret_reader, secret_writer = os.pipe()
    command = [
        *(*interpreter(), "-m", "s3fs_local", "mount", "--foreground"),
        f"--ready-fd={ready_writer}",
        f"--secret-fd={secret_reader}",
        *(f"-o{option}" for option in plan.options),
        *(f"--key-file={file}" for file in (plan.unlocking.key_file,) if file is not None),
        *("--", str(plan.store), str(plan.mount_point)),
    ]
    daemon = subprocess.Popen(  # noqa: S603  our own interpreter and package
        command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(ready_writer, secret_reader),
    )
    for descriptor in (ready_writer, secret_reader):
        os.close(descriptor)
    with open(secret_writer, "wb") as secret:  # noqa: PTH123  a descriptor
        secret.write(secrets_of(plan.unlocking))
    with open(ready_reader, "rb") as ready:  # noqa: PTH123  a descriptor
        answer = ready.read()
    if not answer:
        daemon.wait()
        logged = Path(f"/proc/self/fd/{log}")
        words = last_words(logged, since_bytes=logged_bytes, lines=_LAST_LINES)
        raise errors.MountFailed(f"the daemon ended before the mount was ready: {words or '-'}")
    outcome = decode_reply(answer[HEADER_BYTES:])
    if isinstance(outcome, Failure):
        daemon.wait()
        raise error_of(outcome)
    # The daemon goes on for years; it is no child to be waited for any more.
    daemon.returncode = 0
