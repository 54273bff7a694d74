"""A machine as a reader has it before the first line of a page, and a shell on it.

Commands have a terminal, so they print what a person sees, and ask.

It is this machine, seen from namespaces of its own: /home, /srv, /mnt and /media are empty, what is
written to /etc, /root, /usr/sbin and /var is gone afterwards, and there are no other processes.
When the first process ends, the kernel ends all others, and neither mount nor daemon is left.

Or it is another machine: S3FS_LOCAL_TEST_MACHINE names the root directory of a system on which the
package is installed (scripts/package-test makes one). Nothing of the project is in there then, and
nothing that a page does there is left in the directory.
"""

import os
import pty
import re
import select
import shlex
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.docs.comparing import Comparison
from tests.docs.pages import Command, File, Step
from tests.mounting import CAUTIOUSLY, let_go_of_mounts

NAMESPACES: Final = (
    "unshare",
    "--mount",
    "--propagation=slave",  # what is unmounted outside is not kept alive in here
    "--pid",
    "--fork",
    "--mount-proc",
    "--kill-child",
)
OTHER_MACHINE: Final = "S3FS_LOCAL_TEST_MACHINE"
HOME: Final = "/home/ada"
_EMPTY: Final = ("/home", "/srv", "/mnt", "/media", "/run")
_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108  a mount point
"""faketime names what it shares by its process id, which other worlds have, too."""
_WRITABLE: Final = ("/etc", "/usr/sbin", "/root", "/var")
_LAYERS: Final = "/run/layers"
_HELPERS: Final = {
    "mount.s3fs_local": "mount.s3fs_local",
    "mount.fuse.s3fs_local": "mount.s3fs_local",
    "umount.s3fs_local": "umount.s3fs_local",
    "umount.fuse.s3fs_local": "umount.s3fs_local",
}
_PROGRAMS: Final = Path(sys.executable).parent
_PATH: Final = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
_WIDTH: Final = 120
_ENDED: Final = re.compile(r"\x01(\d+)\x02")
"""What the shell prints when a step is done: the worst exit code in it."""
_PAINT: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r(?=\n)")
"""Colours, and what a terminal adds to the ends of lines."""
_SILENCE_SECONDS_MAX: Final = 120  # of a command
_ASKS: Final = re.compile(r"[:?\]] ?$")


class PageIsWrong(AssertionError):
    """A command of a page did not do what the page says."""


def _this_machine() -> str:
    """Shell lines that make this machine a fresh one, with the program installed."""
    lines = [
        "set -e",
        let_go_of_mounts(),
        *(f"mount -t tmpfs tmpfs {folder}" for folder in (_SHARED_MEMORY, *_EMPTY)),
    ]
    for folder in _WRITABLE:
        layer = _LAYERS + folder
        layers = f"lowerdir={folder},upperdir={layer}/upper,workdir={layer}/work"
        lines.append(f"mkdir -p {layer}/upper {layer}/work")
        lines.append(f"mount -t overlay overlay -o {layers} {folder}")
    lines += [f"ln -s {_PROGRAMS / to} /usr/sbin/{name}" for name, to in _HELPERS.items()]
    return "\n".join([*lines, f"mkdir -p {HOME} /run/mount", f"cd {HOME}", "set +e"])


def _other_machine(root: Path, folder: Path, script: int) -> str:
    """Shell lines that go over to a copy of the machine in `root`, which is gone afterwards.

    `folder` is there too; the lines that follow in the script are read by the shell over there.
    """
    there = f"{_LAYERS}/root"
    upper = f"lowerdir={shlex.quote(str(root))},upperdir={_LAYERS}/upper,workdir={_LAYERS}/work"
    way = shlex.quote(f"{there}{folder}")
    return "\n".join(
        [
            "set -e",
            let_go_of_mounts(),
            "mount -t tmpfs tmpfs /run",
            f"mkdir -p {there} {_LAYERS}/upper {_LAYERS}/work",
            f"mount -t overlay overlay -o {upper} {there}",
            f"mkdir -p {way}",
            f"mount --bind {shlex.quote(str(folder))} {way}",
            f"mount --rbind /dev {there}/dev",
            f"mount -t tmpfs tmpfs {there}{_SHARED_MEMORY}",
            f"mount -t proc proc {there}/proc",
            *(f"mount -t tmpfs tmpfs {there}{empty}" for empty in _EMPTY),
            f"mkdir -p {there}{HOME} {there}/run/mount",
            f"exec chroot {there} /usr/bin/env -C {HOME} bash /dev/fd/{script}",
        ]
    )


