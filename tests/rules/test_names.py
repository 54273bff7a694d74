"""File names: acceptable ones, their spelling below `.versions`, and temporary ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fs_local.errors import InvalidArgument, NameTooLong
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.names import (
    AtInstant,
    OfName,
    Snapshots,
    check_name,
    escape,
    is_transient,
    parse_below_versions,
    printed,
    version_file_name,
)

AT_NS = 1_795_359_845 * SECOND_NS + 123_456_789
SALT = 0x5_DEAD_BEEF
STEM = b"2026-11-22T15-04-05.123Z~qfavfqf"


@pytest.mark.parametrize("name", [b"f", b"...", b" ", b"\xff\xfe", b"new\nline", b"x" * 255])
def test_any_bytes_make_a_name(name: bytes) -> None:
    """POSIX asks for no encoding."""
    check_name(name)


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"/", b"a\0b"])
def test_a_name_has_no_slash_and_no_zero_and_is_no_dot(name: bytes) -> None:
    """Paths from the command line do not come through the kernel."""
    with pytest.raises(InvalidArgument, match="is no file name"):
        check_name(name)


def test_a_name_has_at_most_255_bytes() -> None:
    """Bytes, not characters."""
    with pytest.raises(NameTooLong, match="256 bytes; at most 255"):
        check_name("é".encode() * 128)


@settings(max_examples=100)
@given(st.binary(min_size=1, max_size=8) | st.binary(max_size=4).map(lambda rest: b"@" + rest))
def test_every_name_can_be_asked_for_below_versions(name: bytes) -> None:
    """No file is unreachable because it looks like an instant."""
    assert parse_below_versions(escape(name)) == OfName(name)


def test_an_at_sign_introduces_an_instant() -> None:
    """`.versions/@1h` is the directory an hour ago, `.versions/@@1h` the file `@1h`."""
    assert parse_below_versions(b"@1h") == AtInstant("1h")
    assert parse_below_versions(b"@@1h") == OfName(b"@1h")
    assert parse_below_versions(b"1h@") == OfName(b"1h@")
    assert parse_below_versions(b"@") == AtInstant("")
    assert escape(b"1h@") == b"1h@"


def test_snapshots_ask_for_a_list_and_can_be_escaped_like_any_name() -> None:
    """A file may be called like the list."""
    assert parse_below_versions(b"@snapshots") == Snapshots()
    assert parse_below_versions(escape(b"@snapshots")) == OfName(b"@snapshots")


def test_bytes_that_are_no_text_ask_for_an_instant_that_does_not_exist() -> None:
    """Not for a crash."""
    assert parse_below_versions(b"@\xff") == AtInstant("\\xff")


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        (b"report.pdf", b".pdf"),
        (b"a.tar.gz", b".gz"),
        (b"Makefile", b""),
        (b".bashrc", b""),
        (b"..hidden", b""),
        (b".vimrc.bak", b".bak"),
        (b"ends.", b""),
        (b"...", b""),
        (b"\xff.\xfe", b".\xfe"),
        (b"a." + b"x" * 222, b"." + b"x" * 222),  # 255 bytes with the stem
        (b"a." + b"x" * 223, b""),
    ],
)
def test_a_version_file_keeps_the_last_extension(name: bytes, extension: bytes) -> None:
    """So that viewers open it; the whole never passes 255 bytes."""
    assert version_file_name(AT_NS, SALT, name) == STEM + extension


@pytest.mark.parametrize(
    "name",
    [
        b".f.swp",
        b".notes.txt.swo",
        b".f.swx",
        b".f.swpx",
        b".swp",
        b"f~",
        b"#f#",
        b".#f",
        b".f.kate-swp",
        b"sedAbCd12",
        b"sedx9QrsT",
        b".f.txt.Xy12Zw",
        b".f.a1B2c3",
        b".nfs000000000012d68700000001",
        b".fuse_hidden0000a1b200000001",
        b".goutputstream-ABC123",
        b".~lock.report.odt#",
        b"~$report.docx",
        b"index.lock",
        b"HEAD.lock",
        b"packed-refs.lock",
        b"next-index-1234.lock",
        b"tmp_obj_AbCdEf",
        b"tmp_pack_000000",
        b".new\nline.swp",
    ],
)
def test_temporary_names_of_programs_are_known(name: bytes) -> None:
    """They come and go by the thousand; a listing of lost files must not drown in them."""
    assert is_transient(name)


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"~",
        b"f",
        b"4913",  # vim's probe, but also a message in a mail folder
        b"report.tmp",
        b"report.bak",
        b"Cargo.lock",
        b"poetry.lock",
        b"my-index.lock",
        b".intro.swf",
        b"f.swp",
        b".logo.svg",
        b"sediments",
        b"sedan2024",
        b"sedScript",
        b"sedUPDATE",
        b".env.sample",
        b".conf.backup",
        b".conf.Backup",
        b".doc.README",
        b".f.Xy12Zw7",
        b"f.Xy12Zw",
        b"##",
        b"#f",
        b"#f#x",
        b".#",
        b"~$",
        b".~lock.#",
        b".nfs",
        b".nfs-notes",
        b".goutputstream-",
        b"tmp_obj_AbCdE",
        b"tmp_file_AbCdEf",
    ],
)
def test_names_that_a_person_may_have_chosen_are_not_temporary(name: bytes) -> None:
    """When in doubt a deleted file stays listed."""
    assert not is_transient(name)


def test_a_name_is_printed_as_people_wrote_it() -> None:
    """A message says 'report.txt', not b'report.txt'; odd bytes do not break the terminal."""
    assert printed("größe".encode()) == "'größe'"
    assert printed(b"a\xff\n") == "'a\\\\xff\\n'"
