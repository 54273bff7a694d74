"""A real backend of the `keyring` library that keeps its passwords in a file of the test's."""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend

FILE_VARIABLE = "S3FS_LOCAL_TEST_KEYRING"


class FileKeyring(KeyringBackend):
    """As the keyring of a desktop, without a desktop."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def _path(self) -> Path:
        return Path(os.environ[FILE_VARIABLE])

    def _all(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        found: dict[str, str] = json.loads(self._path.read_text())
        return found

    def get_password(self, service: str, username: str) -> str | None:
        """The password, if there is one."""
        return self._all().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """The keyring has the password."""
        new = self._path.with_suffix(".new")  # as a real one: a killed writer loses nothing
        new.write_text(json.dumps(self._all() | {f"{service}/{username}": password}))
        new.replace(self._path)
