"""mount(8), umount(8) and /etc/fstab, the real ones, find a store as they find any filesystem.

They look for helpers in /sbin only. So that nothing of the machine is changed, each test has a
mount namespace of its own, in which an overlay lays the helpers into /sbin.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import automounting
from tests.mounting import (
    COMMAND,
    MARK,
    Completed,
    end_processes,
    let_go_of_mounts,
    processes_marked,
    run,
)

FAILURE = 32  # mount(8)
HELPERS = {
    "mount.s3fs_local": "mount.s3fs_local",
    "mount.fuse.s3fs_local": "mount.s3fs_local",
    "umount.s3fs_local": "umount.s3fs_local",
    "umount.fuse.s3fs_local": "umount.s3fs_local",
}
"""The names of an installed package, and the programs they lead to."""

pytestmark = [pytest.mark.mount, pytest.mark.slow]


class SystemMounts:
    """Runs shell lines where the helpers are installed; `$STORE`, `$POINT`, `$FSTAB` are set."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.point, self.fstab, self.store = folder / "point", folder / "fstab", store
        self.helpers = folder / "sbin"
        self.point.mkdir()
        self.helpers.mkdir()
        for name, program in HELPERS.items():
            (self.helpers / name).symlink_to(Path(sys.executable).parent / program)
        self.fstab.write_text(f"{store} {self.point} s3fs_local _netdev,nofail,allow_other 0 0\n")

    def sh(self, script: str, *, check: bool = True) -> Completed:
        """The lines run one after the other, until one fails."""
        overlay = (
            f"{let_go_of_mounts(self.point.parent)}\n"
            f"mount -t overlay -o lowerdir={self.helpers}:/usr/sbin overlay /usr/sbin\n"
            "mkdir -p /run/mount; mount -t tmpfs tmpfs /run/mount\n"  # umount's notes
        )
        return run(
            *("unshare", "--mount", "--propagation=slave", "sh", "-euc", overlay + script),
            check=check,
            environment={
                MARK: str(self.point),
                "STORE": str(self.store),
                "POINT": str(self.point),
                "FSTAB": str(self.fstab),
                "S3FS_LOCAL": " ".join(COMMAND),
            },
        )


@pytest.fixture
def system(tmp_path: Path, store: Path) -> Iterator[SystemMounts]:
    """A machine on which the package is installed, as far as mount(8) can see."""
    mounts = SystemMounts(tmp_path, store)
    if mounts.sh("true", check=False).returncode != 0:
        pytest.skip("needs the right to make a mount namespace with an overlay")
    yield mounts
    end_processes(processes_marked(tmp_path))


def test_mount_by_type_is_ready_when_it_returns_and_umount_when_all_is_durable(
    system: SystemMounts,
) -> None:
    """The two lines that scripts of every administrator rely on."""
    system.sh("""
        mount -t fuse.s3fs_local "$STORE" "$POINT" -o noexec
        echo kept >"$POINT/f"
        grep -q " $POINT fuse.s3fs_local .*noexec" /proc/mounts
        umount "$POINT"
        flock --nonblock "$STORE/owner.lock" true   # the daemon has let go: it is done
        $S3FS_LOCAL cat "$STORE:/f"
    """)

    assert not list(processes_marked(system.point))


def test_a_line_of_fstab_is_mounted_once(system: SystemMounts) -> None:
    """`mount -a` runs at boot, and again whenever somebody feels like it."""
    seen = system.sh("""
        mount -a -T "$FSTAB"
        mount -a -T "$FSTAB"
        echo kept >"$POINT/f"
        grep -c " $POINT fuse.s3fs_local .*allow_other" /proc/mounts
        mount -T "$FSTAB" -o ro "$POINT" && exit 1
        umount "$POINT"
        mount -T "$FSTAB" -o ro "$POINT"
        cat "$POINT/f"
        umount "$POINT"
    """)

    assert seen.stdout.split() == ["1", "kept"]
    assert "is in use by process" in seen.stderr


