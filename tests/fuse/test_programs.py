"""Programs with high demands of a disk, at work on the mount."""

import shutil
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.mounting import MountedStore, run

pytestmark = [pytest.mark.mount, pytest.mark.slow]

WHEEL_FILES = {
    "tiny/__init__.py": "def greet():\n    return 'hello from a wheel'\n",
    "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "tiny-1.0.dist-info/RECORD": "tiny/__init__.py,,\ntiny-1.0.dist-info/METADATA,,\n"
    "tiny-1.0.dist-info/WHEEL,,\ntiny-1.0.dist-info/RECORD,,\n",
}


def needs(program: str) -> pytest.MarkDecorator:
    """Skips where the program is not installed."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@needs("gcc")
def test_a_program_is_compiled_and_run(folder: Path) -> None:
    """The linker maps its output; the loader maps the program and its library."""
    (folder / "part.c").write_text('const char *part(void) { return "linked"; }\n')
    (folder / "main.c").write_text(
        "#include <stdio.h>\nconst char *part(void);\nint main(void) { puts(part()); return 0; }\n"
    )
    run("gcc", "-shared", "-fPIC", "-o", "libpart.so", "part.c", cwd=folder)
    run("gcc", "-g", "-o", "program", "main.c", "-L.", "-lpart", "-Wl,-rpath,$ORIGIN", cwd=folder)

    assert run(folder / "program").stdout == "linked\n"


def test_a_package_is_installed_and_imported(folder: Path, tmp_path: Path) -> None:
    """Unpacked, compiled and renamed by pip; Python writes its caches beside."""
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in WHEEL_FILES.items():
            archive.writestr(name, text)
    packages = folder / "packages"
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"),
        *("--target", packages, wheel),
        environment={"PIP_CACHE_DIR": str(folder / "cache"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    said = run(
        *(sys.executable, "-c", "import tiny; print(tiny.greet(), tiny.__file__)"),
        environment={"PYTHONPATH": str(packages), "PYTHONPYCACHEPREFIX": ""},
    ).stdout

    assert said.split(" /")[0] == "hello from a wheel"
    assert str(packages) in said
    assert list(packages.glob("tiny/__pycache__/*.pyc"))


@needs("git")
def test_a_repository_is_cloned_packed_and_checked(mount: MountedStore, tmp_path: Path) -> None:
    """It maps packs, links, renames, and checks every byte itself."""
    identity = {
        f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    shutil.copytree(sysconfig.get_path("stdlib") + "/json", tmp_path / "origin")
    run(
        "sh",
        "-euc",
        "git init -q; git add .; git commit -qm one",
        cwd=tmp_path / "origin",
        environment=identity,
    )
    script = """
        git clone -q --no-hardlinks $origin clone; cd clone
        for n in 1 2 3; do echo $n >> file; git add file; git commit -qm $n; done
        git checkout -qb side HEAD~1; echo x > other; git add other; git commit -qm side
        git checkout -q -; git merge -q -m merged side
        git gc -q --aggressive --prune=now; git fsck --strict --full; git status --porcelain
        git worktree add -q ../tree; git stash list
    """
    run(
        "sh",
        "-euc",
        script,
        cwd=mount.path,
        environment={**identity, "origin": str(tmp_path / "origin")},
    )
    mount.remount()
    checked = run("git", "fsck", "--strict", "--full", cwd=mount.path / "clone")

    assert "error" not in checked.stderr + checked.stdout
    assert run("git", "status", "--porcelain", cwd=mount.path / "clone").stdout == ""
    assert run("git", "log", "--oneline", cwd=mount.path / "clone").stdout.count("\n") == 6


@needs("sqlite3")
@pytest.mark.parametrize("journal", ["delete", "wal", "truncate", "persist"])
def test_a_database_stays_whole(folder: Path, journal: str) -> None:
    """Locks, mapped shared memory, truncation and fsync together."""
    script = """
        PRAGMA journal_mode=$journal; PRAGMA mmap_size=100000000;
        CREATE TABLE t(n INTEGER PRIMARY KEY, text);
        WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<2000)
          INSERT INTO t SELECT n, hex(randomblob(50)) FROM c;
        BEGIN; DELETE FROM t WHERE n % 2; ROLLBACK;
        DELETE FROM t WHERE n % 3 = 0; VACUUM;
        SELECT count(*) FROM t; PRAGMA integrity_check;
    """
    run("sqlite3", folder / "db", script.replace("$journal", journal))
    said = run("sqlite3", folder / "db", "SELECT count(*) FROM t; PRAGMA integrity_check").stdout

    assert said.split() == ["1334", "ok"]