def can_be_made() -> bool:
    """Whether this user may make such a machine here."""
    return (
        subprocess.run(
            [*NAMESPACES, "bash", "-c", _this_machine()], capture_output=True, check=False
        ).returncode
        == 0
    )


def other_machine() -> Path | None:
    """The root of the machine on which the package is installed; None: this machine is used."""
    root = os.environ.get(OTHER_MACHINE)
    return None if root is None else Path(root)


class Session:
    """A shell on a fresh machine, which goes from step to step of one page."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        """Boots it; `folder` is for what goes to and fro."""
        machine = other_machine()
        programs = [str(_PROGRAMS)] if machine is None else []
        self._lines = folder / "lines"
        self._comparison = Comparison()
        self.transcript = ""  # what was typed and printed so far
        self._screen, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, (40, _WIDTH))
        script, self._script = os.pipe()
        self._shell = subprocess.Popen(
            [*CAUTIOUSLY, "setsid", "--ctty", *NAMESPACES, "bash", f"/dev/fd/{script}"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            pass_fds=[script],
            env={
                "HOME": HOME,
                "PATH": ":".join([*programs, *_PATH]),
                "LANG": "C.UTF-8",
                "COLUMNS": str(_WIDTH),
                "TERM": "dumb",
                **environment,
            },
        )
        os.close(terminal)
        os.close(script)
        if machine is None:
            self._run(_this_machine())
        else:
            os.write(self._script, f"{_other_machine(machine, folder, script)}\n".encode())
            self._run("cd")

    def close(self) -> None:
        """The machine is gone, with all that ran on it."""
        self._shell.kill()
        self._shell.wait()

    @property
    def is_over(self) -> bool:
        """Whether nothing can be done here any more."""
        return self._shell.poll() is not None

    def do(self, step: Step) -> None:
        """Does what the page says.

        Raises:
            PageIsWrong: a command failed, or did not print what the page shows.
        """
        if isinstance(step, File):
            text = self._comparison.translated(step.text)
            self._run(f"mkdir -p $(dirname {step.path}); cat >{step.path} <<'END'\n{text}END")
            return
        command = self._comparison.translated(step.text)
        code, printed = self._run(command, (step.types or "").splitlines())
        self.transcript += f"$ {command}\n{printed}"
        wrong = self._what_is_wrong(step, code, printed)
        if wrong:
            raise PageIsWrong(f"line {step.line}: {wrong}\n$ {command}\n{printed}[exit {code}]")

    def _what_is_wrong(self, step: Command, code: int, printed: str) -> str:
        if step.shown is None:
            return "it fails" if code else ""
        # Where output is shown it is the judge, for a page may show how something is refused.
        differs = self._comparison.differs(
            shown=step.shown, printed=printed, numbers_vary=step.numbers_vary
        )
        return f"it does not print\n{step.shown}\nbut" if differs else ""

    def _run(self, command: str, answers: Sequence[str] = ()) -> tuple[int, str]:
        """(exit code, all that was printed) of shell lines, which may change the shell itself."""
        self._lines.write_text(command)
        # A script of several lines fails with any of them; the trap sees them all.
        step = (
            "failed=0; trap 'failed=$?' ERR\n"
            f'eval "$(cat {self._lines})"\n'
            "trap - ERR; printf '\\001%s\\002' $failed\n"
        )
        os.write(self._script, step.encode())
        typed, screen, answered = list(answers), "", 0
        while (ended := _ENDED.search(screen)) is None:
            screen += self._more()
            if typed and _ASKS.search(screen, answered):
                answered = len(screen)
                os.write(self._screen, f"{typed.pop(0)}\n".encode())
        return int(ended[1]), _PAINT.sub("", screen[: ended.start()])

    def _more(self) -> str:
        if not select.select([self._screen], [], [], _SILENCE_SECONDS_MAX)[0]:
            self.close()
            raise PageIsWrong("it waits for something that nobody types, or hangs")
        try:
            return os.read(self._screen, 1 << 16).decode(errors="replace")
        except OSError as error:  # the last process that had the terminal is gone
            raise PageIsWrong("the shell ended") from error
