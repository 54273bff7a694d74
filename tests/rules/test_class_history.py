"""What each class held over time adds up, whatever came, changed its class, and went."""

from hypothesis import given
from hypothesis import strategies as st

from s3fs_local.rules.class_history import ClassHistory
from s3fs_local.rules.timelines import Span

SPAN = Span(from_ns=100, step_ns=10, count=5)


def test_a_version_counts_from_its_stamp_until_it_goes() -> None:
    """And moves with its class."""
    history = ClassHistory(SPAN)
    history.put(1, 101, size=7, storage_class="STANDARD", at_ns=103)
    history.put(2, 95, size=2, storage_class="STANDARD", at_ns=105)
    history.put(1, 101, size=7, storage_class="STANDARD", at_ns=111)
    history.put(1, 101, size=7, storage_class="GLACIER", at_ns=121)
    history.remove(1, 101, at_ns=141)
    history.remove(9, 9, at_ns=141)

    assert history.totals() == {"STANDARD": [9, 9, 2, 2, 2], "GLACIER": [0, 0, 7, 7, 0]}


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from(["put", "remove"]), st.sampled_from("AB")),
        max_size=30,
    )
)
def test_the_end_is_what_is_there(events: list[tuple[int, str, str]]) -> None:
    """As a plain list of what is there would say."""
    history = ClassHistory(SPAN)
    there: dict[int, str] = {}
    for at, (ino, what, name) in enumerate(events):
        if what == "put":
            history.put(ino, 100 + ino, size=ino, storage_class=name, at_ns=110 + at)
            there[ino] = name
        else:
            history.remove(ino, 100 + ino, at_ns=110 + at)
            there.pop(ino, None)

    ends = {name: totals[-1] for name, totals in history.totals().items()}
    for name in "AB":
        expected = sum(ino for ino, found in there.items() if found == name)
        assert ends.get(name, 0) == expected
