"""The long run of the random attacker: see `scripts/attack`."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.scenarios.mounted_attacker import attack_mount
from tests.simulation.attacker import Broken, attack


def main() -> int:
    """The exit code: 1 if a lock did not hold."""
    parser = argparse.ArgumentParser(prog="scripts/attack")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mount", action="store_true")
    chosen = parser.parse_args()
    try:
        if chosen.mount:
            with tempfile.TemporaryDirectory(prefix="attack-") as base:
                tried, refused = attack_mount(chosen.steps, chosen.seed, Path(base))
        else:
            tried, refused = attack(chosen.steps, chosen.seed)
    except Broken as broken:
        sys.stdout.write(f"BROKEN: {broken}\n")
        return 1
    sys.stdout.write(
        f"seed {chosen.seed}: {sum(tried.values())} steps of {len(tried)} kinds,"
        f" {sum(refused.values())} refused; every lock held\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
