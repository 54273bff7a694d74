"""Trees copied there and back by the tools people use are the same trees."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

from tests.mounting import MountedStore, run

pytestmark = [pytest.mark.mount, pytest.mark.slow]

AS_ROOT = os.geteuid() == 0
COPIES = {
    "cp": "cp -a tree/. $to",
    "rsync": "rsync -aHAX tree/ $to/",
    "tar": "tar -c --xattrs --xattrs-include='*' --acls -f - -C tree . | tar -x --xattrs "
    "--xattrs-include='*' --acls -f - -C $to",
}


def make_tree(tree: Path) -> None:
    """One of everything."""
    (tree / "folder" / "empty").mkdir(parents=True)
    (tree / "folder" / "file").write_bytes(os.urandom(300_000))
    (tree / "zero").touch()
    (tree / "strange \n name").write_text("x")
    os.link(tree / "folder" / "file", tree / "hard")
    (tree / "link").symlink_to("folder/file")
    (tree / "dangling").symlink_to("/nowhere")
    os.mkfifo(tree / "pipe")
    with (tree / "sparse").open("wb") as file:
        file.truncate(5 << 20)
        os.pwrite(file.fileno(), b"middle", 3 << 20)
    (tree / "read only").write_text("x")
    (tree / "read only").chmod(0o444)
    (tree / "folder").chmod(0o2750)
    os.setxattr(tree / "zero", "user.colour", b"green")
    run("setfacl", "--modify", "user:1:r", tree / "zero")
    if AS_ROOT:
        os.chown(tree / "zero", 12, 34)
        os.mknod(tree / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os.setxattr(tree / "zero", "trusted.secret", b"1")
    for path in [*sorted(tree.rglob("*"), reverse=True), tree]:
        os.utime(path, ns=(10**18 + 1, 10**18 + 123_456_789), follow_symlinks=False)


def description(tree: Path) -> dict[str, tuple[object, ...]]:
    """All that a copy must keep."""
    first: dict[int, str] = {}
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree))
        status = path.lstat()
        is_link = stat.S_ISLNK(status.st_mode)
        content = ""
        if is_link:
            content = os.readlink(path)
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[name] = (
            stat.filemode(status.st_mode),
            status.st_uid,
            status.st_gid,
            status.st_rdev,
            status.st_nlink,
            0 if is_link else status.st_mtime_ns,
            content,
            first.setdefault(status.st_ino, name),
            [(key, os.getxattr(path, key)) for key in sorted(os.listxattr(path))]
            if not is_link
            else None,
        )
    return found


@pytest.mark.parametrize("tool", COPIES)
def test_a_tree_goes_in_and_comes_out_as_it_was(tool: str, folder: Path, tmp_path: Path) -> None:
    """Owners, modes, times to the nanosecond, links, holes, attributes, ACLs, devices."""
    make_tree(tmp_path / "tree")
    (folder / "tree").mkdir()
    back = tmp_path / "back"
    back.mkdir()
    expected = description(tmp_path / "tree")
    script = COPIES[tool]
    run("bash", "-euc", script, cwd=tmp_path, environment={"to": str(folder / "tree")})
    inside = description(folder / "tree")
    run("bash", "-euc", script, cwd=folder, environment={"to": str(back)})

    assert inside == expected
    assert description(back) == expected


def test_a_copy_between_two_files_of_the_mount_is_whole(folder: Path) -> None:
    """`cp` tries reflinks, copy_file_range(2) and holes first; each falls back."""
    source = folder / "source"
    content = os.urandom(3_000_000)
    source.write_bytes(content)
    for options in ("--reflink=auto", "--sparse=always", "--sparse=never"):
        run("cp", options, source, folder / "copy")
        assert (folder / "copy").read_bytes() == content
    with source.open("rb") as opened, (folder / "ranged").open("wb") as copy:
        copied = 0
        while copied < len(content):
            copied += os.copy_file_range(opened.fileno(), copy.fileno(), len(content) - copied)
        assert os.sendfile(copy.fileno(), opened.fileno(), 0, 1000) == 1000
    assert (folder / "ranged").read_bytes() == content + content[:1000]


def test_a_second_rsync_finds_nothing_to_do(mount: MountedStore, tmp_path: Path) -> None:
    """Times and sizes are kept to the last digit."""
    make_tree(tmp_path / "tree")
    command = ("rsync", "-aHAXi", f"{tmp_path}/tree/", f"{mount.path}/")
    run(*command)
    mount.remount()

    assert run(*command).stdout == ""
