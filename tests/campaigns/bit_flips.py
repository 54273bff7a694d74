"""One bit of one file of a store is another one: what is read is right, or an error; never wrong.

Two zones: the second has good bytes, so that what was flipped in the first is served all the same.
"""

import random
import shutil
from pathlib import Path
from typing import Final

from tests.campaigns.line import Failed, Figures, Piece, added
from tests.mounting import MountedStore, end_processes, processes_marked, s3fs_local

LIVES: Final = "owner.lock"
"""A file that holds nothing; it is made anew at each mount."""

Contents = dict[str, bytes]


def fill(mount: MountedStore, chance: random.Random) -> Contents:
    """Files of all sizes, some with several versions; what each name below the mount holds."""
    for number in range(8):
        path = mount.path / f"file{number}"
        for _ in range(chance.randrange(1, 4)):
            path.write_bytes(chance.randbytes(chance.choice((1, 900, 40_000, 700_000))))
    (mount.path / "folder").mkdir()
    (mount.path / "folder" / "small").write_bytes(b"small")
    return contents(mount)


def contents(mount: MountedStore) -> Contents:
    """By path what can be read, versions included; what cannot is left out."""
    found: Contents = {}
    for name in ("", "folder"):
        for path in sorted((mount.path / name).iterdir()):
            if not path.is_file():
                continue
            found[str(path.relative_to(mount.path))] = path.read_bytes()
            for version in mount.versions(path.relative_to(mount.path)):
                found[str(version.relative_to(mount.path))] = version.read_bytes()
    return found


def flip(file: Path, chance: random.Random) -> int:
    """One bit is another one; in which byte."""
    at = chance.randrange(file.stat().st_size)
    with file.open("r+b") as opened:
        opened.seek(at)
        (byte,) = opened.read(1)
        opened.seek(at)
        opened.write(bytes([byte ^ 1 << chance.randrange(8)]))
    return at


class Outcome:
    """How what was there before is found after a flip."""

    def __init__(self, mount: MountedStore, expected: Contents) -> None:
        self.wrong: list[str] = []
        self.failed = 0
        self.missing = 0
        for name, content in expected.items():
            try:
                with (mount.path / name).open("rb") as file:
                    found = file.read()
            except FileNotFoundError:
                self.missing += 1
            except OSError:
                self.failed += 1
            else:
                if found != content:
                    self.wrong.append(name)


def attempt(
    pristine: Path, expected: Contents, mount: MountedStore, chance: random.Random
) -> Figures:
    """A flip in the store as it was, which is mounted and read. Raises Failed."""
    shutil.rmtree(mount.store, ignore_errors=True)
    shutil.copytree(pristine, mount.store)
    files = [path for path in sorted(mount.store.rglob("*")) if path.is_file()]
    file = chance.choice([path for path in files if path.stat().st_size and path.name != LIVES])
    at = flip(file, chance)
    where = f"byte {at} of {file.relative_to(mount.store)}"
    result = mount.mount(check=False)
    if "Traceback" in result.stderr:
        raise Failed(f"{where}: {result.stderr}")
    if result.returncode != 0:
        if not result.stderr.strip():
            raise Failed(f"{where}: exit {result.returncode} without a word")
        return {"mounts refused": 1}
    outcome = Outcome(mount, expected)
    is_alive = any(processes_marked(mount.path))
    end_processes(processes_marked(mount.path))
    mount.clean_up()
    if outcome.wrong or outcome.missing or not is_alive:
        raise Failed(
            f"{where}: wrong bytes in {outcome.wrong}, {outcome.missing} names missing, "
            f"daemon alive: {is_alive}"
        )
    if outcome.failed and "zones/zone-1/packs" in where:
        raise Failed(f"{where}: the other zone has good bytes, but {outcome.failed} reads fail")
    return {"read with an error": int(outcome.failed > 0), "unharmed": int(not outcome.failed)}


def run(piece: Piece) -> Figures:
    """As many flips, each in the same store."""
    chance = random.Random(piece.seed)
    (piece.folder / "mount").mkdir()
    store, pristine = piece.folder / "store", piece.folder / "pristine"
    zones = [word for n in (1, 2) for word in ("--zone", store / "zones" / f"zone-{n}")]
    s3fs_local("init", store, *zones)
    mount = MountedStore(store, piece.folder / "mount")
    figures: Figures = {}
    try:
        mount.mount()
        expected = fill(mount, chance)
        mount.umount()
        shutil.copytree(store, pristine)
        for _ in range(piece.size):
            figures = added(figures, attempt(pristine, expected, mount, chance))
    finally:
        mount.clean_up()
    return {**figures, "wrong bytes": 0}
