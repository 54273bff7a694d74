"""A directory that works like a disk and forgets nothing."""
