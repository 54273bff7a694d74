"""Tags keep the limits that S3 has for them."""

import pytest

from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.tags import decode_tags, encode_tags


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=", {"a": ""}),
        ("k=a=b", {"k": "a=b"}),
        ("k=%C3%A9%20x+y%2Bz", {"k": "é x y+z"}),
        ("k" * 128 + "=" + "v" * 256, {"k" * 128: "v" * 256}),
        ("&".join(f"k{number}=v" for number in range(10)), {f"k{n}": "v" for n in range(10)}),
    ],
)
def test_what_s3_takes_is_taken_and_printed_so_that_it_is_taken_again(
    text: str, tags: dict[str, str]
) -> None:
    """The form is that of the header x-amz-tagging."""
    assert decode_tags(text) == tags
    assert decode_tags(encode_tags(tags)) == tags


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "=1",
        "a=1&a=2",
        "aws:x=1",
        "k" * 129 + "=1",
        "k=" + "v" * 257,
        "k=" + "%F0%9F%98%80" * 129,  # 129 signs, 258 UTF-16 units
        "k=%23",
        "k=%0A",
        "k=a\nb",
        "k=%09",
        "k%0D=1",
        "k=%00",
        "&".join(f"k{number}=v" for number in range(11)),
    ],
)
def test_what_s3_refuses_is_refused(text: str) -> None:
    """Letters, digits and spaces; a tab or the end of a line is neither."""
    with pytest.raises(InvalidArgument):
        decode_tags(text)
