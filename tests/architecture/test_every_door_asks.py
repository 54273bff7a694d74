"""No function can touch what a lock may protect without a row in `engine/doors.py` that is true."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from s3fs_local.engine import doors
from s3fs_local.engine.doors import DOORS, GUARDED_CALLS, GUARDED_CHANGES, Door
from s3fs_local.metadata import changes
from s3fs_local.rules.retention import Operation

PACKAGE = Path(doors.__file__).parent.parent
# What interprets changes, and what keeps objects, does what it is told; these are not doors.
BELOW = ("metadata.", "objects.", "system.", "crypto.", "rules.")
ONLY_ADD = {"KeepAttributes", "OpenEntry", "AddBlock", "PutPack", "PutPendingLock"} | {
    *("ScheduleKey", "UnscheduleKey"),  # when lifecycle looks at something; then it asks
    *("PutTask", "RemoveTask", "PutReplica"),  # what is told elsewhere, and what is a copy of what
    *("ShareBlocks", "MarkUnsettled", "MarkSettled"),  # which blocks may have to move
}
GATE = {"check", "check_version"}
NOT_ASKED_YET = {
    Operation.REPAIR,
}
"""No door of theirs is there; whoever builds one takes its operation out of here."""


class Function(NamedTuple):
    """What one function of the package calls and names; functions within it included."""

    module: str
    name: str  # module and qualified name
    calls: frozenset[str]  # `f` and `receiver.method`, leading underscores of receivers aside
    operations: frozenset[str]  # of `Operation.NAME`

    @property
    def called_names(self) -> frozenset[str]:
        """The last part of each call."""
        return frozenset(call.rpartition(".")[2] for call in self.calls)


def call_name(node: ast.Call) -> str:
    """`f` or `receiver.method` of a call, as far as the source tells."""
    function = node.func
    if isinstance(function, ast.Name):
        return function.id
    if not isinstance(function, ast.Attribute):
        return ""
    receiver = function.value
    if isinstance(receiver, ast.Name):
        return f"{receiver.id.strip('_')}.{function.attr}"
    if isinstance(receiver, ast.Attribute):
        return f"{receiver.attr.strip('_')}.{function.attr}"
    return f".{function.attr}"


def functions_of(module: str, source: str) -> Iterator[Function]:
    """Every function and method, and the module's own level under its name."""

    def visit(node: ast.AST, name: str) -> Iterator[Function]:
        own: list[ast.AST] = []
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield describe(f"{name}.{child.name}", list(ast.walk(child)))
            elif isinstance(child, ast.ClassDef):
                yield from visit(child, f"{name}.{child.name}")
            else:
                own += ast.walk(child)
        yield describe(name, own)

    def describe(name: str, nodes: list[ast.AST]) -> Function:
        calls = {call_name(node) for node in nodes if isinstance(node, ast.Call)}
        operations = {
            node.attr
            for node in nodes
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "Operation"
        }
        return Function(module, name, frozenset(calls), frozenset(operations))

    yield from visit(ast.parse(source), module)


def module_name(path: Path) -> str:
    """`engine.locks` of its file."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


FUNCTIONS = [
    function
    for path in sorted(PACKAGE.rglob("*.py"))
    for function in functions_of(module_name(path), path.read_text())
]
BY_NAME = {function.name: function for function in FUNCTIONS}
BY_DOOR = {door.function: door for door in DOORS}


def is_guarded(function: Function) -> bool:
    """Whether it makes a guarded change, or a guarded call."""
    return bool(function.calls & GUARDED_CHANGES or function.calls & GUARDED_CALLS)


def callers_of(called: Function) -> list[str]:
    """Functions that call one of this name; of a private one, those of its module."""
    short = called.name.rpartition(".")[2]
    return [
        function.name
        for function in FUNCTIONS
        if short in function.called_names
        and (not short.startswith("_") or function.module == called.module)
        and not function.name.startswith(BELOW)
    ]


def reachable(function: Function) -> list[Function]:
    """The function, and those of its module that it calls, directly or not."""
    found = {function.name: function}
    waiting = [function]
    while waiting:
        names = waiting.pop().called_names
        for other in FUNCTIONS:
            is_called = other.name.rpartition(".")[2] in names
            if other.module == function.module and is_called and other.name not in found:
                found[other.name] = other
                waiting.append(other)
    return list(found.values())


def missing_questions(door: Door, function: Function) -> list[str]:
    """The operations of the row that the source does not ask about."""
    near = reachable(function)
    named: set[str] = set().union(*[other.operations for other in near])
    asks_the_gate = any(other.called_names & GATE for other in near)
    return [
        operation.value
        for operation in door.asks
        if operation.name not in named or not asks_the_gate
    ]


def test_every_door_is_listed() -> None:
    """Who adds one decides what it asks, and writes it into `engine/doors.py`."""
    unlisted = [
        function.name
        for function in FUNCTIONS
        if is_guarded(function)
        and function.name not in BY_DOOR
        and not function.name.startswith(BELOW)
    ]

    assert unlisted == [], "add a row to engine/doors.py for each; its first page says how"


def test_every_row_is_about_a_function_that_is_there() -> None:
    """A door that was renamed takes its row with it."""
    assert [name for name in BY_DOOR if name not in BY_NAME] == []
    assert len(BY_DOOR) == len(DOORS)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.function)
def test_every_row_is_true(door: Door) -> None:
    """The question is in the source, or in that of everybody who calls."""
    function = BY_NAME[door.function]
    callers = callers_of(function) if door.asked_by_callers else []

    assert door.how.strip()
    assert missing_questions(door, function) == []
    assert [name for name in callers if name not in BY_DOOR] == []
    assert bool(callers) == door.asked_by_callers


def test_every_change_is_guarded_or_only_adds() -> None:
    """A new kind of change must be put on one side or the other."""
    kinds = {kind.__name__ for kind in changes.Change.__args__}

    assert kinds == GUARDED_CHANGES | ONLY_ADD


def test_every_operation_is_asked_somewhere() -> None:
    """A rule that nobody asks protects nothing."""
    asked = {operation for door in DOORS for operation in door.asks}

    assert set(Operation) - asked == NOT_ASKED_YET


@pytest.mark.parametrize(
    "source",
    [
        "def f(volume):\n    volume.apply([RemoveVersion(1, 2)])",
        "def f(volume):\n    changes.append(RemoveKey(1))",
        "class C:\n    def f(self):\n        self._writing.discard(1)",
        "def f(zones):\n    for zone in zones:\n        zone.delete('x')",
        "def f():\n    def g():\n        return PutSetting('a', 'b')\n    return g",
        "volume.apply([RemovePack(1)])",
    ],
)
def test_the_search_finds_a_new_door(source: str) -> None:
    """A check that finds nothing must be able to find something."""
    assert any(is_guarded(function) for function in functions_of("engine.new", source))


def test_a_row_that_asks_nothing_is_found_out() -> None:
    """The question must be in the source, and go to the gate."""
    door = Door("engine.new.f", "says so", asks=(Operation.PURGE_VERSION,))
    (asking, _) = functions_of(
        "engine.new", "def f(l):\n    l.check_version(Operation.PURGE_VERSION, 1)"
    )
    (silent, _) = functions_of("engine.new", "def f(l):\n    Operation.PURGE_VERSION")
    (other, _) = functions_of("engine.new", "def f(l):\n    l.check(Operation.UNLINK, 1)")

    assert [bool(missing_questions(door, each)) for each in (asking, silent, other)] == [
        False,
        True,
        True,
    ]
