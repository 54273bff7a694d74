"""Which store a path means."""

from pathlib import Path

import pytest

from s3fs_local import errors
from s3fs_local.control.mount_table import Mount, Place, mount_at, parse_mounts, place_of

TABLE = b"""\
22 28 0:20 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
36 22 0:32 / /mnt/data rw,nosuid,nodev - fuse.s3fs_local /srv/store rw,user_id=0
37 36 0:33 / /mnt/data/tmp rw - tmpfs tmpfs rw
38 22 0:34 / /mnt/with\\040space rw master:1 - fuse.s3fs_local /srv/a\\134b rw
39 22 0:32 /projects /home/ann/projects rw - fuse.s3fs_local /srv/store rw
40 22 0:35 / /mnt/data2 rw - ext4 /dev/vdb rw
"""


def place(path: str) -> Place:
    """The place of a path under `TABLE`."""
    return place_of(path, parse_mounts(TABLE))


def test_a_path_inside_a_mount_means_a_path_inside_its_store() -> None:
    """Neither the file nor its folder need exist: deleted names have a history too."""
    assert place("/mnt/data/a/b.txt") == Place(store=Path("/srv/store"), path=b"a/b.txt")
    assert place("/mnt/data") == Place(store=Path("/srv/store"), path=b"")
    assert place("/mnt/data/a/../b/") == Place(store=Path("/srv/store"), path=b"b")


def test_escapes_of_the_mount_table_are_undone() -> None:
    """The kernel writes spaces and backslashes as octal."""
    assert place("/mnt/with space/f") == Place(store=Path("/srv/a\\b"), path=b"f")


def test_a_bind_mount_of_a_folder_leads_into_that_folder() -> None:
    """People bind a part of the store into a home directory."""
    assert place("/home/ann/projects/x") == Place(store=Path("/srv/store"), path=b"projects/x")


@pytest.mark.parametrize("path", ["/mnt/data/tmp/x", "/mnt/data2/x", "/etc/passwd"])
def test_paths_of_other_filesystems_are_not_ours(path: str) -> None:
    """Neither a mount inside ours nor one whose name only begins like ours."""
    with pytest.raises(errors.NotMounted, match=path):
        place(path)


def test_the_last_of_several_mounts_at_one_place_counts() -> None:
    """Only the topmost can be seen."""
    mounts = parse_mounts(TABLE + b"50 36 0:50 / /mnt/data rw - tmpfs tmpfs rw\n")

    top = mount_at(Path("/mnt/data"), mounts)
    assert top is not None
    assert not top.is_ours
    with pytest.raises(errors.NotMounted):
        place_of("/mnt/data/f", mounts)


def test_a_symlink_at_the_end_is_meant_itself_and_those_before_it_are_followed(
    tmp_path: Path,
) -> None:
    """`versions LINK` is about the link; `versions LINK/f` about a file behind it."""
    (tmp_path / "mount" / "folder").mkdir(parents=True)
    (tmp_path / "mount" / "link").symlink_to("folder")
    (tmp_path / "shortcut").symlink_to("mount")
    mounts = [
        Mount(
            mount_point=bytes(tmp_path / "mount"),
            root=b"/",
            filesystem_type="fuse.s3fs_local",
            source=b"/srv/store",
        )
    ]

    assert place_of(f"{tmp_path}/shortcut/link", mounts).path == b"link"
    assert place_of(f"{tmp_path}/shortcut/link/f", mounts).path == b"folder/f"


def test_a_path_in_an_unmounted_store_is_named_by_the_store(tmp_path: Path) -> None:
    """`STORE:/path`; the colon of an ordinary name is left alone."""
    (tmp_path / "store").mkdir()

    assert place_of(f"{tmp_path}/store:/a/f", []) == Place(store=tmp_path / "store", path=b"a/f")
    assert place_of(f"{tmp_path}/store:/", []).path == b""
    assert place("/mnt/data/no:/f").path == b"no:/f"


def test_names_that_are_no_text_survive() -> None:
    """A name is bytes; only `/` and NUL mean something."""
    assert place("/mnt/data/\udcff").path == b"\xff"
