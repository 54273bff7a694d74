"""What opens a store's key ring."""

from pathlib import Path

from msgspec import Struct


class Unlocking(Struct, frozen=True):
    """One of the two; neither = the key file that `store.json` names."""

    passphrase: str | None = None
    key_file: Path | None = None
