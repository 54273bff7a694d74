"""Where destinations of replication are: what people type, and what it means."""

import pytest

from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.remotes import Remote, format_remotes, parse_remotes

TYPED = "west=/mnt/we st/store; east=/srv/east?key-file=/root/k&passphrase-file=/root/p"


def test_remotes_are_names_of_stores() -> None:
    """And what is shown can be typed again."""
    remotes = parse_remotes(TYPED)

    assert remotes == {
        "west": Remote("/mnt/we st/store"),
        "east": Remote("/srv/east", key_file="/root/k", passphrase_file="/root/p"),  # noqa: S106  a file
    }
    assert parse_remotes(format_remotes(remotes)) == remotes
    assert parse_remotes("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "west",
        "west=relative/path",
        "West=/a",
        "we=/a",
        "west=/a; west=/b",
        "west=/a?secret=/b",
        "west=/a?key-file=k",
        "west=",
    ],
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    """A relative path would mean another store in each directory."""
    with pytest.raises(InvalidArgument):
        parse_remotes(text)
