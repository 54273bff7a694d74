"""A zone that is only read shows what was written over it, and is what it was."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.overlay import Overlay

NAMES = ("a", "folder/b", "c")
NAME = st.sampled_from(NAMES)
DATA = st.binary(max_size=6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAME, DATA),
        st.tuples(st.just("create"), NAME, DATA),
        st.tuples(st.just("append"), NAME, DATA),
        st.tuples(st.just("delete"), NAME, DATA),
    ),
    max_size=12,
)


def take(store: ObjectStore, step: tuple[str, str, bytes]) -> str:
    """Does the step; the error that came of it, if one did."""
    kind, name, data = step
    try:
        match kind:
            case "put":
                store.put(name, data)
            case "create":
                store.create(name).append(data)
            case "append":
                store.append_to(name).append(data)
            case _:
                store.delete(name)
    except (KeyError, FileExistsError) as error:
        return type(error).__name__
    return ""


def shown(store: ObjectStore) -> dict[str, Any]:
    """All there is, as reads of every kind tell it."""
    names = list(store.list(""))
    return {
        name: [
            [store.read(name, offset, length) for offset in range(9) for length in (0, 2, 5, 99)],
            [store.read_nowait(name, offset, 3) for offset in range(9)],
            store.length(name),
        ]
        for name in names
    }


@given(before=STEPS, after=STEPS)
def test_it_shows_what_a_zone_that_was_written_to_would_show(
    before: list[tuple[str, str, bytes]], after: list[tuple[str, str, bytes]]
) -> None:
    """Whoever recovers a store over it must find what it wrote, and nobody else a trace of that."""
    below, written = MemoryObjects(), MemoryObjects()
    for step in before:
        take(below, step)
        take(written, step)
    was = shown(below)
    overlay = Overlay(below)

    assert [take(overlay, step) for step in after] == [take(written, step) for step in after]
    assert shown(overlay) == shown(written)
    assert shown(below) == was


def test_an_object_grows_behind_its_former_end() -> None:
    """A journal whose end is made durable before the next segment is begun."""
    below = MemoryObjects()
    below.put("journal/1", b"abc")
    overlay = Overlay(below)
    appender = overlay.append_to("journal/1")

    assert appender.append(b"de") == 3
    assert appender.length == overlay.length("journal/1") == 5
    assert overlay.read("journal/1", 1, 3) == b"bcd"
    assert below.read("journal/1", 0, 9) == b"abc"


def test_what_is_deleted_is_gone_for_every_question() -> None:
    """Also for reads that may not wait, which ask memory first."""
    below = MemoryObjects()
    below.put("a", b"1")
    overlay = Overlay(below)
    overlay.delete("a")

    for ask in (overlay.length, overlay.append_to):
        with pytest.raises(KeyError):
            ask("a")
    with pytest.raises(KeyError):
        overlay.read_nowait("a", 0, 1)
    assert below.read("a", 0, 1) == b"1"
