"""The measuring itself: a row runs, a peer that is missing is named, and nothing is left mounted.

How fast anything is, is not asked here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from tests.bench.__main__ import LAST_RUN, PAGE, main, parsed, peers_called, rows_by_group, sizes_of
from tests.bench.all_groups import GROUPS, chosen
from tests.bench.groups import small_files, syncing
from tests.bench.machine import split_by_found, this_machine
from tests.bench.ours import Ours
from tests.bench.page import BEGIN, END, with_section
from tests.bench.peers import PEERS, Native
from tests.bench.place import NATIVE, OURS, Measured, PeerFailed, Place, opened, run
from tests.bench.report import FORMAT, Figure, Found, Report, RowReport, verdicts
from tests.bench.row import FASTEST, Goal, Group, Row, Unit
from tests.bench.running import Plan, run_group
from tests.bench.sizes import QUICK, Sizes, with_sizes
from tests.bench.table import costs, markdown, plain
from tests.mounting import mounts_below, processes_marked

ROW = Row("row", "some work", Unit.MICROSECONDS, (Goal(0.5, "gocryptfs"),))
TINY = QUICK._replace(files=3, appends=2, transactions=2)


def nothing(_: str) -> None:
    """Nobody watches."""


def plan(folder: Path, *peers: type[Place], rounds: int = 1) -> Plan:
    """A small run."""
    return Plan(peers=peers, sizes=TINY, rounds=rounds, folder=folder)


def report_of(rows: list[RowReport], missing: dict[str, str] | None = None) -> Report:
    """A report of these rows."""
    return Report(
        format=FORMAT,
        started="2026-11-29T02:00:00+00:00",
        seconds=1.0,
        commit="abc",
        rounds=1,
        first=False,
        sizes=TINY._asdict(),
        machine=this_machine(Path.cwd()),
        versions={NATIVE: "6"},
        missing=missing or {},
        rows=rows,
    )


def words_of(row: Row, **figures: float) -> list[bool | None]:
    """Which goals of the row are met by these medians."""
    by_place = {place: [Figure(value)] for place, value in figures.items()}
    return [verdict.met for verdict in verdicts(row, by_place, "ours")]


def test_a_row_runs_in_a_plain_directory(tmp_path: Path) -> None:
    """Every figure of every round is kept, so that others can judge the spread.

    No goal names the plain directory, so it takes part in half of the rounds.
    """
    rows = run_group(small_files.GROUP, plan(tmp_path, Native, rounds=4), nothing)

    assert [row.name for row in rows] == [row.name for row in small_files.GROUP.rows]
    for row in rows:
        assert [figure.value > 0 for figure in row.figures[NATIVE]] == [True, True]
    assert not list(tmp_path.iterdir())


@pytest.mark.mount
@pytest.mark.slow
def test_a_row_runs_on_a_mount_and_counts_its_requests(tmp_path: Path) -> None:
    """A figure of ours tells what the daemon did for it."""
    rows = run_group(syncing.GROUP, plan(tmp_path, Native, Ours), nothing)

    [figure] = rows[0].figures[OURS]
    assert figure.requests is not None
    assert figure.requests >= 2
    assert figure.cpu_us is not None
    assert figure.cpu_us > 0
    assert not rows[0].failures
    assert not mounts_below(tmp_path)


@pytest.mark.mount
@pytest.mark.slow
def test_a_mount_is_taken_away_after_a_failure(tmp_path: Path) -> None:
    """Whoever ends a run must not find daemons the next day."""
    place = Ours(tmp_path)

    def interrupted() -> None:
        with opened(place):
            assert mounts_below(tmp_path) == [place.path]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not mounts_below(tmp_path)
    assert not list(processes_marked(tmp_path))
    assert not list(tmp_path.iterdir())


class Failing(Place):
    """A place in which nothing works."""

    name: ClassVar[str] = "failing"

    def usage(self) -> object:  # type: ignore[override]
        """See `Place.usage`."""
        raise PeerFailed("it broke")


def test_a_peer_that_fails_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    """One broken mount must not cost a run of a quarter of an hour."""
    [row, *_] = run_group(small_files.GROUP, plan(tmp_path, Failing, Native, rounds=4), nothing)

    assert row.failures == {"failing": "it broke"}
    assert "failing" not in row.figures
    assert len(row.figures[NATIVE]) == 2


def test_the_cost_of_an_operation_is_told_by_request() -> None:
    """Where time goes is the first question about a row that is short of its mark."""
    found = Found(Group("g", (ROW,), small_files.steps))
    for cpu_us in (60.0, 90.0, 300.0):
        found.add(OURS, Measured(ROW.name, 120.0, cpu_us, 3.0))

    assert costs(found.rows()).splitlines()[2] == "| some work | 120 | 3.00 | 90.0 | 30.0 |"


def test_places_take_turns_after_each_step(tmp_path: Path) -> None:
    """Drift of the machine meets all alike."""
    order: list[str] = []

    class Other(Native):
        name: ClassVar[str] = "gocryptfs"

    def steps(place: Place, _: Sizes) -> Iterator[Measured]:
        for step in (1, 2):
            order.append(f"{place.name}{step}")
            yield ROW.told(step)

    group = Group("turns", (ROW,), steps, subject=NATIVE)
    run_group(group, plan(tmp_path, Native, Other, rounds=2), nothing)

    assert order == [
        *("native1", "gocryptfs1", "native2", "gocryptfs2"),
        *("gocryptfs1", "native1", "gocryptfs2", "native2"),
    ]


def test_a_peer_that_is_not_installed_is_named_with_what_installs_it() -> None:
    """Nobody should have to guess why a column is empty."""

    class Absent(Place):
        name: ClassVar[str] = "absent"
        program: ClassVar[str] = "no-such-program-anywhere"

    found, missing = split_by_found([Native, Absent])

    assert found == [Native]
    assert missing == {"absent": "scripts/setup --peers"}


def test_a_goal_beside_a_missing_peer_is_unknown_and_not_met() -> None:
    """A run without peers must not look like a success."""
    assert words_of(ROW, ours=1.0) == [None]
    assert words_of(ROW, gocryptfs=4.0) == [None]
    [row] = Found(Group("g", (ROW,), small_files.steps)).rows()
    assert "unknown" in plain([row])
    assert "unknown" in markdown([row])


@pytest.mark.parametrize(
    ("row", "figures", "met"),
    [
        (ROW, {"ours": 2.0, "gocryptfs": 4.0}, True),
        (ROW, {"ours": 2.1, "gocryptfs": 4.0}, False),
        (Row("r", "", Unit.RATE, (Goal(1.2, "bindfs"),)), {"ours": 13.0, "bindfs": 10.0}, True),
        (Row("r", "", Unit.RATE, (Goal(1.2, "bindfs"),)), {"ours": 11.0, "bindfs": 10.0}, False),
        (Row("r", "", Unit.MEBIBYTES, (Goal(2),)), {"ours": 2.0}, True),
        (Row("r", "", Unit.MEBIBYTES, (Goal(2),)), {"ours": 2.5}, False),
        (Row("r", "", Unit.TIMES, (Goal(1, at_least=True),)), {"ours": 0.9}, False),
    ],
)
def test_a_goal_is_met_by_its_ratio(row: Row, figures: dict[str, float], *, met: bool) -> None:
    """Less time, or more bytes a second: what is better depends on the unit."""
    assert words_of(row, **figures) == [met]


def test_the_fastest_peer_is_the_best_mount_and_no_plain_directory() -> None:
    """No mount can be faster than what lies below it."""
    row = Row("r", "", Unit.MEGABYTES, (Goal(1.0, FASTEST),))

    assert words_of(row, ours=300.0, native=900.0, juicefs=290.0, bindfs=100.0) == [True]
    assert words_of(row, ours=300.0, native=900.0, juicefs=310.0, bindfs=100.0) == [False]


def test_rows_and_peers_are_chosen_by_name_and_a_wrong_one_is_told() -> None:
    """A run of one row takes seconds."""
    assert [group.name for group in chosen("append,scale")] == ["syncing", "scale"]
    assert chosen("") == list(GROUPS.values())
    assert [kind.name for kind in peers_called("bindfs")] == [NATIVE, "bindfs"]
    with pytest.raises(ValueError, match="no row or group is called apend"):
        chosen("apend")
    with pytest.raises(ValueError, match="no peer is called ext4; known: native, bindfs"):
        peers_called("ext4")


def test_sizes_can_be_set() -> None:
    """Sixty-four files of a GiB each are not for every day."""
    assert sizes_of(parsed(["--quick", "--size", "writer_mib=1024"])) == QUICK._replace(
        writer_mib=1024
    )
    for wrong in ("writers", "writers=0", "writers=-1", "colour=3"):
        with pytest.raises(ValueError, match=f"--size {wrong} must be NAME=N"):
            with_sizes(QUICK, [wrong])


def test_a_machine_that_lacks_a_program_measures_the_rest(tmp_path: Path) -> None:
    """The row says what it lacks."""
    group = small_files.GROUP._replace(lacks=lambda: "fio: scripts/setup --peers")
    [rows] = rows_by_group([group], plan(tmp_path, Native))

    assert not rows[0].figures
    assert "not measured: lacks fio: scripts/setup --peers" in markdown(rows)


def test_a_run_writes_its_file_and_its_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole of it, as people start it, beside the plain directory alone."""
    monkeypatch.setattr("tests.bench.__main__.Ours", Native)
    result, chart = tmp_path / "result.json", tmp_path / "chart.svg"
    words = ["scripts/bench", "--rows", "append", "--peers", NATIVE, "--rounds", "2"]
    words += ["--size", "appends=2", "--size", "transactions=2", "--folder", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [*words, "--json", str(result), "--chart", str(chart)])
    main()

    report = msgspec.json.decode(result.read_bytes(), type=Report)
    assert [row.name for row in report.rows] == ["append", "sqlite"]
    assert report.sizes["appends"] == 2
    assert report.machine.kernel
    assert "<svg" in chart.read_text()
    assert "goals: 0 met, 0 missed, 2 unknown" in capsys.readouterr().out


