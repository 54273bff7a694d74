"""A version is found by its name, however many others the name has, and as the listing shows it."""

import random  # noqa: TID251  a story to repeat by its seed
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from msgspec import structs

from s3fs_local.errors import NoSuchName
from s3fs_local.metadata.changes import Change, OpenEntry, PutInode, PutVersion
from s3fs_local.metadata.sqlite import SqliteMetadata
from s3fs_local.rules.inode import ROOT_INO, Inode
from s3fs_local.rules.names import version_file_name
from s3fs_local.rules.namespace import Ending, Entry
from s3fs_local.rules.versioning import Version
from tests.engine.eventful import live
from tests.engine.memory_store import ALICE, START_NS, MemoryStore
from tests.metadata.statements import steps

MILLISECOND_NS: Final = 10**6
Saving = Callable[[Inode, Version, int], list[Change]]


def saved_in_place(file: Inode, first: Version, count: int) -> list[Change]:
    """As a log is: one file, a thousand versions."""
    changes: list[Change] = [
        PutVersion(structs.replace(first, stamp_ns=at_ns)) for at_ns in stamps(count)
    ]
    return [OpenEntry(Entry(ROOT_INO, b"f", START_NS + 1, file.ino)), *changes]


def saved_by_renaming(file: Inode, first: Version, count: int) -> list[Change]:
    """As editors do: each version is another file, which took the name from the one before."""
    changes: list[Change] = []
    for ino, at_ns in enumerate(stamps(count), start=1000):
        until_ns = at_ns + MILLISECOND_NS
        changes += [
            PutInode(structs.replace(file, ino=ino)),
            PutVersion(structs.replace(first, ino=ino, stamp_ns=at_ns)),
            OpenEntry(Entry(ROOT_INO, b"f", at_ns + 10, ino, until_ns, Ending.REPLACED)),
        ]
    return changes


def stamps(count: int) -> list[int]:
    """One a millisecond."""
    return [START_NS + number * MILLISECOND_NS for number in range(2, count + 2)]


def costs_among(folder: Path, saving: Saving, count: int) -> list[int]:
    """What it costs to look up `.versions`, a name in it, a version of that, and the links."""
    with steps() as counted:
        metadata = SqliteMetadata.create(folder / f"{count}")
    store = MemoryStore(metadata=metadata)  # type: ignore[arg-type]  # one contract
    store.tick(60)
    store.write("/other", b"x")
    file = store.stat("/other")
    first = metadata.versions(file.ino)[0]
    metadata.apply(saving(file, first, count))
    ino = store.stat("/.versions/f").ino
    middle = version_file_name(stamps(count)[count // 2], first.salt, b"f")
    store.fs.lookup(ino, middle)
    costs = [
        counted.of(lambda: store.fs.lookup(ROOT_INO, b".versions")),
        counted.of(lambda: store.stat("/.versions/f")),
        *(
            counted.of(partial(store.fs.lookup, ino, name))
            for name in (middle, b"latest", b"previous")
        ),
    ]
    metadata.close()
    return costs


@pytest.mark.parametrize("saving", [saved_in_place, saved_by_renaming])
def test_a_lookup_costs_the_same_among_ten_thousand(tmp_path: Path, saving: Saving) -> None:
    """Who opens one old version of a busy file does not wait for the list of all."""
    few, many = (costs_among(tmp_path, saving, count) for count in (1000, 10_000))

    assert few == many
    assert all(few[1:])


@pytest.mark.parametrize("seed", range(20))
def test_what_is_found_by_name_is_what_is_listed(seed: int) -> None:
    """Whatever happened to the names: also `latest` and `previous`."""
    store = MemoryStore()
    live(store, random.Random(seed))  # noqa: S311  as above
    for name in ("/a", "/b", "/d/a", "/d/b"):
        directory, _, last = name.rpartition("/")
        try:
            folder = store.stat(f"{directory}/.versions/{last}").ino
        except NoSuchName:
            continue
        handle = store.fs.opendir(folder, ALICE)
        listed = {entry: inode for entry, inode, _ in store.fs.readdir(handle, 0)}
        for entry, inode in listed.items():
            assert store.fs.lookup(folder, entry) == inode, entry
        for missing in {b"latest", b"previous"} - set(listed):
            with pytest.raises(NoSuchName):
                store.fs.lookup(folder, missing)


def test_a_name_that_only_looks_like_a_version_is_none() -> None:
    """A wrong extension, another name's version, a time that never was."""
    store = MemoryStore()
    store.write("/f.txt", b"one")
    store.write("/g.txt", b"two")
    of_f, of_g = (store.listing(f"/.versions/{name}")[0] for name in ("f.txt", "g.txt"))
    folder = store.stat("/.versions/f.txt").ino
    for wrong in (
        of_g,
        of_f.replace(b".txt", b".pdf"),
        of_f.replace(b".txt", b""),
        of_f[:11] + b"99" + of_f[13:],
        of_f[:-5] + b"0.txt",
        b"2026-99-99T00-00-00.000Z~0000000.txt",
        b"~",
        b"latest.txt",
    ):
        with pytest.raises(NoSuchName):
            store.fs.lookup(folder, wrong)
    assert store.fs.lookup(folder, of_f).is_file
