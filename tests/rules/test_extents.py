"""Layouts of cells: what a commit seals, and that reading it back gives what was written."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fs_local.errors import MetadataDamaged
from s3fs_local.rules.extents import (
    CELL_BYTES,
    EXTENTS_MAX,
    HOLE,
    REGIONS_MAX,
    Extent,
    Layout,
    add_run,
    blocks_of,
    cell_range,
    clip,
    clip_runs,
    covers,
    data_bytes,
    decode_layout,
    encode_layout,
    overlay,
    plan_pieces,
    within_cell,
)


def commit(layout: Layout, runs: list[tuple[int, int]], block: int) -> Layout:
    """Seal as planned, one new block a piece."""
    for number, (start, end) in enumerate(plan_pieces(layout, runs)):
        layout = overlay(layout, Extent(start, end - start, block + number))
    return layout


def test_a_small_edit_in_a_full_cell_seals_only_itself() -> None:
    """A 4 KiB change in the middle of a big file must not store a megabyte again."""
    full = (Extent(0, CELL_BYTES, 1),)

    pieces = plan_pieces(full, [(500_000, 504_096)])
    layout = commit(full, [(500_000, 504_096)], 2)

    assert pieces == [(500_000, 504_096)]
    assert layout == (
        Extent(0, 500_000, 1),
        Extent(500_000, 4096, 2),
        Extent(504_096, CELL_BYTES - 504_096, 1, 504_096),
    )
    assert blocks_of(layout) == {1, 2}
    assert data_bytes(layout) == CELL_BYTES


def test_many_small_appends_leave_few_blocks_and_seal_each_byte_few_times() -> None:
    """`echo >> log` a thousand times: neither a thousand blocks nor a megabyte sealed each time."""
    layout, size, sealed = HOLE, 0, 0
    for step in range(1000):
        runs = [(size, size + 200)]
        sealed += sum(end - start for start, end in plan_pieces(layout, runs))
        layout = commit(layout, runs, 10 * step)
        size += 200

    assert len(layout) <= 16
    assert sealed < 20 * size


def test_fragmented_cell_is_sealed_anew_without_filling_its_holes() -> None:
    """Fragmentation is bounded, but a hole costs nothing, also then."""
    layout: Layout = (Extent(0, 600_000, 1), Extent(700_000, 300_000, 2))
    for step in range(EXTENTS_MAX):
        start = 10_000 + step * 9_000
        layout = commit(layout, [(start, start + 100)], 10 + step)

    assert len(layout) <= EXTENTS_MAX
    assert data_bytes(layout) == 900_000


def test_a_cell_of_crumbs_is_filled_up() -> None:
    """One byte in every kilobyte must not make a layout of a thousand extents."""
    runs = [(start, start + 1) for start in range(0, CELL_BYTES, 1024)]

    assert len(runs) > REGIONS_MAX
    assert plan_pieces(HOLE, runs) == [(0, runs[-1][1])]


def test_clip_turns_the_rest_into_a_hole() -> None:
    """Truncation in the middle of an extent keeps its first part."""
    layout = (Extent(0, 100, 1), Extent(200, 100, 2, 7))

    assert clip(layout, 250) == (Extent(0, 100, 1), Extent(200, 50, 2, 7))
    assert clip(layout, 200) == (Extent(0, 100, 1),)
    assert clip(layout, 300) is layout
    assert clip(HOLE, 0) == HOLE


def test_cells_of_a_range() -> None:
    """Ranges that start or end on a cell's edge touch no further cell."""
    assert list(cell_range(0, CELL_BYTES)) == [0]
    assert list(cell_range(CELL_BYTES - 1, 2)) == [0, 1]
    assert list(cell_range(CELL_BYTES, 0)) == []
    assert within_cell(1, CELL_BYTES - 1, 2) == (0, 1)
    assert within_cell(0, 5, 10) == (5, 15)


ranges = st.tuples(st.integers(0, 300), st.integers(1, 60)).map(lambda r: (r[0], r[0] + r[1]))


@given(st.lists(ranges, max_size=20), st.integers(0, 360))
def test_runs_are_the_union_of_what_was_added(added: list[tuple[int, int]], limit: int) -> None:
    """Dirty ranges forget nothing and invent nothing."""
    runs: list[tuple[int, int]] = []
    for start, end in added:
        add_run(runs, start, end)

    union = {position for start, end in added for position in range(start, end)}
    assert {p for start, end in runs for p in range(start, end)} == union
    assert all(a[1] < b[0] for a, b in pairwise(runs))
    assert all(covers(runs, start, end) for start, end in added)
    assert not covers(runs, 400, 401)

    clip_runs(runs, limit)

    assert {p for s, e in runs for p in range(s, e)} == {p for p in union if p < limit}


@given(st.lists(st.lists(ranges, min_size=1, max_size=4), max_size=12))
def test_a_layout_reads_as_the_last_writer_of_each_byte(
    commits: list[list[tuple[int, int]]],
) -> None:
    """The layout shows every byte as last written, and holes where nothing was."""
    layout: Layout = HOLE
    expected: dict[int, int] = {}
    blocks: dict[int, dict[int, int]] = {}
    block = 0
    for number, ranges_ in enumerate(commits):
        runs: list[tuple[int, int]] = []
        for start, end in ranges_:
            add_run(runs, start, end)
            expected.update(dict.fromkeys(range(start, end), number))
        for start, end in plan_pieces(layout, runs):
            block += 1
            blocks[block] = {p - start: expected[p] for p in range(start, end)}
            layout = overlay(layout, Extent(start, end - start, block))

    shown = {
        extent.start + i: blocks[extent.block][extent.skip + i]
        for extent in layout
        for i in range(extent.length)
    }
    assert shown == expected
    assert decode_layout(encode_layout(layout)) == layout
    assert all(a.end <= b.start for a, b in pairwise(layout))


def test_a_layout_that_is_cut_short_is_damage_in_words() -> None:
    """A row of the database, or what another region sent: it was an error of `struct`."""
    whole = encode_layout((Extent(0, 10, 1),))
    for length in range(1, len(whole)):
        with pytest.raises(MetadataDamaged, match="cut short"):
            decode_layout(whole[:length])
