"""Tasks raise in groups; who called for one thing gets one error, by its own name."""

import pytest

from s3fs_local.errors import StoreFull, ZoneUnavailable, alone


@pytest.mark.parametrize(
    "raised",
    [
        StoreFull("full"),
        ExceptionGroup("", [StoreFull("full")]),
        ExceptionGroup("", [ExceptionGroup("", [StoreFull("full")]), ZoneUnavailable("gone")]),
    ],
)
def test_the_first_error_of_ours_is_raised_by_itself(raised: Exception) -> None:
    """A group would be told as a bug, with a traceback and without its exit code."""
    with pytest.raises(StoreFull, match="full") as told, alone():
        raise raised

    assert told.value.__cause__ is None


@pytest.mark.parametrize(
    "raised",
    [
        KeyboardInterrupt(),
        BaseExceptionGroup("", [KeyboardInterrupt()]),
        BaseExceptionGroup("", [StoreFull("full"), KeyboardInterrupt()]),
    ],
)
def test_an_interrupt_goes_before_errors(raised: BaseException) -> None:
    """Who pressed Ctrl-C wants no story."""
    with pytest.raises(KeyboardInterrupt), alone():
        raise raised


def test_a_bug_beside_an_error_is_told_as_a_bug() -> None:
    """It must not hide behind a disk that is full."""
    with pytest.raises(ExceptionGroup) as told, alone():
        raise ExceptionGroup("", [StoreFull("full"), ValueError("a bug")])

    assert told.group_contains(ValueError)


def test_nothing_is_raised_where_nothing_was() -> None:
    """It only looks at what is raised."""
    with alone():
        pass
