"""Whatever runs beside programs asks between its steps whether it may go on."""

import ast
from pathlib import Path
from typing import Final

import pytest

import s3fs_local.engine.volume

PACKAGE: Final = Path(s3fs_local.engine.volume.__file__).parent.parent
ASK: Final = (
    *("workers/tending.py", "workers/tiering.py", "control/receiving.py"),
    *("engine/settling.py", "engine/compaction.py", "engine/scrubbing.py", "engine/healing.py"),
    *("engine/zone_care.py", "engine/pack_coding.py", "engine/pack_keeping.py"),
    *("engine/lifecycle_runs.py", "engine/verification.py", "engine/replica_arrivals.py"),
    *("engine/replication_following.py", "engine/replication_sending.py"),
)
"""Where background work has its steps."""
ELSE: Final = {
    "engine/yielding.py": "it is what is asked",
    "engine/pace.py": "a turn for others after bytes were moved; whoever moved them asks, too",
    "engine/directory_steps.py": "a page or a command shows a directory: a person looks at it",
    "engine/lifecycle_plans.py": "a command shows what will be due: a person looks at it",
}
"""Who lets others have a turn without asking how long, and why."""


def checkpoints(source: str) -> int:
    """How often the source lets the scheduler run others, and then goes on at once."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return sum(ast.unparse(call.func).rpartition(".")[2] == "checkpoint" for call in calls)


def asks(source: str) -> int:
    """How often the source asks: `await turn.over()`."""
    return sum(
        isinstance(node, ast.Await) and ast.unparse(node).endswith("turn.over()")
        for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize("module", ASK)
def test_each_kind_of_background_work_asks_between_its_steps(module: str) -> None:
    """One that does not is what programs wait for."""
    assert asks((PACKAGE / module).read_text())


def test_no_loop_goes_on_at_once_after_a_step() -> None:
    """A checkpoint lets a request in, and then takes the loop again: that is no rest."""
    found = {
        str(path.relative_to(PACKAGE))
        for folder in ("engine", "workers")
        for path in (PACKAGE / folder).glob("*.py")
        if "trio.lowlevel" in (source := path.read_text()) and checkpoints(source)
    }
    assert found == set(ELSE)


def test_the_check_sees_both() -> None:
    """A check that finds nothing must be able to find something."""
    assert checkpoints("async def f():\n    await trio.lowlevel.checkpoint()") == 1
    assert asks("async def f(self):\n    await self._turn.over()\n    await turn.over()") == 2
    assert asks("async def f(turn):\n    turn.over()") == 0
