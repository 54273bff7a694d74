"""A tree that was removed comes back as it was, whatever was done before, since, or elsewhere."""

from random import Random  # noqa: TID251 - with a seed, repeatable on purpose

import pytest

from s3fs_local import errors
from s3fs_local.control.requests import Undelete
from tests.control.test_commands_on_a_store import ask
from tests.engine.memory_store import MemoryStore

HISTORIES = 60
STEPS = 60
PAUSES_S = (0, 1, 5, 100)


class Household:
    """A store in which somebody keeps house, and the trees that were removed from it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - repeatable on purpose
        self.store = MemoryStore()
        # By path: when the removal began, and what was there.
        self.removed: dict[str, tuple[int, dict[str, bytes]]] = {}
        self.undeleted = 0

    def tree(self, top: str) -> dict[str, bytes]:
        """Contents by path, directories with a slash behind them."""
        found = {f"{top}/": b""}
        for name in self.store.listing(top or "/"):
            path = f"{top}/{name.decode()}"
            if self.store.stat(path).is_directory:
                found |= self.tree(path)
            else:
                found[path] = self.store.read(path)
        return found

    def step(self) -> None:
        """Something is done that may be done."""
        self.store.tick(self.random.choice(PAUSES_S))
        everything = list(self.tree(""))
        folders = [path[:-1] for path in everything if path.endswith("/")]
        files = [path for path in everything if not path.endswith("/")]
        doing = self.random.choice(
            [self.save, self.make, self.move, self.link, self.link, self.remove, self.remove_tree]
        )
        try:
            doing(folders, files)
        except (errors.S3fsLocalError, IndexError):
            return  # the place is taken, or there is nothing yet
        finally:
            self.undelete()

    def _place(self, folders: list[str], letter: str) -> str:
        return f"{self.random.choice(folders)}/{letter}{self.random.randrange(3)}"

    def save(self, folders: list[str], _: list[str]) -> None:
        """A file."""
        self.store.write(self._place(folders, "f"), b"%d" % self.random.randrange(10**6))

    def make(self, folders: list[str], _: list[str]) -> None:
        """A directory."""
        self.store.mkdir(self._place(folders, "d"))

    def move(self, folders: list[str], files: list[str]) -> None:
        """A file or a directory, over another or to a free name."""
        source = self.random.choice([*folders[1:], *files])
        self.store.rename(source, self._place(folders, "f" if source in files else "d"))

    def link(self, folders: list[str], files: list[str]) -> None:
        """One more name of a file."""
        self.store.link(self.random.choice(files), self._place(folders, "f"))

    def remove(self, _: list[str], files: list[str]) -> None:
        """A file."""
        self.store.remove(self.random.choice(files))

    def remove_tree(self, folders: list[str], _: list[str]) -> None:
        """As `rm -r` does; some time after what was done before."""
        top = self.random.choice(folders[1:])
        began_ns, there = self.store.tick(3600), self.tree(top)
        self.removed[top] = began_ns, there
        for path in sorted(there, key=lambda path: path.rstrip("/"), reverse=True):
            self.store.remove(path.rstrip("/"))

    def undelete(self) -> None:
        """Now and then, one that can be put where it was."""
        top = self.random.choice([*self.removed, *[""] * 3])
        if not top or f"{top.rpartition('/')[0]}/" not in self.tree(""):
            return
        began_ns, wanted = self.removed.pop(top)
        if self.store.exists(top) or not self._was_last(top, began_ns):
            return
        ask(self.store, Undelete(top.strip("/").encode()))
        self.undeleted += 1
        assert self.tree(top) == wanted

    def _was_last(self, top: str, began_ns: int) -> bool:
        """Whether the name meant that last, here: a directory that moves takes it along."""
        history = self.store.fs.histories.of_name(*self.store.place(top))
        meant = [interval for interval in history.intervals if not interval.is_marker]
        return bool(meant) and meant[-1].was_removed and meant[-1].to_ns >= began_ns


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_removed_tree_comes_back_as_it_was(seed: int) -> None:
    """Links into it and out of it, moves, earlier removals, a name that was used again."""
    household = Household(seed)
    for _ in range(STEPS):
        household.step()
    assert household.undeleted
