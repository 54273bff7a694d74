"""The metadata engine on SQLite: one file, one connection, no server."""

from s3fs_local.metadata.sqlite.engine import SqliteMetadata

__all__ = ["SqliteMetadata"]
