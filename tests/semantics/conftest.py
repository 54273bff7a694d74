"""Stores to hold the promises against: in memory, and a real mount for what the kernel does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.memory_store import MemoryStore
from tests.mounting import MountedStore, s3fs_local


@pytest.fixture
def store() -> MemoryStore:
    """A new store in memory, with Object Lock."""
    return MemoryStore(object_lock="true")


@pytest.fixture(scope="session")
def shared_mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MountedStore]:
    """One mounted store for all promises that only the kernel can keep."""
    folder = tmp_path_factory.mktemp("semantics")
    s3fs_local("init", folder / "store", "--object-lock")
    (folder / "mount").mkdir()
    mounted = MountedStore(folder / "store", folder / "mount")
    try:
        mounted.mount()
        yield mounted
    finally:
        mounted.clean_up()


@pytest.fixture
def folder(shared_mount: MountedStore, request: pytest.FixtureRequest) -> Path:
    """A directory of the test's own in the mounted store."""
    path: Path = shared_mount.path / request.node.name
    path.mkdir()
    return path
