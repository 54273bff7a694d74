"""Editors and tools save in many ways; each save is one version, and nothing else is noise."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.mounting import MountedStore

pytestmark = [pytest.mark.mount, pytest.mark.slow]


def visible_history(mount: MountedStore, folder: str = ".") -> dict[str, int]:
    """How many versions each name of the folder has, in `.versions`."""
    base = mount.path / folder
    return {
        name: len(mount.versions(base / name))
        for name in mount.names_with_history(folder)
        if not (base / name).is_dir()
    }


@pytest.mark.parametrize("copy", ["yes", "no", "auto"])
@pytest.mark.parametrize("backup", ["backup", "nobackup"])
def test_vim_leaves_one_version_a_save(mount: MountedStore, copy: str, backup: str) -> None:
    """Vim makes a probe, a swap file and a backup around a save, and may replace the file."""
    (mount.path / "note.txt").write_text("one\n")
    for word in ("two", "three"):
        mount.run(
            *("vim", "-es", "-u", "NONE"),
            *("-c", f"set nocp swapfile {backup} writebackup backupskip= backupcopy={copy}"),
            *("-c", f"normal Go{word}"),
            *("-c", "wq"),
            "note.txt",
        )

    assert mount.contents("note.txt") == ["one\n", "one\ntwo\n", "one\ntwo\nthree\n"]
    expected = {"note.txt"} | ({"note.txt~"} if backup == "backup" else set())
    assert mount.names_with_history() == expected


def test_two_writes_in_one_vim_session_are_two_versions(mount: MountedStore) -> None:
    """A version is a save, not a session."""
    mount.run(
        *("vim", "-es", "-u", "NONE", "-c", "set nocp"),
        *("-c", "normal ione", "-c", "w", "-c", "normal otwo", "-c", "w", "-c", "q"),
        "note.txt",
    )

    assert mount.contents("note.txt") == ["one\n", "one\ntwo\n"]


def test_sed_in_place_continues_the_history_of_the_name(mount: MountedStore) -> None:
    """`sed -i` renames a temporary file over the old one: still one file to a person."""
    mount.sh("echo one >f; sed -i s/one/two/ f; sed -i s/two/three/ f")

    assert mount.contents("f") == ["one\n", "two\n", "three\n"]
    assert mount.names_with_history() == {"f"}


def test_shell_appends_are_versions(mount: MountedStore) -> None:
    """Each `>>` opens, writes and closes, so each is a state a person may want back."""
    mount.sh("echo 1 >f; echo 2 >>f; echo 3 >>f")

    assert mount.contents("f") == ["1\n", "1\n2\n", "1\n2\n3\n"]


def test_cp_over_a_file_is_one_version(mount: MountedStore) -> None:
    """`cp` truncates, writes and closes; the empty moment between is no version."""
    mount.sh("seq 100000 >a; seq 5 >b; cp a b; cp --remove-destination a b; cp -p a c")

    assert [len(text.split()) for text in mount.contents("b")] == [5, 100000, 100000]
    assert visible_history(mount) == {"a": 1, "b": 3, "c": 1}


def test_a_moved_file_takes_its_history_along(mount: MountedStore) -> None:
    """History belongs to the file as well as to the name, so `mv` never hides a version."""
    mount.sh("echo 1 >draft; echo 2 >draft; mkdir done; mv draft done/paper; echo 3 >done/paper")

    assert mount.contents("done/paper") == ["1\n", "2\n", "3\n"]


def test_a_file_moved_over_another_adds_to_the_history_of_the_name(mount: MountedStore) -> None:
    """What was replaced stays reachable under the name it had."""
    mount.sh("echo old >f; echo new >g; mv g f")

    assert set(mount.contents("f")) == {"old\n", "new\n"}
    assert (mount.path / ".versions/f/latest").read_text() == "new\n"


def test_rsync_leaves_one_version_a_changed_file(mount: MountedStore, tmp_path: Path) -> None:
    """Rsync writes `.f.XXXXXX` and renames; a second run without changes writes nothing."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a", "b", "c"):
        (source / name).write_text(f"{name} one\n")
    target = mount.path / "copy"
    mount.run("rsync", "-a", f"{source}/", target)
    (source / "b").write_text("b two, longer\n")
    mount.run("rsync", "-a", "--checksum", f"{source}/", target)
    mount.run("rsync", "-a", "--checksum", f"{source}/", target)
    (source / "c").write_text("c two, in place\n")
    mount.run("rsync", "-a", "--inplace", f"{source}/", target)

    assert mount.contents("copy/b") == ["b one\n", "b two, longer\n"]
    assert visible_history(mount, "copy") == {"a": 1, "b": 2, "c": 2}


def test_tar_unpacks_one_version_a_file(mount: MountedStore, tmp_path: Path) -> None:
    """Tar sets owner, mode and times after writing; these are attributes, not saves."""
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("json/__init__.py", "json/decoder.py", "json/tool.py"):
            tar.add(Path(os.__file__).parent / name, arcname=name)
    mount.run("tar", "-xpf", archive)

    assert visible_history(mount, "json") == {"__init__.py": 1, "decoder.py": 1, "tool.py": 1}

    mount.run("tar", "-xpf", archive, "--overwrite")
    mount.run("tar", "-xpf", archive)

    history = visible_history(mount, "json")
    assert history.keys() == {"__init__.py", "decoder.py", "tool.py"}
    assert set(history.values()) == {3}


