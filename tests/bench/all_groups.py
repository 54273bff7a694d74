"""All groups of rows, in the order of the table."""

from typing import Final

from tests.bench.groups import (
    background,
    cold,
    history,
    large_versions,
    memory,
    parallel,
    random_calls,
    replicating,
    requests,
    scale,
    sequential,
    small_files,
    syncing,
    trees,
    zones,
)
from tests.bench.row import Group

GROUPS: Final[dict[str, Group]] = {
    group.name: group
    for group in (
        small_files.GROUP,
        cold.GROUP,
        trees.GROUP,
        sequential.GROUP,
        random_calls.GROUP,
        syncing.GROUP,
        requests.GROUP,
        large_versions.GROUP,
        history.GROUP,
        scale.GROUP,
        memory.GROUP,
        background.GROUP,
        parallel.GROUP,
        zones.GROUP,
        replicating.GROUP,
    )
}


def chosen(names: str) -> list[Group]:
    """The groups with these names, or with rows of these names; all for an empty text.

    Raises:
        ValueError: there is no such row.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        return list(GROUPS.values())
    found: dict[str, Group] = {}
    for name in wanted:
        groups = [g for g in GROUPS.values() if name == g.name or name in {r.name for r in g.rows}]
        if not groups:
            known = ", ".join(GROUPS)
            raise ValueError(f"no row or group is called {name}; the groups are {known}")
        found |= {group.name: group for group in groups}
    return list(found.values())
