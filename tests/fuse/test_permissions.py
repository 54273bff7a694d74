"""Who may what: modes, umask, setgid and sticky directories, ACLs."""

import errno
import os
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuse.calls import fails_with
from tests.mounting import MountedStore, run

pytestmark = [
    pytest.mark.mount,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users, which only root can"),
]

ALICE, BOB, STAFF = 1001, 1002, 2000
As = Callable[..., str]


@pytest.fixture
def as_user(shared_mount: MountedStore) -> As:
    """Runs shell lines as a user in a folder, whatever the way there lets others pass."""

    def run_as(uid: int, folder: Path, script: str, *, groups: str = "") -> str:
        words = [f"--groups={groups}"] if groups else ["--clear-groups"]
        result = run(
            *("setpriv", f"--reuid={uid}", f"--regid={uid}", *words, "--inh-caps=-all"),
            *("sh", "-c", script),
            cwd=folder,
            check=False,
        )
        return result.stdout + result.stderr

    del shared_mount
    return run_as


def mode_of(path: Path) -> str:
    """Such as 644."""
    return f"{stat.S_IMODE(path.lstat().st_mode):o}"


def acl_of(path: Path, *options: str) -> list[str]:
    """The lines of getfacl, without names and comments."""
    output = run("getfacl", "--omit-header", "--numeric", "--absolute-names", *options, path).stdout
    return [line.split("\t")[0] for line in output.splitlines() if line]


@pytest.mark.parametrize(
    ("umask", "modes"), [(0o022, "644 755"), (0o077, "600 700"), (0, "666 777")]
)
def test_the_umask_is_applied_once(folder: Path, umask: int, modes: str) -> None:
    """To files and directories alike."""
    script = f"umask {umask:04o}; touch file; mkdir sub; mkfifo pipe"
    run("sh", "-c", script, cwd=folder)

    assert f"{mode_of(folder / 'file')} {mode_of(folder / 'sub')}" == modes
    assert mode_of(folder / "pipe") == modes[:3]


def test_a_setgid_directory_hands_its_group_down(folder: Path, as_user: As) -> None:
    """Shared folders: everything below belongs to the group, and so do new folders below."""
    os.chown(folder, ALICE, STAFF)
    folder.chmod(0o2775)
    said = as_user(BOB, folder, "umask 002; mkdir -p a/b; touch a/b/file", groups=str(STAFF))

    assert said == ""
    for path in (folder / "a", folder / "a/b", folder / "a/b/file"):
        assert path.stat().st_gid == STAFF
        assert path.stat().st_uid == BOB
    assert mode_of(folder / "a/b") == "2775"
    assert mode_of(folder / "a/b/file") == "664"


def test_in_a_sticky_directory_only_owners_remove(folder: Path, as_user: As) -> None:
    """Temporary folders that all share."""
    folder.chmod(0o1777)
    as_user(ALICE, folder, "echo hers > file; mkdir sub")
    said = as_user(
        BOB, folder, "rm -f file; mv file mine; rmdir sub; echo x > other; mv -f other file"
    )

    assert said.count("Operation not permitted") == 4
    assert (folder / "file").read_text() == "hers\n"
    assert as_user(ALICE, folder, "rm file; rmdir sub") == ""


def test_strangers_are_kept_out(folder: Path, as_user: As) -> None:
    """The kernel checks by what we tell it."""
    (folder / "private").mkdir(0o700)
    (folder / "private/file").write_text("x")
    (folder / "secret").write_text("x")
    (folder / "secret").chmod(0o600)
    said = as_user(BOB, folder, "cat secret; ls private; touch new; chmod 777 secret; rm secret")

    assert said.count("Permission denied") >= 3
    assert mode_of(folder / "secret") == "600"


def test_writing_takes_away_set_id_bits(folder: Path, as_user: As) -> None:
    """A changed program must not keep its owner's rights."""
    program = folder / "program"
    program.write_bytes(b"x")
    os.chown(program, ALICE, ALICE)
    program.chmod(0o6777)
    folder.chmod(0o777)
    as_user(BOB, folder, "echo y >> program")

    assert mode_of(program) == "777"


