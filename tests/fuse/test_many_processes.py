"""Many programs at once: nothing fails, nothing is torn, and the past stands still."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from tests.fuse.calls import starts, together
from tests.mounting import MountedStore, instant_now

pytestmark = [pytest.mark.mount, pytest.mark.slow]

SECONDS = float(os.environ.get("S3FS_LOCAL_TEST_SECONDS", "3"))

MIXED = """
import hashlib, json, os, random, shutil, sys, time
number, folder, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
choice = random.Random(number)
os.makedirs(f"{folder}/own{number}/sub", exist_ok=True)
os.chdir(folder)
mine, count = {}, 0
until = time.monotonic() + seconds
while time.monotonic() < until:
    count += 1
    path = f"own{number}/{choice.choice(['', 'sub/'])}{choice.randrange(12)}"
    match choice.randrange(9):
        case 0 | 1 | 2:
            content = choice.randbytes(choice.choice([0, 10, 5000, 200_000]))
            with open(path, "wb") as file:
                file.write(content)
            mine[path] = content
        case 3 if path in mine:
            with open(path, "ab") as file:
                file.write(b"more")
            mine[path] += b"more"
        case 4 if path in mine:
            with open(path, "rb") as file:
                assert file.read() == mine[path], path
        case 5 if path in mine:
            target = f"own{number}/moved{choice.randrange(5)}"
            os.rename(path, target)
            mine[target] = mine.pop(path)
        case 6 if path in mine:
            os.unlink(path)
            del mine[path]
        case 7 if path in mine:
            size = choice.randrange(8000)
            os.truncate(path, size)
            mine[path] = mine[path][:size].ljust(size, b"\\0")
        case 8:
            shared = f"shared{choice.randrange(4)}"
            with open(shared + f".{number}", "wb") as file:
                file.write(bytes([number]) * 3000)
            os.replace(shared + f".{number}", shared)
            with open(shared, "rb") as file:
                seen = file.read()
            assert len(seen) == 3000 and len(set(seen)) == 1, "torn"
            os.listdir(".")
print(json.dumps({path: hashlib.sha256(content).hexdigest() for path, content in mine.items()}))
print(count)
"""

WRITER = """
import select, sys
number = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    number += 1
    with open(sys.argv[1], "r+b" if number % 2 else "wb") as file:
        file.write(bytes([number % 256]) * (50_000 + number % 3 * 40_000))
print(number)
"""


def digests(folder: Path) -> dict[str, str]:
    """What every file below holds, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_sixteen_programs_of_mixed_work_meet_no_error(mount: MountedStore) -> None:
    """And what each of them left is there, byte for byte, also after a remount."""
    folder = mount.path / "work"
    folder.mkdir()
    outputs = [output.splitlines() for output in together(MIXED, 16, folder, SECONDS)]
    expected = {
        path: digest for output in outputs for path, digest in json.loads(output[0]).items()
    }
    own = {path: digest for path, digest in digests(folder).items() if path.startswith("own")}
    mount.remount()
    after = {path: digest for path, digest in digests(folder).items() if path.startswith("own")}

    assert min(int(output[1]) for output in outputs) > 10
    assert own == expected
    assert after == expected


def test_the_past_stands_still_while_the_present_is_written(mount: MountedStore) -> None:
    """A reader of an old version, or of the tree at an instant, never sees other bytes."""
    file = mount.path / "file"
    file.write_bytes(b"first" * 20_000)
    first = mount.versions("file")[0]
    then = mount.path / ".versions" / f"@{instant_now()}" / "file"
    program = starts(WRITER, file)
    until = time.monotonic() + SECONDS / 2
    with first.open("rb", buffering=0) as held:
        while time.monotonic() < until:
            assert first.read_bytes() == b"first" * 20_000
            assert then.read_bytes() == b"first" * 20_000
            assert os.pread(held.fileno(), 1000, 99_000) == b"first" * 200
    written, _ = program.communicate("\n")

    assert program.returncode == 0
    assert int(written) > 5
    assert first.read_bytes() == b"first" * 20_000


def test_a_tree_at_an_instant_is_whole_while_the_tree_changes(mount: MountedStore) -> None:
    """Names, bytes and attributes of then, whatever happens to them now."""
    tree = mount.path / "tree"
    (tree / "sub").mkdir(parents=True)
    for number in range(20):
        (tree / "sub" / f"{number}").write_text(str(number) * 1000)
    then = mount.path / ".versions" / f"@{instant_now()}" / "tree"
    before = digests(then)
    for number in range(20):
        path = tree / "sub" / f"{number}"
        path.write_text("new") if number % 3 else path.unlink()
        if number % 5 == 0:
            (tree / "sub").rename(tree / "other")
            (tree / "other").rename(tree / "sub")
        assert digests(then) == before
    (tree / "sub").rename(mount.path / "away")

    assert len(before) == 20
    assert digests(then) == before
