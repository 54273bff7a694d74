"""A handler that waits without the gate stops all others: impossible to write by accident."""

import ast
from inspect import iscoroutinefunction
from pathlib import Path

import pytest

from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.fuse import operations

THE_ONE_WAY = ("await self._gate.waiting(", "await self._gate.waiting_unless_interrupted(")
WAITS = {
    f"self._fs.{name}" for name, method in vars(FileSystem).items() if iscoroutinefunction(method)
}
"""What the engine must be asked for through the gate: a handler may hand on what waits."""


def waits_outside_the_gate(source: str) -> list[str]:
    """Every await, call of what waits, and use of an event loop that is not the gate's."""
    offences = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Await) and not ast.unparse(node).startswith(THE_ONE_WAY):
            offences.append(ast.unparse(node))
        elif isinstance(node, ast.AsyncFor | ast.AsyncWith):
            offences.append(ast.unparse(node).partition("\n")[0])
        elif isinstance(node, ast.comprehension) and node.is_async:
            offences.append(ast.unparse(node))
        elif isinstance(node, ast.Import):
            offences += [name.name for name in node.names if name.name in ("trio", "asyncio")]
        elif isinstance(node, ast.ImportFrom) and node.module in ("trio", "asyncio"):
            offences.append(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in WAITS:
            offences.append(ast.unparse(node))
    return offences


def test_every_wait_in_operations_goes_through_the_gate() -> None:
    """`ReaderGate.waiting` hands the reading over to another worker first."""
    assert waits_outside_the_gate(Path(operations.__file__).read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import trio",
        "from trio import sleep",
        "async def f(self):\n    await self._fs.fsync(1)",
        "async def f(self):\n    await other.waiting(1)",
        "def f(self):\n    return self._fs.fsync(1)",
        "async def f(self):\n    async with self.mutex:\n        pass",
        "async def f(self):\n    async for x in y:\n        pass",
        "async def f(self):\n    return [x async for x in y]",
    ],
)
def test_the_check_sees_every_other_way_to_wait(source: str) -> None:
    """A check that finds nothing must be able to find something."""
    assert waits_outside_the_gate(source)
