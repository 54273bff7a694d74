"""A store in memory, and a small language to work with it."""

import pytest

from tests.engine.memory_store import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    """A new, open store."""
    return MemoryStore()


@pytest.fixture
def store_with_locks() -> MemoryStore:
    """A new, open store with Object Lock."""
    return MemoryStore(object_lock="true")
