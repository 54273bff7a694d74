"""The daemon is SIGKILLed under load; what fsync acknowledged is there after the next mount."""

import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from time import sleep
from typing import Final

from tests.campaigns.line import Failed, Figures, Piece
from tests.mounting import MountedStore, s3fs_local

Promised = dict[str, tuple[int, str] | None]
"""By path the size and hash that must be there; None: nothing must be there."""

# Works in its own folder and says on stdout what is durable. Each line begins with how long the
# file that is named third was then.
WRITER: Final = """
import hashlib, os, random, sys
folder, seed, measure = sys.argv[1:]
chance = random.Random(seed)
os.mkdir(folder)
def say(words):
    print(os.stat(measure).st_size, words, flush=True)
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
        say(f"maybe {name}")
        os.unlink(name)
        durable_folder()
        del contents[name]
        say(f"gone {name}")
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
    say(f"maybe {name}")
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
    say(f"kept {name} {len(new)} {hashlib.sha256(new).hexdigest()}")
"""


def acknowledged(lines: list[str], until: int | None = None) -> Promised:
    """What must be there (size and hash) or must not (None); names in doubt are left out.

    With `until`, as it was when the measured file had that length.
    """
    certain: Promised = {}
    for line in lines:
        if not line.endswith("\n"):
            continue
        length, word, name, *rest = line.split()
        if until is not None and int(length) > until:
            break
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


def start_writer(
    folder: Path, chance: random.Random, measure: Path = Path(os.devnull)
) -> "subprocess.Popen[str]":
    """A program that works in a new folder until an error, and says what it was promised."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, folder, str(chance.random()), measure],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def killed_under_load(mount: MountedStore, name: str, chance: random.Random) -> Promised:
    """What a program that works in a new folder `name` was promised before the daemon died."""
    with start_writer(mount.path / name, chance) as writer:
        assert writer.stdout
        lines = [writer.stdout.readline() for _ in range(chance.randrange(20, 60))]
        sleep(chance.uniform(0, 0.7))  # anywhere, also inside a call or the upkeep
        mount.kill()
        lines += writer.stdout.readlines()
    return acknowledged(lines)


def broken(promised: Promised) -> list[str]:
    """What is not as it was promised."""
    return [
        f"{name}: {state_of(Path(name))} instead of {expected}"
        for name, expected in promised.items()
        if state_of(Path(name)) != expected
    ]


def run(piece: Piece) -> Figures:
    """One store, killed and mounted again; all that was ever promised is compared each time."""
    chance = random.Random(piece.seed)
    (piece.folder / "mount").mkdir()
    s3fs_local("init", piece.folder / "store")
    mount = MountedStore(piece.folder / "store", piece.folder / "mount")
    promised: Promised = {}
    slowest = 0.0
    try:
        mount.mount()
        for kill in range(piece.size):
            promised |= killed_under_load(mount, f"work{kill}", chance)
            started = time.monotonic()
            mount.mount()
            slowest = max(slowest, time.monotonic() - started)
            wrong = broken(promised)
            if wrong:
                raise Failed(f"kill {kill + 1}:\n" + "\n".join(wrong))
    finally:
        mount.clean_up()
    return {"files acknowledged": len(promised), "lost": 0, "most seconds to mount": slowest}
