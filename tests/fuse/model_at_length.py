"""The long run of the model test: see `scripts/model-test`."""

import argparse
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky

from tests.fuse.model import SEQUENCES, Kind, Step
from tests.fuse.model_comparison import MOUNT_OPTIONS, Difference, Grounds
from tests.mounting import MountedStore, s3fs_local

ROUND: Final = 250
"""So many sequences between two remounts, after which all are compared again."""


def say(words: str) -> None:
    """To whoever watches."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


@contextmanager
def grounds_in(base: Path) -> Iterator[Grounds]:
    """A new store, mounted, and a directory beside it; afterwards nothing is mounted."""
    (base / "mount").mkdir()
    (base / "disk").mkdir()
    s3fs_local("init", base / "store")
    mounted = MountedStore(base / "store", base / "mount", MOUNT_OPTIONS)
    try:
        mounted.mount()
        yield Grounds(mounted.path, base / "disk", remount=mounted.remount)
    finally:
        mounted.clean_up()


def run_round(grounds: Grounds, count: int, chosen: int) -> Counter[Kind]:
    """So many sequences; how many calls of each kind they came to. Raises at a difference."""
    calls: Counter[Kind] = Counter()

    @seed(chosen)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(SEQUENCES)
    def sides_agree(steps: list[Step]) -> None:
        calls.update(call.kind for call in grounds.attempt(steps))

    try:
        sides_agree()
    except (Difference, Flaky):
        raise grounds.shortest() from None
    grounds.compare_after_remount()
    return calls


def main() -> None:
    """Runs, and tells."""
    parser = argparse.ArgumentParser(prog="scripts/model-test", description=__doc__)
    parser.add_argument("--sequences", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), metavar="S")
    parser.add_argument("--folder", type=Path, help="where to work; the system's temporary folder")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing stays mounted
    say(f"seed {options.seed}")
    calls: Counter[Kind] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="s3fs-local-model-", dir=options.folder) as base,
        grounds_in(Path(base)) as grounds,
    ):
        for start in range(0, options.sequences, ROUND):
            count = min(ROUND, options.sequences - start)
            try:
                calls += run_round(grounds, count, options.seed + start)
            except Difference as difference:
                say(f"between sequences {start} and {start + count}, the shortest that differs:")
                say(str(difference))
                sys.exit(1)
            say(
                f"{start + count} sequences, {calls.total()} calls of {len(calls)} kinds, "
                "without a difference"
            )


if __name__ == "__main__":
    main()
