"""The mounts that we are compared with, each as its manual says, without tuning."""

import re
import shutil
import sys
from pathlib import Path
from typing import ClassVar, Final

from tests.bench.place import NATIVE, Place, run

__all__ = ["PEERS", "Bindfs", "Gocryptfs", "JuiceFS", "JuiceFSWriteback", "Native", "Rclone"]


class Native(Place):
    """A directory of the filesystem below all the others: the limit, not a peer."""

    name: ClassVar[str] = NATIVE


class Bindfs(Place):
    """Passes everything through, in C: what FUSE itself costs."""

    name: ClassVar[str] = "bindfs"
    program: ClassVar[str] = "bindfs"

    @classmethod
    def version(cls) -> str:
        """See `Place.version`."""
        return _number(run("bindfs", "--version"))

    def make(self) -> None:
        """See `Place.make`."""
        super().make()
        (self.base / "behind").mkdir()

    def mount(self) -> None:
        """See `Place.mount`."""
        behind = self.base / "behind"
        run("bindfs", "--no-allow-other", behind, self.path, environment=self.environment)


class Gocryptfs(Place):
    """Encrypts, in Go; no versions."""

    name: ClassVar[str] = "gocryptfs"
    program: ClassVar[str] = "gocryptfs"

    @classmethod
    def version(cls) -> str:
        """See `Place.version`."""
        return _number(run("gocryptfs", "--version"))

    def make(self) -> None:
        """See `Place.make`."""
        super().make()
        (self.base / "cipher").mkdir()
        (self.base / "password").write_text("measured\n")
        run("gocryptfs", "-init", *self._words(), "-scryptn=10", self.base / "cipher")

    def mount(self) -> None:
        """See `Place.mount`."""
        run(
            "gocryptfs",
            *self._words(),
            self.base / "cipher",
            self.path,
            environment=self.environment,
        )

    def _words(self) -> tuple[str, ...]:
        return ("-q", "-passfile", str(self.base / "password"))


class Rclone(Place):
    """A mount of a cloud's objects, here of a directory, with its full cache."""

    name: ClassVar[str] = "rclone"
    program: ClassVar[str] = "rclone"

    @classmethod
    def version(cls) -> str:
        """See `Place.version`."""
        return _number(run("rclone", "version"))

    def make(self) -> None:
        """See `Place.make`."""
        super().make()
        (self.base / "remote").mkdir()
        (self.base / "rclone.conf").touch()

    def mount(self) -> None:
        """See `Place.mount`."""
        run(
            *("rclone", "mount", self.base / "remote", self.path),
            *("--vfs-cache-mode", "full", "--cache-dir", self.base / "cache", "--daemon"),
            *("--config", self.base / "rclone.conf", "--log-file", self.base / "log"),
            environment=self.environment,
        )


class JuiceFS(Place):
    """A filesystem over an object store: here SQLite and a directory."""

    name: ClassVar[str] = "juicefs"
    program: ClassVar[str] = "juicefs"
    options: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def found(cls) -> str | None:
        """See `Place.found`: of the PATH, or beside our own Python."""
        beside = Path(sys.executable).parent / cls.program
        return shutil.which(cls.program) or (str(beside) if beside.exists() else None)

    @classmethod
    def version(cls) -> str:
        """See `Place.version`."""
        return _number(run(cls.found() or cls.program, "version"))

    @property
    def _facts(self) -> str:
        return f"sqlite3://{self.base / 'facts.db'}"

    def make(self) -> None:
        """See `Place.make`."""
        super().make()
        program = self.found() or self.program
        bucket = f"{self.base / 'objects'}/"
        run(program, "format", "--storage=file", f"--bucket={bucket}", self._facts, "measured")

    def mount(self) -> None:
        """See `Place.mount`."""
        program = self.found() or self.program
        run(
            *(program, "mount", "-d", "--no-usage-report", *self.options),
            *(f"--cache-dir={self.base / 'cache'}", f"--log={self.base / 'log'}"),
            *(self._facts, self.path),
            environment=self.environment,
        )


class JuiceFSWriteback(JuiceFS):
    """The same, with objects uploaded later."""

    name: ClassVar[str] = "juicefs --writeback"
    options: ClassVar[tuple[str, ...]] = ("--writeback",)


PEERS: Final[tuple[type[Place], ...]] = (
    *(Native, Bindfs, Gocryptfs, Rclone),
    *(JuiceFS, JuiceFSWriteback),
)


def _number(text: str) -> str:
    found = re.search(r"\d+(?:\.\d+)+", text)
    return found.group() if found else text.strip()
