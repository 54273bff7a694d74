"""What the page says changed at a name is what somebody sees who looks at both instants."""

import pytest

from s3fs_local.rules.tree_changes import Change, State, change_between

FILE = State(0o100000, b"one", (0o644, 0, 0))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, None, None),
        (None, FILE, Change.ADDED),
        (FILE, None, Change.REMOVED),
        (FILE, FILE, None),
        (FILE, State(0o40000, b"", (0o755, 0, 0)), Change.KIND),
        (FILE, State(0o100000, b"two", (0o600, 0, 0)), Change.CONTENT),
        (FILE, State(0o100000, b"one", (0o600, 0, 0)), Change.ATTRIBUTES),
    ],
)
def test_a_change_has_one_name(
    before: State | None, after: State | None, expected: Change | None
) -> None:
    """The weightiest of what differs is told: content before attributes, kind before content."""
    assert change_between(before, after) is expected
