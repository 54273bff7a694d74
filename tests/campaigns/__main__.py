"""Runs lines of the scorecard: see `scripts/campaign`."""

import argparse
import logging
import secrets
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.campaigns.line import Failed, Line, Piece, added, printed
from tests.campaigns.lines import LINES
from tests.campaigns.progress import Done, Progress


def say(words: str) -> None:
    """To whoever watches."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def run_line(line: Line, *, seed: int, size: int, progress: Progress, base: Path) -> bool:
    """Whether the line holds. Piece by piece: the n-th has the seed n greater."""
    lacking = line.lacks()
    if lacking:
        say(f"{line.name}: not run, this machine lacks {lacking}")
        return True
    done = progress.of(line.name, seed, size)
    started = time.monotonic()
    while done.size < size:
        piece = Piece(seed + done.size // line.piece, min(line.piece, size - done.size), base)
        base.mkdir()
        try:
            figures = line.run(piece)
        except Exception as failure:  # noqa: BLE001 - one line that breaks must not hide the others
            words = str(failure) if isinstance(failure, Failed) else traceback.format_exc()
            say(f"{line.name}: FAILED after {done.size} {line.counts}: {line.promise}\n{words}")
            say(f"again: scripts/campaign {line.name} --seed {piece.seed} --size {piece.size}")
            return False
        finally:
            shutil.rmtree(base, ignore_errors=True)
        done = Done(done.size + piece.size, added(done.figures, figures))
        progress.keep(line.name, seed, size, done)
    seconds = time.monotonic() - started
    figures_words = f": {printed(done.figures)}" if done.figures else ""
    say(f"{line.name}: {done.size:,} {line.counts}{figures_words} (seed {seed}, {seconds:.0f} s)")
    return True


def parsed(words: list[str]) -> argparse.Namespace:
    """What was asked for."""
    names = "\n".join(f"  {line.name:14} {line.promise}" for line in LINES.values())
    parser = argparse.ArgumentParser(
        prog="scripts/campaign",
        description=f"Attacks the promises of this filesystem, line by line:\n\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=[*LINES, "all"], metavar="NAME", help="a line, or all")
    parser.add_argument("--seed", type=int, metavar="N", help="decides every choice")
    parser.add_argument("--size", type=int, metavar="N", help="how much of it")
    parser.add_argument("--short", action="store_true", help="a minute or less each (the default)")
    parser.add_argument("--long", action="store_true", help="hours")
    parser.add_argument("--state", type=Path, metavar="FILE", help="goes on where FILE says")
    parser.add_argument("--folder", type=Path, help="where to work; the system's temporary folder")
    return parser.parse_args(words)


def main() -> None:
    """Runs, and tells; the exit code is 1 if a promise did not hold."""
    options = parsed(sys.argv[1:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing stays mounted
    logging.disable(logging.CRITICAL)  # zones that are harmed on purpose
    seed = secrets.randbelow(1 << 24) if options.seed is None else options.seed
    progress = Progress(options.state)
    failed = []
    for line in LINES.values() if options.name == "all" else [LINES[options.name]]:
        size = options.size or (line.long if options.long else line.short)
        with tempfile.TemporaryDirectory(
            prefix=f"s3fs-local-{line.name}-", dir=options.folder, ignore_cleanup_errors=True
        ) as top:
            Path(top).chmod(0o755)
            base = Path(top) / "piece"
            if not run_line(line, seed=seed, size=size, progress=progress, base=base):
                failed.append(line.name)
    if failed:
        say(f"failed: {' '.join(failed)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
