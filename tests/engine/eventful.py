"""A story by chance: a few names and all that can happen to them."""

import random  # noqa: TID251  a story to repeat by its seed

from tests.engine.memory_store import ALICE, MemoryStore


def live(store: MemoryStore, randomness: random.Random) -> None:
    """Somebody saves, removes, moves and links a few names for a while."""
    names = ("/a", "/b", "/d/a", "/d/b")
    store.mkdir("/d")
    for number in range(60):
        name, other = randomness.sample(names, 2)
        store.tick(randomness.choice((0, 1)))
        match randomness.choice(("write", "write", "rename", "link", "remove", "directory")):
            case "write" if not store.exists(name) or store.stat(name).is_file:
                store.write(name, b"%d" % number)
            case "rename" if store.exists(name) and not store.exists(other):
                store.rename(name, other)
            case "rename" if store.exists(name) and store.stat(name).is_file:
                if store.stat(other).is_file:
                    store.rename(name, other)
            case "link" if store.exists(name) and not store.exists(other):
                if store.stat(name).is_file:
                    store.fs.link(store.stat(name).ino, *store.place(other), ALICE)
            case "remove" if store.exists(name):
                store.remove(name)
            case "directory" if not store.exists(name):
                store.mkdir(name)
            case _:
                pass
