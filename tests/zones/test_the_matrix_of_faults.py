"""A slice of the matrix: every fault with every operation once, the classes in turn."""

from pathlib import Path

import pytest

from tests.zones.faults import FAULTS
from tests.zones.matrix import run_cell, some_cells

SEED = 7


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_zone_fails_in_the_middle_of_any_operation(tmp_path: Path, fault: str) -> None:
    """Nothing that was acknowledged is lost; `scripts/campaign zone-matrix` runs all cells."""
    for number, cell in enumerate(some_cells(SEED)):
        if cell.fault == fault:
            place = tmp_path / str(number)
            place.mkdir()
            await run_cell(place, cell)
