"""The random attacker in short; `scripts/attack` runs it at length."""

from collections.abc import Callable

import pytest

from s3fs_local.engine import locks
from s3fs_local.rules import retention
from s3fs_local.rules.retention import Guarded, Operation
from tests.simulation.attacker import Broken, attack

STEPS = 1500


@pytest.mark.parametrize("seed", [1, 2])
def test_no_sequence_of_operations_by_anybody_breaks_a_lock(seed: int) -> None:
    """Not one of a few thousand; 100,000 steps with three seeds were run before a release."""
    tried, refused = attack(STEPS, seed)

    assert sum(tried.values()) == STEPS
    assert sum(refused.values()) > STEPS // 25  # or it attacked nothing that is locked
    assert len(refused) > 8


@pytest.mark.parametrize(
    "operation",
    [
        *(Operation.TRUNCATE, Operation.SET_XATTR, Operation.UNLINK, Operation.LINK),
        *(Operation.RENAME_FROM, Operation.PURGE_VERSION),
    ],
    ids=lambda operation: operation.value,
)
def test_the_attacker_finds_a_gate_that_lets_one_operation_through(
    operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attacker who never wins must be able to."""
    check: Callable[..., None] = retention.check

    def leaking(asked: Operation, guarded: Guarded, **rest: object) -> None:
        if asked is not operation:
            check(asked, guarded, **rest)

    monkeypatch.setattr(locks, "check", leaking)
    with pytest.raises(Broken):
        attack(8000, 7)
