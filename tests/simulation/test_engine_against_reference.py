"""The filesystem and a plain model of it go through the same histories and must never differ.

S3FS_LOCAL_EXAMPLES=10000 makes the long run; a failing history shrinks to the steps that matter.
"""

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.operations import OF_REGIONS, Kind, Operation
from tests.simulation.pair import go_through
from tests.simulation.walk import (
    history_of_a_removal,
    history_of_locks,
    history_of_names,
    history_of_regions,
    history_of_turnover,
    history_without_versioning,
)

EXAMPLES: Final = int(os.environ.get("S3FS_LOCAL_EXAMPLES", "150"))
NUMBERS: Final = st.integers(0, 11)
OPERATIONS: Final = st.builds(
    Operation,
    st.sampled_from([k for k in Kind if k not in OF_REGIONS and k is not Kind.SET_VERSIONING]),
    *(NUMBERS, NUMBERS, NUMBERS),
)

# Lists of lists are longer than lists, and shrink as well.
HISTORIES: Final = st.lists(st.lists(OPERATIONS, max_size=20), max_size=20).map(
    lambda parts: [operation for part in parts for operation in part]
)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(HISTORIES)
def test_no_history_tells_the_store_from_its_reference(operations: list[Operation]) -> None:
    """Contents, attributes, listings, errors, versions, and the past at every step."""
    go_through(operations)


@pytest.mark.parametrize("seed", range(6))
def test_another_region_has_what_the_reference_says(seed: int) -> None:
    """Whoever dies, and wherever the way breaks: versions, bytes, tags, locks and names."""
    go_through(history_of_regions(seed))


@pytest.mark.parametrize("seed", range(8))
def test_locks_fall_by_themselves_when_they_should_and_on_what_they_should(seed: int) -> None:
    """When a file is closed, has been quiet, or loses its write permission; also after a crash."""
    go_through(history_of_locks(seed))


@pytest.mark.parametrize("seed", range(8))
def test_names_in_another_region_are_those_of_here(seed: int) -> None:
    """Now and at any time before, however few are told at a time, and whoever dies meanwhile."""
    go_through(history_of_names(seed))


@pytest.mark.parametrize("seed", range(8))
def test_what_versioning_does_not_keep_is_replaced_and_nothing_else(seed: int) -> None:
    """While it is suspended, each name has one version null, in whatever order things happen."""
    go_through(history_without_versioning(seed))


@pytest.mark.parametrize("seed", range(4))
def test_zones_come_and_go_and_nothing_is_lost(seed: int) -> None:
    """Hot ones and others, beside all that is written and moved, and whatever becomes of them."""
    go_through(history_of_turnover(seed))


def test_what_is_written_while_the_only_hot_zone_goes_stays() -> None:
    """At whatever step of it."""
    for steps in range(1, 24, 6):
        go_through(history_of_a_removal(steps))
