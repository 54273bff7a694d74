"""`mount -o remount`: a mount becomes read-only, or writable again, while programs go on reading.

The kernel changes its part, which is whether calls that write reach us at all; the daemon its own:
what commands may do, and what it does by itself. Nothing else of a mount can be changed.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from s3fs_local import errors
from s3fs_local.control.client import Client, connect
from s3fs_local.control.mount_table import mount_at, read_mounts
from s3fs_local.control.requests import Remount
from s3fs_local.daemon.config import parse_remount
from s3fs_local.fuse.kernel_mount import remount as remount_in_kernel


def remount(mount_point: Path, texts: Sequence[str]) -> None:
    """What is mounted there is as the options say; read-only means that all is durable.

    Raises:
        NotPermitted: only root may.
        InvalidMountOption: one of them cannot be changed.
        NothingMounted: no store of ours is mounted there.
        MountInUse: it cannot become read-only while a program has a file open for writing.
        StoreReadOnly: it cannot become writable: a fault, or its disk, made the store read-only.
        MountFailed: the kernel refused otherwise.
    """
    if os.geteuid() != 0:
        raise errors.NotPermitted("only root may remount: unmount it, and mount it anew")
    wanted = parse_remount(texts)
    mount = mount_at(mount_point, read_mounts())
    if mount is None or not mount.is_ours:
        raise errors.NothingMounted(f"no store is mounted at {mount_point}")

    def change_kernel() -> None:
        remount_in_kernel(mount_point, read_only=wanted.read_only, flags=wanted.kernel_flags)

    _ask(mount.store, Remount(tuple(texts), None))
    if wanted.read_only is None:
        change_kernel()
    elif wanted.read_only:
        change_kernel()
        _ask(mount.store, Remount(tuple(texts), read_only=True))
    else:
        _ask(mount.store, Remount(tuple(texts), read_only=False))
        try:
            change_kernel()
        except errors.MountError:
            _ask(mount.store, Remount(tuple(texts), read_only=True))
            raise


def _ask(store: Path, request: Remount) -> None:
    client: Client | None = connect(store)
    if client is None:
        raise errors.DaemonUnreachable(f"no daemon answers for {store}")
    with client:
        client.ask(request)