def test_git_leaves_no_temporary_names(mount: MountedStore) -> None:
    """Git makes locks and temporary objects by the hundred; none is a thing to look back at."""
    mount.sh(
        "git init -q .; git config user.name t; git config user.email t@t;"
        "echo 1 >f; git add f; git commit -qm 1; echo 2 >f; git commit -qam 2;"
        "git checkout -q HEAD~1; git checkout -q -; git gc -q"
    )

    assert mount.contents("f") == ["1\n", "2\n", "1\n", "2\n"]
    assert mount.names_with_history() == {"f"}
    noise = [
        os.path.join(folder, name)
        for folder, _, _ in os.walk(mount.path / ".git")
        for name in os.listdir(os.path.join(folder, ".versions"))
        if "tmp_" in name or name.endswith(".lock")
    ]
    assert noise == []


def test_reads_and_attributes_make_no_versions(mount: MountedStore) -> None:
    """Looking, indexing, chmod and touch of times must not bury the saves that matter."""
    mount.sh(
        "echo 1 >f; cat f; wc f; grep -r . .; find . -type f -exec stat {} +; chmod 600 f;"
        "touch f; touch -d 2001-01-01 f; setfattr -n user.a -v b f; cp f /dev/null; ls -la;"
        "chmod a+x f; ln f g; rm g; head -c1 f"
    )
    if os.geteuid() == 0:
        mount.sh("chown 1000:1000 f")
    with (mount.path / "f").open("r+") as opened:
        opened.read()

    assert mount.contents("f") == ["1\n"]


def test_touch_and_truncation_make_a_version(mount: MountedStore) -> None:
    """A new empty name and an emptied file are states that a person may look for."""
    mount.sh("touch f; echo 1 >f; : >f; truncate -s 3 f")

    assert mount.contents("f") == ["", "1\n", "", "\0\0\0"]


def test_a_duplicated_descriptor_closes_without_a_second_version(mount: MountedStore) -> None:
    """Every close(2) reaches the filesystem as FLUSH; only what is new since makes a version."""
    path = mount.path / "f"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    os.write(descriptor, b"1\n")
    os.close(os.dup(descriptor))
    os.close(os.dup(descriptor))
    os.close(descriptor)

    assert mount.contents("f") == ["1\n"]


def test_a_shell_redirection_of_many_children_is_one_version(mount: MountedStore) -> None:
    """Children inherit the descriptor and close it at exit, while the script goes on writing."""
    mount.sh("{ echo 1; /bin/echo 2; sh -c 'echo 3'; /bin/echo 4; } >f")

    assert (mount.path / "f").read_text() == "1\n2\n3\n4\n"
    assert mount.contents("f")[-1] == "1\n2\n3\n4\n"
    assert len(mount.versions("f")) == 1


def test_a_deleted_file_and_a_deleted_folder_are_found_again(mount: MountedStore) -> None:
    """`rm -r` walks past `.versions`, and what it removed can be copied back with `cp`."""
    mount.sh("mkdir d; echo 1 >d/f; echo 2 >d/f; rm -r d; mkdir d")

    assert mount.contents("d/f") == ["1\n", "2\n"]
    mount.sh("cp d/.versions/f/previous d/f")
    assert (mount.path / "d/f").read_text() == "1\n"


def test_python_mmap_and_shutil_work(mount: MountedStore) -> None:
    """Programs that map files or copy by the kernel see what a disk would show."""
    script = (
        "import mmap\n"
        "with open('f', 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:\n"
        "    m[0:3] = b'two'\n"
        "    m.flush()\n"
    )
    mount.sh("echo one >f")
    mount.run(sys.executable, "-c", script)
    shutil.copy2(mount.path / "f", mount.path / "g")

    assert (mount.path / "g").read_text() == "two\n"
    assert mount.contents("f") == ["one\n", "two\n"]


def test_an_open_file_that_was_deleted_can_still_be_used(mount: MountedStore) -> None:
    """Programs delete their temporary files while they use them."""
    path = mount.path / "f"
    with path.open("w+") as opened:
        opened.write("one")
        opened.flush()
        path.unlink()
        opened.write(" two")
        opened.seek(0)

        assert opened.read() == "one two"
    assert os.listdir(mount.path) == []


def test_flock_is_respected_between_processes(mount: MountedStore) -> None:
    """Package managers, mail programs and cron jobs rely on it."""
    with subprocess.Popen(
        ["flock", "f", "sh", "-c", "echo locked; read line"],
        cwd=mount.path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "locked\n"

        assert mount.run("flock", "-n", "f", "true", check=False).returncode == 1
        holder.communicate("\n")
    assert mount.run("flock", "-n", "f", "true", check=False).returncode == 0
