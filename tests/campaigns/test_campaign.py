"""The campaign itself: it can be ended and goes on, and a failure tells how to have it again."""

import re
from pathlib import Path

import pytest

from tests.campaigns.__main__ import run_line
from tests.campaigns.line import Failed, Figures, Line, Piece
from tests.campaigns.lines import LINES
from tests.campaigns.progress import Progress
from tests.campaigns.soak import Use, figures_of


class Recorder:
    """A line that notes its pieces, and fails at one seed."""

    def __init__(self, failing_seed: int = -1) -> None:
        self.pieces: list[tuple[int, int]] = []
        self.failing_seed = failing_seed
        self.line = Line("recorder", "pieces are noted", "things", 5, 50, 2, self.run)

    def run(self, piece: Piece) -> Figures:
        """Notes it."""
        assert not list(piece.folder.iterdir())
        (piece.folder / "rubbish").touch()
        if piece.seed == self.failing_seed:
            raise Failed("the shortest case")
        self.pieces.append((piece.seed, piece.size))
        return {"sum": piece.size, "most seed": piece.seed}


def test_pieces_have_seeds_of_their_own_and_figures_add_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So any piece can be run again alone."""
    recorder = Recorder()
    holds = run_line(
        recorder.line, seed=7, size=5, progress=Progress(None), base=tmp_path / "piece"
    )

    assert holds
    assert recorder.pieces == [(7, 2), (8, 2), (9, 1)]
    assert capsys.readouterr().out.startswith("recorder: 5 things: sum 5, most seed 9 (seed 7, ")


def test_a_run_that_was_ended_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hours of work must not be lost with a terminal."""
    state, base = tmp_path / "state", tmp_path / "piece"
    first, second = Recorder(failing_seed=9), Recorder()
    assert not run_line(first.line, seed=7, size=5, progress=Progress(state), base=base)
    said = capsys.readouterr().out
    assert run_line(second.line, seed=7, size=5, progress=Progress(state), base=base)

    assert "again: scripts/campaign recorder --seed 9 --size 1" in said
    assert "the shortest case" in said
    assert second.pieces == [(9, 1)]
    assert "5 things: sum 5, most seed 9" in capsys.readouterr().out


def test_another_seed_begins_anew(tmp_path: Path) -> None:
    """Figures of two runs must not be mixed."""
    state, base = tmp_path / "state", tmp_path / "piece"
    recorder = Recorder()
    for seed in (1, 2, 1):
        run_line(recorder.line, seed=seed, size=1, progress=Progress(state), base=base)

    assert recorder.pieces == [(1, 1), (2, 1)]


def test_what_a_machine_lacks_is_said_and_is_no_success_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that was not run must not look as if it had been."""
    line = Recorder().line._replace(lacks=lambda: "a moon")
    run_line(line, seed=1, size=1, progress=Progress(None), base=tmp_path / "piece")

    assert capsys.readouterr().out == "recorder: not run, this machine lacks a moon\n"


@pytest.mark.parametrize("what", ["resident_kib", "descriptors", "disk_kib", "logs_kib"])
def test_a_soak_that_needs_ever_more_fails(what: str) -> None:
    """A leak of a few KiB a minute is found in what hours of work came to, not in one round."""
    calm = [
        Use(70_000 + number % 7 * 900, 30 + number % 3, 9000, number, 500) for number in range(80)
    ]
    assert figures_of(calm)["most KiB more on the disk"] == 0
    leaking = [
        use._replace(**{what: getattr(use, what) + number * 3000})
        for number, use in enumerate(calm)
    ]
    with pytest.raises(Failed, match="more; round by round"):
        figures_of(leaking)


def test_the_page_shows_every_line_and_no_other() -> None:
    """A promise without a figure, or a figure without a command, would be only words."""
    page = (Path(__file__).parents[2] / "docs/reliability.md").read_text()
    shown = re.findall(r"`scripts/campaign ([\w-]+)[^`]*`", page)

    assert set(shown) == set(LINES)
    for name in LINES:
        assert f"**{name}**" in page
