"""The destination's keys change while a version is on its way: what arrived can be opened."""

from collections.abc import Awaitable, Callable

import pytest

from s3fs_local.engine.key_administration import KeyAdministration
from s3fs_local.errors import InvalidArgument
from tests.engine.invariants import check_invariants
from tests.engine.replicated import Regions
from tests.replication_rules import rule

CONTENT = b"".join(bytes([number]) * (1 << 20) for number in range(3)) + b"the end"


async def _nobody_looks(_: int, __: int) -> None:
    """Progress."""


async def rotate(keys: KeyAdministration) -> None:
    """`key rotate`."""
    await keys.change(lambda ring: ring.add_version("store"))


async def forget_old(keys: KeyAdministration) -> None:
    """`key rewrap --forget-old`."""
    await keys.rewrap(None, forget_old=True, dry_run=False, on_progress=_nobody_looks)


async def rotate_and_forget(keys: KeyAdministration) -> None:
    """What is advised when a key leaked. It is refused while something needs the old version."""
    await rotate(keys)
    with pytest.raises(InvalidArgument, match="version 1"):
        await forget_old(keys)


@pytest.mark.parametrize("change", [rotate, rotate_and_forget])
def test_a_version_that_arrives_while_keys_change_can_be_read(
    change: Callable[[KeyAdministration], Awaitable[None]],
) -> None:
    """Its key is in no fact yet, wrapped by the version that wrapped when it was made."""
    regions = Regions(rule())
    regions.here.write("big", CONTENT)
    changes = 0

    async def once() -> None:
        nonlocal changes
        if not changes:
            changes += 1
            await change(regions.there.fs.key_administration)

    regions.tell(on_block=once)
    assert changes == 1
    regions.there.settle()
    regions.there.crash()
    assert regions.there.read("big") == CONTENT
    check_invariants(regions.there)
