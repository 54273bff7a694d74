"""How far a campaign has come, in a file: a run of hours survives the end of its process."""

import json
from pathlib import Path
from typing import NamedTuple

from tests.campaigns.line import Figures


class Done(NamedTuple):
    """So much of a line is done, and this is what they came to."""

    size: int
    figures: Figures


class Progress:
    """Kept in a file, if one is named; a line goes on only with the seed and size it began with."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lines: dict[str, Done] = {}
        if file is not None and file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
            self._lines = {key: Done(*value) for key, value in kept.items()}

    def of(self, name: str, seed: int, size: int) -> Done:
        """What is done of the line."""
        return self._lines.get(_key(name, seed, size), Done(0, {}))

    def keep(self, name: str, seed: int, size: int, done: Done) -> None:
        """So much of the line is done."""
        self._lines[_key(name, seed, size)] = done
        if self._file is not None:
            new = self._file.with_name(f".{self._file.name}.tmp")
            new.write_text(json.dumps(self._lines), encoding="utf-8")
            new.replace(self._file)


def _key(name: str, seed: int, size: int) -> str:
    return f"{name} --seed {seed} --size {size}"