def test_every_goal_names_a_place_that_there_is() -> None:
    """A misspelt peer would be unknown for ever."""
    peers = {kind.name for kind in PEERS}
    for group in GROUPS.values():
        made = {place.name for place in group.makes(Path("/x"), QUICK)} if group.makes else peers
        for row in group.rows:
            assert {goal.peer for goal in row.goals} <= made | {"", FASTEST}
    names = [row.name for group in GROUPS.values() for row in group.rows]
    assert len(names) == len(set(names))


def test_a_report_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """The page is made from the file, later and elsewhere."""
    rows = run_group(small_files.GROUP, plan(tmp_path, Native), nothing)
    report = report_of(rows, {"rclone": "scripts/setup --peers"})

    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_the_page_keeps_its_words_around_the_figures() -> None:
    """What people wrote about the figures must outlive the next run."""
    row = Found(Group("g", (ROW,), small_files.steps)).rows()[0]
    report = report_of([row], {"rclone": "scripts/setup --peers"})
    page = with_section(f"before\n{BEGIN}\nearlier\n{END}\nafter\n", report)

    assert page.startswith(f"before\n{BEGIN}\n")
    assert page.endswith(f"{END}\nafter\n")
    assert "earlier" not in page
    assert f"{NATIVE}: 6" in page  # `s3fs-local 0.1.0` would read like a command
    assert "rclone was not installed (`scripts/setup --peers`)" in page
    assert with_section(page, report) == page
    with pytest.raises(ValueError, match="the page lacks"):
        with_section("nothing", report)


def test_a_program_that_fails_says_so_in_its_own_words() -> None:
    """Else a peer's failure would be a riddle."""
    with pytest.raises(PeerFailed, match=r"ls /no-such-place: exit 2\nls: .*/no-such-place"):
        run("ls", "/no-such-place")


def test_the_page_shows_the_run_that_is_kept_beside_it() -> None:
    """A figure that nobody can look up is only a word."""
    page = PAGE.read_text()
    if LAST_RUN.exists():
        report = msgspec.json.decode(LAST_RUN.read_bytes(), type=Report)
        assert with_section(page, report) == page
    else:
        assert f"{BEGIN}\nThere is none yet.\n{END}" in page
