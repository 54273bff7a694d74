"""A store in memory, and a small language to work with it."""

from collections.abc import Iterator

import pytest

from tests.engine.memory_store import MemoryStore


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    """A new, open store."""
    yield MemoryStore()
