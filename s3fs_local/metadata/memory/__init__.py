"""The metadata engine in memory: for tests and simulations, and as a second reading."""

from s3fs_local.metadata.memory.engine import MemoryMetadata

__all__ = ["MemoryMetadata"]
