"""What others can reach of a mounted store: its socket, its logs, its files, its memory dumps."""

import os
import random
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.campaigns.line import Failed, Figures, Piece
from tests.mounting import MountedStore, processes_marked, s3fs_local

OTHER_USER: Final = 1000
SECRET: Final = b"a content that only who may read the file shall see"
NAME_OF_KEY: Final = "unlock.key"

# Tries, as another user, what root may; prints what it got.
STRANGER: Final = """
import os, socket, sys
store, uid = sys.argv[1], int(sys.argv[2])
os.setgroups([]); os.setgid(uid); os.setuid(uid)
for name in ("unlock.key", "key-ring.json", "metadata.sqlite", "zones/zone-1/key-ring.json"):
    try:
        open(os.path.join(store, name), "rb").read()
        print("read", name)
    except OSError:
        pass
try:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.path.join(store, "control.sock"))
        print("connected")
except OSError:
    pass
"""


def leaks(folder: Path, needles: list[bytes], but: str) -> Iterator[str]:
    """Files that hold what they must not."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name != but:
            content = path.read_bytes()
            if any(needle in content for needle in needles):
                yield str(path)


def open_to_others(store: Path) -> Iterator[str]:
    """Files that hold something and that others may read or write."""
    for path in store.rglob("*"):
        mode = path.lstat().st_mode
        is_reachable = store.stat().st_mode & 0o077
        if is_reachable and stat.S_ISREG(mode) and mode & 0o007:
            yield f"{path} {stat.filemode(mode)}"


def garbage(address: Path, chance: random.Random) -> None:
    """Bytes that make no sense, sent to the socket; whatever is answered."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(address))
        body = chance.randbytes(chance.randrange(1, 200))
        length = chance.choice((len(body), 1 << 31, 0, len(body) + 5))
        with suppress(ConnectionError):  # it need not be read to its end
            connection.sendall(length.to_bytes(4, "big") + body)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


def wrong(mount: MountedStore, piece: Piece) -> Iterator[str]:
    """All that should not be."""
    chance = random.Random(piece.seed)
    store = mount.store
    (process,) = processes_marked(mount.path)
    for _ in range(piece.size):
        garbage(store / "control.sock", chance)
    if not Path(f"/proc/{process}").exists():
        yield "garbage on the socket ended the daemon"
    key = (store / NAME_OF_KEY).read_bytes().strip()
    needles = [SECRET, key, bytes.fromhex(key.decode())]
    yield from leaks(piece.folder / "store", needles, NAME_OF_KEY)
    yield from leaks(piece.folder / "temporary", needles, "")
    limits = Path(f"/proc/{process}/limits").read_text().splitlines()
    if next(line.split()[4:6] for line in limits if line.startswith("Max core")) != ["0", "0"]:
        yield "a crash of the daemon would dump its memory"
    yield from open_to_others(store)
    environment = Path(f"/proc/{process}/environ").read_bytes()
    arguments = Path(f"/proc/{process}/cmdline").read_bytes()
    if any(needle in environment + arguments for needle in needles):
        yield "the daemon's environment or arguments tell a secret"
    if os.geteuid() == 0:
        command = [sys.executable, "-c", STRANGER, str(store), str(OTHER_USER)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        yield from (f"another user: {line}" for line in said.splitlines())


def run(piece: Piece) -> Figures:
    """A store at work, and so much garbage for its socket."""
    piece.folder.chmod(0o755)
    (piece.folder / "mount").mkdir()
    s3fs_local("init", piece.folder / "store")
    mount = MountedStore(piece.folder / "store", piece.folder / "mount")
    (piece.folder / "temporary").mkdir()
    mount.environment["TMPDIR"] = str(piece.folder / "temporary")
    try:
        mount.mount()
        for number in range(5):
            (mount.path / f"file{number}").write_bytes(SECRET * 100)
        os.sync()
        s3fs_local("versions", mount.path / "file1")
        found = list(wrong(mount, piece))
    finally:
        mount.clean_up()
    if found:
        raise Failed("\n".join(found))
    return {"leaks": 0, "doors open to others": 0}
