"""What directories ask adds up to the strictest, and is never weakened."""

from typing import Final

import pytest

from s3fs_local import errors
from s3fs_local.rules.policies import (
    Commit,
    check_stricter,
    commit_of,
    format_commit,
    parse_commit,
    parse_semantics,
    semantics_of,
    stricter,
    with_unsaid,
)
from s3fs_local.rules.retention import COMPLIANCE, GOVERNANCE, DirectoryPolicy, Semantics

MINUTE_NS: Final = 60 * 1_000_000_000
DAY_NS: Final = 86_400 * 1_000_000_000


def policy(
    mode: str = GOVERNANCE,
    days: int = 30,
    *,
    append_only: bool = False,
    semantics: str = "",
    commit: str = "",
    quiet_minutes: int = 0,
) -> DirectoryPolicy:
    """A policy in few words."""
    return DirectoryPolicy(
        mode, days * DAY_NS, append_only, semantics, commit, quiet_minutes * MINUTE_NS
    )


def is_weaker(wanted: DirectoryPolicy, holds: DirectoryPolicy) -> bool:
    """Whether the policy is refused where the other holds."""
    try:
        check_stricter(wanted, holds)
    except errors.InvalidArgument:
        return True
    return False


def test_policies_above_each_other_add_up_to_the_strictest() -> None:
    """The story: each part by itself, wherever it is said."""
    above = policy(COMPLIANCE, 7, semantics="s3", commit="chmod")
    below = policy(GOVERNANCE, 30, append_only=True, semantics="file", commit="quiet")
    together = policy(COMPLIANCE, 30, append_only=True, semantics="file", commit="quiet")

    assert stricter(above, below) == together
    assert stricter(below, above) == together
    assert stricter(None, below) == below
    assert stricter(below, None) == below


# Weaker first; each step to the right is stricter, each to the left is refused.
LADDERS: Final = {
    "mode": [policy(GOVERNANCE), policy(COMPLIANCE)],
    "period": [policy(days=29), policy(days=30)],
    "append-only": [policy(), policy(append_only=True)],
    "semantics": [policy(semantics="s3"), policy(semantics="file")],
    "commit": [
        policy(commit="chmod"),
        policy(commit="quiet", quiet_minutes=10),
        policy(commit="quiet", quiet_minutes=5),
        policy(commit="close"),
    ],
}


@pytest.mark.parametrize("part", LADDERS)
def test_each_part_only_goes_up_its_ladder(part: str) -> None:
    """NetApp could set the expiry of a lock to none; here every part has one direction."""
    ladder = LADDERS[part]
    for position, wanted in enumerate(ladder):
        for before, holds in enumerate(ladder):
            assert is_weaker(wanted, holds) == (position < before), (part, position, before)


def test_a_refusal_names_what_is_weaker() -> None:
    """So that whoever typed it need not guess."""
    with pytest.raises(errors.InvalidArgument, match=r"append-only holds there.*COMPLIANCE holds"):
        check_stricter(policy(), policy(COMPLIANCE, append_only=True))
    with pytest.raises(errors.InvalidArgument, match="overwritten and removed, `file` holds"):
        check_stricter(policy(semantics="s3"), policy(semantics="file"))
    with pytest.raises(errors.InvalidArgument, match="commit by quiet=10m, which is sooner"):
        check_stricter(policy(commit="chmod"), policy(commit="quiet", quiet_minutes=10))


def test_what_is_not_said_stays_as_it_was() -> None:
    """A second `protect` without `--semantics` must not drop the first's."""
    here = policy(semantics="s3", commit="quiet", quiet_minutes=10)
    wanted = with_unsaid(policy(days=60), here=here, holds=here, default=Semantics.FILE)

    assert (wanted.semantics, wanted.commit, wanted.quiet_ns) == ("s3", "quiet", 10 * MINUTE_NS)
    assert not is_weaker(wanted, here)


def test_what_was_never_said_is_as_above_or_as_the_store_has_it() -> None:
    """And is written down, so that no later change of the store's default reaches it."""
    above = policy(semantics="s3", commit="chmod")
    below = with_unsaid(policy(), here=None, holds=above, default=Semantics.FILE)
    first = with_unsaid(policy(), here=None, holds=None, default=Semantics.FILE)
    old = with_unsaid(policy(), here=policy(), holds=above, default=Semantics.S3)

    assert (below.semantics, below.commit) == ("s3", "chmod")
    assert (first.semantics, first.commit) == ("file", "close")
    assert old.commit == "close"  # nothing said meant close already


def test_a_policy_that_locks_nothing_has_no_say_in_when() -> None:
    """Append-only alone, above a directory whose files commit by habit."""
    append_only = DirectoryPolicy(append_only=True)
    together = stricter(append_only, policy(commit="chmod"))

    assert together is not None
    assert commit_of(together) is Commit.CHMOD
    assert together.append_only


def test_file_semantics_win_where_a_file_has_names_in_both() -> None:
    """A hard link in a directory with S3 semantics frees nothing."""
    s3, file = policy(semantics="s3"), policy(semantics="file")

    assert semantics_of([s3, file], Semantics.S3) is Semantics.FILE
    assert semantics_of([s3, None], Semantics.FILE) is Semantics.FILE
    assert semantics_of([s3, None], Semantics.S3) is Semantics.S3
    assert semantics_of([], Semantics.S3) is Semantics.S3


def test_ways_to_commit_are_typed_and_shown_alike() -> None:
    """What `retention info` prints can be given to `protect`."""
    for text in ("close", "chmod", "quiet=10m", "quiet=1s", "quiet=3650d"):
        commit, quiet_ns = parse_commit(text)
        assert format_commit(
            DirectoryPolicy("GOVERNANCE", 1, commit=commit, quiet_ns=quiet_ns)
        ) == (text)
    for text in ("", "open", "quiet", "quiet=", "quiet=0s", "quiet=0.5s", "quiet=3651d", "CLOSE"):
        with pytest.raises(errors.ArgumentError):
            parse_commit(text)


def test_semantics_are_file_or_s3() -> None:
    """In small letters, as they are documented."""
    assert [parse_semantics(text) for text in ("file", "s3")] == [Semantics.FILE, Semantics.S3]
    for text in ("", "S3", "files"):
        with pytest.raises(errors.InvalidArgument):
            parse_semantics(text)
