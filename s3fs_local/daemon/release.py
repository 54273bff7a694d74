"""Which release of the program is installed: a daemon may go on for years with an earlier one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import s3fs_local
from s3fs_local.rules.findings import Finding, Severity


def installed_release(folder: Path | None = None) -> str:
    """By the name of the folder that installers put beside the package; "" where there is none."""
    beside = folder or Path(s3fs_local.__file__).parent.parent
    names = sorted(path.name for path in beside.glob("s3fs_local-*.dist-info"))
    return names[-1].removeprefix("s3fs_local-").removesuffix(".dist-info") if names else ""


RUNNING: Final = installed_release()
"""What this process was started from."""


def inspect_release(running: str, installed: str) -> Iterator[Finding]:
    """What there is to say where the program was exchanged under a running daemon."""
    if installed not in {"", running}:
        sentence = f"it runs with release {running}; {installed} is installed now"
        advice = "Unmount it and mount it again when it suits; until then it goes on as it is."
        yield Finding(Severity.NOTICE, "release", sentence, advice)
