"""The daemon is SIGKILLed under load; what fsync acknowledged is there after the next mount."""

import hashlib
import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import sleep

import pytest

from tests.mounting import MountedStore, run

pytestmark = [pytest.mark.mount, pytest.mark.slow, pytest.mark.timeout(240)]

KILLS = 5
SEED = int(os.environ.get("S3FS_LOCAL_TEST_SEED", "20"))

# Works in its own folder and says on stdout what has become durable, as `path size hash` lines.
WRITER = """
import hashlib, os, random, sys
folder, seed = sys.argv[1], sys.argv[2]
chance = random.Random(seed)
os.mkdir(folder)
def durable_folder():
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(handle)
    os.close(handle)
contents, number = {}, 0
while True:
    number += 1
    name = f"{folder}/{chance.randrange(30)}"
    kind = chance.choice(("new", "append", "patch", "replace", "delete"))
    old = contents.get(name, b"")
    if kind == "delete" and old:
        # Said before it is done: from here on both states are right.
        print(f"maybe {name}", flush=True)
        os.unlink(name)
        durable_folder()
        del contents[name]
        print(f"gone {name}", flush=True)
        continue
    data = chance.randbytes(chance.choice((1, 200, 4096, 70_000, 1_500_000)))
    if kind == "append":
        new, flags = old + data, os.O_WRONLY | os.O_CREAT | os.O_APPEND
    elif kind == "patch" and old:
        at = chance.randrange(len(old))
        new, flags = old[:at] + data + old[at + len(data):], os.O_WRONLY
    else:
        new, flags = data, os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    target = f"{name}.tmp" if kind == "replace" else name
    print(f"maybe {name}", flush=True)
    handle = os.open(target, flags)
    if kind == "patch" and old:
        os.pwrite(handle, data, at)
    else:
        os.write(handle, data)
    os.fsync(handle)
    os.close(handle)
    if kind == "replace":
        os.rename(target, name)
    durable_folder()
    contents[name] = new
    print(f"kept {name} {len(new)} {hashlib.sha256(new).hexdigest()}", flush=True)
"""


def acknowledged(lines: list[str]) -> dict[str, tuple[int, str] | None]:
    """What must be there (size and hash) or must not (None); names in doubt are left out."""
    certain: dict[str, tuple[int, str] | None] = {}
    for line in lines:
        if not line.endswith("\n"):
            continue
        word, name, *rest = line.split()
        if word == "maybe":
            certain.pop(name, None)
        elif word == "gone":
            certain[name] = None
        else:
            certain[name] = (int(rest[0]), rest[1])
    return certain


def state_of(path: Path) -> tuple[int, str] | None:
    """Size and hash of a file, None where there is none."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def test_nothing_fsynced_is_lost_and_mounting_again_is_all_it_takes(mount: MountedStore) -> None:
    """After a crash a person mounts again; there is no repair command to know about."""
    chance = random.Random(SEED)
    promised: dict[str, tuple[int, str] | None] = {}
    for kill in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, mount.path / f"work{kill}", f"{SEED} {kill}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as writer:
            assert writer.stdout
            lines = [writer.stdout.readline() for _ in range(20)]
            sleep(chance.uniform(0.05, 1.5))
            mount.kill()
            lines += writer.stdout.readlines()
        promised |= acknowledged(lines)
        mount.mount()

        wrong = [
            f"{name}: {state_of(Path(name))} instead of {expected}"
            for name, expected in promised.items()
            if state_of(Path(name)) != expected
        ]
        assert not wrong, f"seed {SEED}, kill {kill}"


def test_a_dead_mount_answers_with_an_error(mount: MountedStore) -> None:
    """A mirror job must not take a dead mount for an empty folder and delete its copy."""
    (mount.path / "f").write_text("1")
    mount.kill()

    result = run("ls", mount.path, check=False)

    assert result.returncode != 0
    assert "not connected" in result.stderr


def test_drafts_of_files_open_at_the_kill_come_back_as_versions(mount: MountedStore) -> None:
    """What was fsynced of a file that was never closed is recovered, as a version of its own."""
    path = mount.path / "f"
    path.write_text("one\n")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, b"two\n")
    os.fsync(descriptor)
    mount.kill()
    with suppress(OSError):
        os.close(descriptor)
    mount.mount()

    assert mount.contents("f") == ["one\n", "one\ntwo\n"]
