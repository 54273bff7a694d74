"""`fsck` is SIGKILLed while it repairs and rebuilds; it is begun again, and nothing is lost.

Of every block only one zone has a good copy, or the database is gone, or the whole directory of the
store is. The command is killed at system calls of a number by chance, up to three times, and then
left alone: it ends well, says what it found, and what follows finds nothing more.
"""

import random
import shutil
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import trio

from s3fs_local.control.requests import Verify
from tests.campaigns.interposed import Interposed
from tests.campaigns.line import Failed, Figures, Piece
from tests.mounting import CAUTIOUSLY, COMMAND, Completed, s3fs_local
from tests.mounting import run as run_program
from tests.store_on_disk import opened

ZONES: Final = 3
FILES: Final = 10
SIZES: Final = (0, 100, 5000, 300_000, 1_300_000)
FLIPS_A_COPY: Final = 3
KILLS_A_ROUND: Final = 3
CALLS_AT_FIRST: Final = 150
SIGKILLED: Final = (-signal.SIGKILL, 128 + signal.SIGKILL)


def run(piece: Piece) -> Figures:
    """So many kills."""
    return _Trials(piece).run(piece.size)


class _Trials:
    def __init__(self, piece: Piece) -> None:
        self.disk = piece.folder / "disk"
        self.disk.mkdir()
        self.store = self.disk / "store"
        self.key = piece.folder / "key"
        self.zones = [self.disk / f"zone-{number}" for number in range(ZONES)]
        s3fs_local("init", self.store, *self._options())
        shutil.copy(self.store / "unlock.key", self.key)
        self.interposed = Interposed(piece.folder, self.disk)
        self.chance = random.Random(piece.seed)
        self.contents: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()
        self.at: Counter[str] = Counter()
        self.named = 0

    def _options(self) -> list[str]:
        return [word for zone in self.zones for word in ("--zone", str(zone))]

    def run(self, kills: int) -> Figures:
        """Rounds until there were so many."""
        kinds: Sequence[Callable[[], None]] = (self.repair, self.rebuild, self.rebuild_all)
        rounds = 0
        while self.at.total() < kills:
            trio.run(self.write)
            kinds[rounds % len(kinds)]()
            trio.run(self.compare)
            rounds += 1
        return {
            **{f"at {what}": count for what, count in sorted(self.at.items())},
            "rounds": rounds,
            "damaged pieces named": self.named,
            "lost": 0,
        }

    async def write(self) -> None:
        """Some files have other contents, and the old ones as versions."""
        async with opened(self.store) as disk:
            for _ in range(FILES // 2):
                name = f"{self.chance.randrange(FILES)}"
                self.contents[name] = self.chance.randbytes(self.chance.choice(SIZES))
                disk.write(name, self.contents[name])
            await disk.sync()

    async def read(self) -> None:
        """Every file is what it was: no only copy is gone. Raises Failed."""
        async with opened(self.store) as disk:
            for name, content in self.contents.items():
                if await disk.read(name) != content:
                    raise Failed(f"{name} is not what was written")

    async def compare(self) -> None:
        """And every version reads from each zone, as the ledger has it. Raises Failed."""
        await self.read()
        async with opened(self.store) as disk:
            verified = await disk.ask(Verify(reads_all=True))
            if not verified["Intact"]:
                raise Failed(str(verified["Discrepancies"]))

    def repair(self) -> None:
        """Of each pack one zone has a good copy, the others are full of flipped bits."""
        self.flip()
        told = s3fs_local("fsck", self.store, check=False)
        if told.returncode == 0 or "not repaired" not in told.stdout:
            raise Failed(f"the damage is not told: exit {told.returncode}\n{told.stdout}")
        self.named += told.stdout.count("damaged in ")
        self.killed("repair", "fsck", self.store, "--repair", each=self.read)

    def rebuild(self) -> None:
        """The database is gone, or rubbish."""
        for file in self.store.glob("metadata*"):
            if file.is_file():
                file.unlink() if self.chance.randrange(2) else file.write_bytes(b"rubbish")
        self.killed("rebuild", "fsck", self.store, "--rebuild")

    def rebuild_all(self) -> None:
        """The whole directory of the store is gone, but for the key somebody kept."""
        shutil.rmtree(self.store)
        opens = ("--key-file", self.key)
        self.killed("rebuild of all", *opens, "fsck", self.store, "--rebuild", *self._options())
        shutil.copy(self.key, self.store / "unlock.key")
        record = self.store / "store.json"
        record.write_text(record.read_text().replace('"key_file": ""', '"key_file": "unlock.key"'))

    def flip(self) -> None:
        """See `repair`."""
        names = {str(p.relative_to(zone)) for zone in self.zones for p in zone.glob("packs/*/*")}
        for name in sorted(names):
            copies = [zone / name for zone in self.zones if (zone / name).exists()]
            for copy in self.chance.sample(copies, len(copies) - 1):
                data = bytearray(copy.read_bytes())
                for _ in range(FLIPS_A_COPY):
                    data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
                copy.write_bytes(data)

    def killed(
        self, what: str, *words: str | Path, each: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """The command was killed up to three times, and then ended by itself. Raises Failed."""
        for _ in range(self.chance.randint(1, KILLS_A_ROUND)):
            self.interposed.kill(nth=self.chance.randrange(1, self.calls[what] or CALLS_AT_FIRST))
            done = self._command(*words)
            if done.returncode not in SIGKILLED:
                break
            self.at[what] += 1
            if each is not None:
                trio.run(each)
        self.interposed.let_be()
        done = self._command(*words)
        self.calls[what] = max(self.calls[what], self.interposed.all_calls())
        again = s3fs_local(*words[: words.index("fsck")], "fsck", self.store, check=False)
        if done.returncode or again.returncode or "damaged" in again.stdout:
            raise Failed(f"{what}:\n{done.stdout}{done.stderr}\n{again.stdout}{again.stderr}")

    def _command(self, *words: str | Path) -> Completed:
        environment = self.interposed.environment
        return run_program(*CAUTIOUSLY, *COMMAND, *words, check=False, environment=environment)