def test_truncation_at_open_takes_away_set_id_bits(folder: Path, as_user: As) -> None:
    """The kernel leaves it to us, since truncation comes with the open."""
    program = folder / "program"
    program.write_bytes(b"x")
    folder.chmod(0o777)
    program.chmod(0o6777)
    as_user(BOB, folder, ": > program")

    assert mode_of(program) == "777"


def test_changing_the_owner_takes_away_set_id_bits(folder: Path) -> None:
    """As above; root is no exception here."""
    program = folder / "program"
    program.write_bytes(b"x")
    program.chmod(0o6755)
    os.chown(program, ALICE, ALICE)

    assert mode_of(program) == "755"


@pytest.mark.parametrize(
    ("change", "may_be_in_group"),
    [
        ("echo y >> program", True),
        (": > program", True),
        ("truncate -s 5 program", True),
        ("chmod u+s program; truncate -s 5 program", True),
        (f"chgrp {BOB} program", False),
    ],
)
def test_a_group_bit_that_runs_nothing_stays_for_the_group_only(
    folder: Path, as_user: As, change: str, *, may_be_in_group: bool
) -> None:
    """As on a disk. The kernel does not ask for it, so the filesystem must see to it."""
    modes = []
    for groups in ("", str(STAFF)) if may_be_in_group else ("",):
        program = folder / "program"
        program.write_bytes(b"x")
        os.chown(program, BOB, STAFF)
        program.chmod(0o2600)
        folder.chmod(0o777)
        assert as_user(BOB, folder, change, groups=groups) == ""
        modes.append(mode_of(program))

    assert modes == ["600", "2600"][: len(modes)]


@pytest.mark.parametrize("mode", [0o2600, 0o6755])
def test_a_descriptor_handed_to_another_user_takes_the_bits_of_who_writes(
    folder: Path, mode: int
) -> None:
    """As on a disk: root's program, changed by a stranger, must not run as root."""
    program = folder / "program"
    program.write_bytes(b"x")
    program.chmod(mode)
    with program.open("ab") as opened:
        stranger = ("setpriv", f"--reuid={BOB}", f"--regid={BOB}", "--clear-groups", "echo", "y")
        subprocess.run(stranger, stdout=opened, check=True)

    assert program.read_bytes() == b"xy\n"
    assert mode_of(program) == f"{mode & 0o777:o}"


ROOT_AS_FAR_AS_IT_GOES = {
    "root": ((), "6777"),
    "root without the capability": (("setpriv", "--bounding-set=-fsetid"), "777"),
    "root of a namespace": (("unshare", "--user", "--map-root-user"), "777"),
}


@pytest.mark.parametrize("who", ROOT_AS_FAR_AS_IT_GOES)
@pytest.mark.parametrize("change", ["echo y >> program", ": > program", "truncate -s 5 program"])
def test_set_id_bits_stay_for_whoever_may_set_them(folder: Path, who: str, change: str) -> None:
    """As on a disk: installers write what they have made set-id; containers are no installers."""
    prefix, left = ROOT_AS_FAR_AS_IT_GOES[who]
    program = folder / "program"
    program.write_bytes(b"x")
    program.chmod(0o6777)
    run(*prefix, "sh", "-c", change, cwd=folder)

    assert mode_of(program) == left


def test_bits_set_after_the_first_write_fall_at_the_next(folder: Path, as_user: As) -> None:
    """After a write the kernel asks no more what a file gives; a chmod must make it ask again."""
    folder.chmod(0o777)
    script = "exec >> program; echo x; chmod 6755 program; stat -c %a program >&2; echo y"
    assert as_user(BOB, folder, script) == "6755\n"

    assert mode_of(folder / "program") == "755"


@pytest.mark.parametrize("change", ["echo y >> program", ": > program", "truncate -s 5 program"])
def test_a_changed_program_has_no_capabilities(folder: Path, change: str) -> None:
    """Not even if root changed it, and whatever the kernel knew of the file."""
    program = folder / "program"
    with program.open("ab", buffering=0) as opened:
        for _ in range(2):
            opened.write(b"x")
            run("setcap", "cap_net_raw+ep", program)
            assert os.getxattr(program, "security.capability")
            run("sh", "-c", change, cwd=folder)
            assert os.listxattr(program) == []


