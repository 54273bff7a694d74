"""What may be said with `-o`."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fs_local import errors
from s3fs_local.daemon.config import (
    MEANINGS,
    MountOptions,
    changed_option,
    known_options,
    parse_mount_options,
    parse_remount,
    without_key_options,
)


def test_a_line_of_fstab_is_understood() -> None:
    """Words for mount(8) and systemd are accepted, those for us are heeded, the kernel's kept."""
    options = parse_mount_options(
        ["_netdev,nofail,rw,x-systemd.automount,x-systemd.requires=a.mount", "allow_other,nosuid"]
    )

    assert options == MountOptions(allow_other=True, kernel_flags=("nosuid",))


def test_nothing_said_means_the_defaults() -> None:
    """`-o defaults` is what people write when they want nothing special."""
    assert parse_mount_options([]) == parse_mount_options(["defaults"]) == MountOptions()


def test_words_of_mount_that_ask_for_what_is_so_anyway_are_accepted() -> None:
    """Installers put them into every line of fstab; mount(8) adds `user=` for ordinary users."""
    texts = ["auto,user=alice,users,async,relatime,X-mount.mkdir,comment=mine,_netdev,lazytime"]

    assert parse_mount_options(texts) == MountOptions()


def test_underscore_and_hyphen_are_the_same() -> None:
    """FUSE says allow_other, systemd users write allow-other."""
    assert parse_mount_options(["allow-other,xattr-list"]) == parse_mount_options(
        ["allow_other,xattr_list"]
    )


def test_the_last_of_contradicting_options_wins() -> None:
    """As with mount(8), so that a command line overrides fstab."""
    assert parse_mount_options(["ro,noacl", "rw,acl"]) == MountOptions()
    assert parse_mount_options(["rw", "ro"]).read_only


def test_values_are_taken_whole() -> None:
    """A value may hold `=`, and a file must exist."""
    options = parse_mount_options([f"snapdir=visible,snapdirname=.a=b,key_file={__file__}"])

    assert options.snapdir == "visible"
    assert options.snapdirname == ".a=b"
    assert options.key_file == Path(__file__)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("alow_other", "did you mean 'allow_other'"),
        ("snapdir=maybe", "'hidden' or 'visible', not 'maybe'"),
        ("snapdirname=a/b", "cannot be the name"),
        ("snapdirname=", "cannot be the name"),
        ("snapdirname=..", "cannot be the name"),
        ("snapdirname=" + "x" * 256, "over 255 bytes"),
        ("ro=1", "takes no value"),
        ("log=loud", "text, json, journal, not 'loud'"),
        ("passphrase_file=/missing/file", "no key or passphrase file '/missing/file'"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(text: str, complaint: str) -> None:
    """A misspelt option must not silently mount without it."""
    with pytest.raises(errors.InvalidMountOption, match=complaint):
        parse_mount_options([text])


def test_a_remount_is_told_what_is_there_already() -> None:
    """mount(8) hands down its table: the kernel's words are no options of a daemon."""
    table = "ro,nosuid,nodev,relatime,remount,user_id=0,group_id=0,default_permissions,allow_other"
    wanted = parse_remount([table, "key_file=/gone", "snapdir=visible"])

    assert wanted.read_only is True
    assert wanted.kernel_flags == ("nosuid", "nodev")
    assert wanted.others == {"allow_other": True, "snapdir": "visible"}
    assert changed_option(MountOptions(allow_other=True), wanted.others) == "snapdir"
    assert changed_option(MountOptions(allow_other=True, snapdir="visible"), wanted.others) is None
    assert parse_remount(["remount"]).read_only is None
    with pytest.raises(errors.InvalidMountOption, match="unknown"):
        parse_remount(["remount,nonsense"])


def test_every_option_of_the_manual_is_one() -> None:
    """And every one that takes effect is in the manual, itself or as its opposite."""
    told = {name.partition("=")[0] for line in MEANINGS for name in line.split(", ")}
    opposites = {"rw", "acl", "suid", "dev", "exec", "atime"}

    assert told == known_options() - opposites


def test_where_keys_are_is_not_handed_on() -> None:
    """The daemon gets the key itself, and paths may be relative to where the command was typed."""
    texts = ["ro,passphrase-file=here", "key_file=there,nosuid"]

    assert without_key_options(texts) == ("ro", "nosuid")


@given(st.text())
def test_any_text_is_either_options_or_refused(text: str) -> None:
    """Nothing that can be typed leads to a traceback."""
    with suppress(errors.InvalidMountOption):
        assert isinstance(parse_mount_options([text]), MountOptions)
