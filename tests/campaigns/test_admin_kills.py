"""What the line admin-kills calls wrong: it must not pass over a mixture of before and after."""

from tests.campaigns.admin_kills import evenly
from tests.campaigns.admin_trials import differences

BEFORE = {"a": "1", "b": "1", "same": "x"}
AFTER = {"a": "2", "b": "2", "same": "x"}


def test_what_was_and_what_becomes_are_right() -> None:
    """Each as a whole."""
    for state in (BEFORE, AFTER):
        assert not differences(state, BEFORE, AFTER, gradual=False)


def test_a_mixture_is_wrong_unless_parts_are_done_one_after_the_other() -> None:
    """A half of a change may be what locks somebody out."""
    mixed = AFTER | {"b": "1"}
    assert differences(mixed, BEFORE, AFTER, gradual=False) == ["as before: b; changed: a"]
    assert not differences(mixed, BEFORE, AFTER, gradual=True)


def test_a_third_state_is_wrong() -> None:
    """So is what the command was not to touch, and what nobody tells of any more."""
    assert differences(BEFORE | {"a": "3", "b": "3"}, BEFORE, AFTER, gradual=False)
    assert differences(BEFORE | {"same": "y"}, BEFORE, AFTER, gradual=True)
    assert differences({"a": "1", "b": "1"}, BEFORE, AFTER, gradual=True)


def test_a_few_states_are_chosen_from_the_first_to_the_last() -> None:
    """A short run looks at the whole length of a command."""
    assert list(evenly(range(100), 4)) == [0, 33, 66, 99]
    assert list(evenly(range(3), 4)) == [0, 1, 2]
    assert list(evenly(range(3), 1)) == [0]
