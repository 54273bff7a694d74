"""A mount that nobody uses: how often its daemon wakes, and how much it computes."""

import os
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from tests.campaigns.line import Failed, Figures, Piece
from tests.mounting import MountedStore, processes_marked, s3fs_local

SETTLES_S: Final = 25
"""What was written is settled, and threads that were needed for it have ended."""
WAKE_UPS_MAX: Final = 1.0
"""A second. A task that looks every second by itself would be seen; chance does not reach it."""
CPU_MS_MAX: Final = 60.0
"""A minute: a thousandth of one core."""


def use_of(process: int) -> tuple[int, float]:
    """How often its threads went to sleep by themselves, and its milliseconds of computing.

    The scheduler counts nanoseconds, so a wake-up is seen that ticks would miss.
    """
    slept, computed_ns = 0, 0
    for thread in Path(f"/proc/{process}/task").iterdir():
        status = (thread / "status").read_text().splitlines()
        slept += next(int(line.split()[1]) for line in status if line.startswith("voluntary"))
        computed_ns += int((thread / "schedstat").read_text().split()[0])
    return slept, computed_ns / 1_000_000


def measure(process: int, seconds: int) -> tuple[float, float]:
    """Wake-ups a second and milliseconds of computing a minute, over so many seconds."""
    slept, computed_ms = use_of(process)
    before = monotonic()
    sleep(seconds)
    took_s = monotonic() - before
    slept_after, computed_after_ms = use_of(process)
    # A thread that has ended took its counts along; that is never to the benefit of the line by
    # more than what the thread did before.
    wake_ups = max(slept_after - slept, 0) / took_s
    return wake_ups, max(computed_after_ms - computed_ms, 0) * 60 / took_s


def run(piece: Piece) -> Figures:
    """Idle for so many seconds, with one zone and with three."""
    figures: dict[str, float] = {}
    for zones in (1, 3):
        folder = piece.folder / str(zones)
        (folder / "mount").mkdir(parents=True)
        urls = [str(folder / f"zone{number}") for number in range(zones)]
        named = [word for url in urls for word in ("--zone", url)] if zones > 1 else []
        s3fs_local("init", folder / "store", *named)
        mount = MountedStore(folder / "store", folder / "mount")
        try:
            mount.mount()
            for number in range(20):
                (mount.path / str(number)).write_bytes(os.urandom(50_000))
            sleep(SETTLES_S)
            (process,) = processes_marked(mount.path)
            wake_ups, computed_ms = measure(process, piece.size)
        finally:
            mount.clean_up()
        if wake_ups > WAKE_UPS_MAX or computed_ms > CPU_MS_MAX:
            raise Failed(
                f"with {zones} zones {wake_ups:.2f} wake-ups/s and {computed_ms:.1f} ms CPU/min"
            )
        noun = "one zone" if zones == 1 else f"{zones} zones"
        figures[f"most wake-ups/s with {noun}"] = wake_ups
        figures[f"most ms CPU/min with {noun}"] = computed_ms
    return figures