def test_an_acl_grants_what_the_mode_does_not(folder: Path, as_user: As) -> None:
    """One more reader."""
    file = folder / "file"
    file.write_text("content")
    file.chmod(0o600)
    folder.chmod(0o755)
    before = as_user(BOB, folder, "cat file")
    run("setfacl", "--modify", f"user:{BOB}:r", file)

    assert "Permission denied" in before
    assert as_user(BOB, folder, "cat file") == "content"
    assert "Permission denied" in as_user(ALICE, folder, "cat file")
    assert "ermission denied" in as_user(BOB, folder, "echo x > file")
    assert acl_of(file) == ["user::rw-", f"user:{BOB}:r--", "group::---", "mask::r--", "other::---"]
    assert mode_of(file) == "640"


def test_chmod_moves_the_mask_of_an_acl(folder: Path, as_user: As) -> None:
    """The group bits are the mask's, so chmod can only take away."""
    file = folder / "file"
    file.write_text("content")
    run("setfacl", "--modify", f"user:{BOB}:rw,group::r", file)
    folder.chmod(0o755)
    file.chmod(0o600)
    closed = as_user(BOB, folder, "cat file")
    shown = acl_of(file)
    file.chmod(0o640)

    assert "Permission denied" in closed
    assert "mask::---" in shown
    assert f"user:{BOB}:rw-" in shown
    assert as_user(BOB, folder, "cat file") == "content"
    run("setfacl", "--remove-all", file)
    assert acl_of(file) == ["user::rw-", "group::r--", "other::---"]
    assert os.listxattr(file) == []


def test_a_default_acl_is_handed_down(folder: Path) -> None:
    """To files as their ACL; to directories as theirs and their default."""
    run("setfacl", "--default", "--modify", f"user:{BOB}:rwx,group::rx,other::-", folder)
    run("sh", "-c", "umask 000; touch file; mkdir -p sub; touch sub/file", cwd=folder)

    assert acl_of(folder / "file") == [
        "user::rw-",
        f"user:{BOB}:rwx",
        "group::r-x",
        "mask::rw-",
        "other::---",
    ]
    assert acl_of(folder / "sub", "--default") == acl_of(folder, "--default")
    assert acl_of(folder / "sub/file") == acl_of(folder / "file")
    assert mode_of(folder / "file") == "660"
    run("setfacl", "--remove-default", folder)
    (folder / "plain").touch(0o644)
    assert acl_of(folder / "plain") == ["user::rw-", "group::r--", "other::r--"]


def test_the_umask_has_no_say_where_there_is_a_default_acl(folder: Path) -> None:
    """As on a disk: shared folders are shared, whatever the umask of who works there."""
    run("setfacl", "--default", "--modify", f"user:{BOB}:rwx", folder)
    run("sh", "-c", "umask 022; touch file; umask 002; touch shared", cwd=folder)

    assert "mask::rw-" in acl_of(folder / "file")
    assert acl_of(folder / "file") == acl_of(folder / "shared")


def test_an_acl_takes_setgid_from_whoever_is_not_in_the_group(folder: Path, as_user: As) -> None:
    """As chmod does: else an owner lends the rights of a group that is not theirs."""
    for entry in (folder / "file", folder / "sub"):
        entry.mkdir() if entry.name == "sub" else entry.touch()
        os.chown(entry, ALICE, STAFF)
        for groups, expected in ((str(STAFF), "2777"), (str(ALICE), "777")):
            entry.chmod(0o2755)
            as_user(ALICE, folder, f"setfacl -m u::rwx,g::rwx,o::rwx {entry.name}", groups=groups)
            assert mode_of(entry) == expected


def test_a_malformed_acl_is_refused(folder: Path) -> None:
    """By the kernel or by us, with the errno of the manual."""
    for value in (b"\x02\x00\x00\x00" + b"x" * 7, b"\x09\x00\x00\x00" + b"x" * 8):
        with pytest.raises(OSError, match=r"Invalid argument|not supported"):
            os.setxattr(folder, "system.posix_acl_access", value)
    (folder / "file").touch()
    entries = [struct.pack("<HHI", tag, 7, 0xFFFFFFFF) for tag in (0x01, 0x04, 0x20)]
    with fails_with(errno.EACCES):  # only directories have one
        os.setxattr(
            folder / "file", "system.posix_acl_default", struct.pack("<I", 2) + b"".join(entries)
        )