def test_a_remount_reaches_the_daemon_by_the_table_or_by_fstab(system: SystemMounts) -> None:
    """mount(8) hands down all it knows of the mount, and there is nothing to be told anew."""
    seen = system.sh("""
        mount -T "$FSTAB" "$POINT"
        echo kept >"$POINT/f"
        mount -o remount,ro "$POINT"
        cat "$POINT/f"
        touch "$POINT/g" && exit 1
        grep -c " $POINT fuse.s3fs_local ro,.*allow_other" /proc/mounts
        mount -T "$FSTAB" -o remount,rw "$POINT"
        echo again >"$POINT/g"
        mount -o remount,snapdirname=.other "$POINT" && exit 1
        cat "$POINT/g"
        umount "$POINT"
        flock --nonblock "$STORE/owner.lock" true
    """)

    assert seen.stdout.split() == ["kept", "1", "again"]
    assert "Read-only file system" in seen.stderr
    assert "unmount it, then mount anew" in seen.stderr
    assert not list(processes_marked(system.point))


def test_after_a_crash_the_mount_point_is_an_error_and_the_next_mount_recovers(
    system: SystemMounts,
) -> None:
    """An empty directory would be copied by a mirror job as if all had been deleted."""
    seen = system.sh("""
        mount -a -T "$FSTAB"
        echo kept >"$POINT/f"
        sync "$POINT/f"
        kill -9 $(sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p' "$STORE/owner.lock")
        flock "$STORE/owner.lock" true   # waits until it is gone
        ls "$POINT" && exit 1
        mount -T "$FSTAB" "$POINT"
        cat "$POINT/f"
        grep -c " $POINT fuse.s3fs_local" /proc/mounts
        umount "$POINT"
    """)

    assert seen.stdout.split() == ["kept", "1"]
    assert "Transport endpoint is not connected" in seen.stderr


def test_an_automount_mounts_at_the_first_look_and_unmounts_when_nobody_looks(
    system: SystemMounts,
) -> None:
    """`x-systemd.automount` and `x-systemd.idle-timeout`: who looks there waits, and so might we.

    We make the mount that they wait for, and take away the one that they may not see meanwhile.
    """
    seen = system.sh(
        f"""
        PYTHONPATH={Path.cwd()} {sys.executable} -m tests.automounting "$FSTAB" "$POINT"
        flock --nonblock "$STORE/owner.lock" true
        """,
        check=False,
    )
    if seen.returncode == automounting.CANNOT:
        pytest.skip(seen.stdout.strip())

    assert seen.stdout.splitlines() == [
        *("0", "written", "1", "expired: True"),
        *("0", "kept", "in use", "expired: True"),
    ], seen.stderr
    assert seen.returncode == 0


def test_the_command_leaves_no_note_for_umount_behind(system: SystemMounts) -> None:
    """Notes of mounts that are gone would pile up, and name our helper for what is not ours."""
    system.sh("""
        mount -a -T "$FSTAB"
        grep -q helper=s3fs_local /run/mount/utab
        $S3FS_LOCAL umount "$POINT"
        ! grep "$POINT" /run/mount/utab
    """)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('mount -t fuse.s3fs_local "$STORE" "$POINT" -o alow_other', "did you mean 'allow_other'"),
        ('mount -t fuse.s3fs_local "$POINT" "$POINT"', "holds no store"),
        ('mount -t fuse.s3fs_local "$STORE" "$STORE"', "is not empty"),
        ('mount -t fuse.s3fs_local "$STORE" "$POINT" -o log=loud', "log is one of"),
    ],
)
def test_what_cannot_be_mounted_fails_with_mounts_own_code(
    system: SystemMounts, line: str, complaint: str
) -> None:
    """Units and scripts look at the code, people at the words."""
    refused = system.sh(line, check=False)

    assert refused.returncode == FAILURE
    assert complaint in refused.stderr


def test_a_mount_in_use_stays_and_can_be_taken_away_lazily(system: SystemMounts) -> None:
    """As with any filesystem: `umount` refuses, `umount -l` does not."""
    seen = system.sh("""
        mount -a -T "$FSTAB"
        exec 3>"$POINT/f"
        umount "$POINT" || echo refused $?
        umount -l "$POINT"
        ! grep " $POINT " /proc/mounts
    """)

    assert f"refused {FAILURE}" in seen.stdout
    assert "is in use by sh (process" in seen.stderr
