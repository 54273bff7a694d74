"""docs/semantics.md, 3: views."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from s3fs_local.control.looking_back import version_at
from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.filesystem import Presentation
from s3fs_local.errors import DirectoryNotEmpty, InvalidTime, NameReserved, NoSuchName, ReadOnlyView
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, ROOT_INO
from s3fs_local.rules.instants import SECOND_NS, format_file_time, format_rfc3339
from tests.engine.memory_store import ALICE, ROOT, START_NS, MemoryStore
from tests.mounting import MountedStore
from tests.semantics.promises import promise

DAY_S = 86_400


@promise("Every directory has a `.versions`, and no listing of a real directory names it.")
def test_no_listing_leads_into_versions(store: MemoryStore) -> None:
    """A backup must not take a thousand copies, nor `rm -r` stumble over them."""
    store.mkdir("/d")
    store.write("/d/f", b"one")

    assert store.listing("/d") == [b"f"]
    assert store.listing("/d/.versions") == [b"f"]
    store.fs.presentation = Presentation(snapdir_visible=True)
    assert store.listing("/d") == [b".versions", b"f"]


def test_what_another_snapdirname_let_be_made_leads_nowhere_either(store: MemoryStore) -> None:
    """A directory that is called as the folder of versions is now is not reached, nor listed."""
    rename_versions(store, ".history")
    store.mkdir("/d")
    store.mkdir("/d/.versions")
    store.write("/d/.versions/f", b"kept")
    rename_versions(store, ".versions")

    assert store.listing("/d") == []
    with pytest.raises(DirectoryNotEmpty):
        store.fs.rmdir(*store.place("/d"), ALICE)
    store.fs.presentation = Presentation(snapdir_visible=True)
    assert store.listing("/d") == [b".versions"]
    rename_versions(store, ".history")
    assert store.read("/d/.versions/f") == b"kept"


def rename_versions(store: MemoryStore, name: str) -> None:
    """As mounting with `snapdirname=NAME` does."""
    volume = store.fs.volume
    volume.settings = msgspec.structs.replace(volume.settings, snapdirname=name)


@promise(
    "`.versions/NAME/` holds one file for each version, newest first, then `latest`, "
    "`previous` and `log`."
)
def test_the_folder_of_a_name(store: MemoryStore) -> None:
    """Any program that reads files can read old ones."""
    store.write("/f.txt", b"one")
    store.write("/f.txt", b"two")
    newest, older, *others = store.listing("/.versions/f.txt")

    assert others == [b"latest", b"previous", b"log"]
    assert newest.endswith(b".txt")
    assert store.read(f"/.versions/f.txt/{newest.decode()}") == b"two"
    assert store.read(f"/.versions/f.txt/{older.decode()}") == b"one"
    assert store.fs.readlink(store.stat("/.versions/f.txt/previous").ino) == older
    assert len(store.read("/.versions/f.txt/log").splitlines()) >= 2


@promise("`.versions/@TIME/` is the whole tree below the directory, as it was at that instant.")
def test_an_instant_is_a_tree(store: MemoryStore) -> None:
    """No snapshot has to be made beforehand."""
    store.mkdir("/d")
    store.mkdir("/d/e")
    store.write("/d/e/f", b"one")
    at = f"/d/.versions/@{store.tick() // SECOND_NS}"
    store.write("/d/e/f", b"two")
    store.rename("/d/e/f", "/d/g")

    assert store.listing(at) == [b"e"]
    assert store.read(f"{at}/e/f") == b"one"


@promise("TIME is a time, a day, a duration ago, Samba's `@GMT-` form, or seconds since 1970.")
def test_instants_can_be_written_in_all_these_ways(store: MemoryStore) -> None:
    """Those that people know from elsewhere."""
    store.clock.advance(3 * DAY_S * SECOND_NS - START_NS % (DAY_S * SECOND_NS))
    store.write("/f", b"one")
    at_ns = store.tick()
    store.tick(DAY_S)
    store.write("/f", b"two")
    ago = (store.clock.now_ns() - at_ns) // SECOND_NS
    seconds = at_ns // SECOND_NS
    samba = format_file_time(at_ns)[:19].replace("T", "-").split("-")

    for text in (
        format_rfc3339(at_ns),
        format_file_time(at_ns),
        format_rfc3339(at_ns + DAY_S * SECOND_NS)[:10],
        f"{ago}s",
        f"{seconds}",
        f"GMT-{'.'.join(samba[:3])}-{'.'.join(samba[3:])}",
    ):
        assert store.read(f"/.versions/@{text}/f") == b"one", text


@promise(
    "A TIME that lies ahead is now. "
    "`cat --at` and `restore --at` refuse one that lies more than a minute ahead."
)
def test_the_future_is_as_the_present(store: MemoryStore) -> None:
    """A clock that runs a little late must not hide a file; a mistyped year must not restore it."""
    store.write("/f", b"one")
    at = format_rfc3339(store.clock.now_ns() + 59 * SECOND_NS)

    assert store.read("/.versions/@2200-01-01/f") == b"one"
    assert store.read("/.versions/@9999-12-31/f") == b"one"
    assert version_at(store.fs, b"f", at).size == 3
    with pytest.raises(InvalidTime, match=r"lies ahead: it is 20"):
        version_at(store.fs, b"f", "2200-01-01")


@promise("`.versions/@snapshots` lists instants of the directory, for Samba.")
def test_instants_are_listed_for_programs_that_must_have_a_list(store: MemoryStore) -> None:
    """Each is also a TIME of `.versions` itself."""
    store.write("/f", b"one")
    store.tick()
    [newest, *_] = [name.decode() for name in store.listing("/.versions/@snapshots")]

    assert newest.startswith("@GMT-")
    assert store.read(f"/.versions/@snapshots/{newest}/f") == b"one"
    assert store.read(f"/.versions/{newest}/f") == b"one"


@promise(
    'A TIME before the directory existed is "No such file", and one that makes no sense is '
    '"Invalid argument".'
)
def test_times_without_a_tree_are_refused(store: MemoryStore) -> None:
    """A typing error must not look like an empty past."""
    with pytest.raises(NoSuchName):
        store.stat("/.versions/@1971-01-01")
    with pytest.raises(NoSuchName):
        store.stat("/.versions/@1066-10-14")
    with pytest.raises(NoSuchName):
        store.stat("/.versions/@500y")
    with pytest.raises(InvalidTime):
        store.stat("/.versions/@yesterdy")


@promise("In `.versions` a name that begins with `@` has one more `@` in front.")
def test_names_like_instants_are_escaped(store: MemoryStore) -> None:
    """`@1d` may be somebody's file."""
    store.write("/@1d", b"one")

    assert store.listing("/.versions") == [b"@@1d"]
    assert store.read(f"/.versions/@@1d/{store.listing('/.versions/@@1d')[0].decode()}") == b"one"


@promise("Everything below `.versions` and `.s3fs` is read-only, for root too.")
def test_views_refuse_every_change(store: MemoryStore) -> None:
    """History is not rewritten."""
    store.write("/f", b"one")
    folder = store.stat("/.versions/f").ino
    name = store.listing("/.versions/f")[0]
    version = store.stat(f"/.versions/f/{name.decode()}").ino
    fs, real = store.fs, store.stat("/f").ino
    changes: list[Callable[[], object]] = [
        lambda: fs.open(version, os.O_RDWR, ROOT),
        lambda: fs.open(version, os.O_RDONLY | os.O_TRUNC, ROOT),
        lambda: fs.setattr(version, AttributeChange(mode=0o777), None, ROOT),
        lambda: fs.setxattr(version, b"user.a", b"1", ROOT),
        lambda: fs.unlink(folder, name, ROOT),
        lambda: fs.create(folder, b"g", 0o644, 0, ROOT),
        lambda: fs.mkdir(folder, b"g", 0o755, ROOT),
        lambda: fs.rename(folder, name, ROOT_INO, b"g", 0, ROOT),
        lambda: fs.rename(ROOT_INO, b"f", folder, b"g", 0, ROOT),
        lambda: fs.link(version, ROOT_INO, b"g", ROOT),
        lambda: fs.link(real, folder, b"g", ROOT),
        lambda: fs.create(store.stat("/.s3fs").ino, b"g", 0o644, 0, ROOT),
    ]

    for change in changes:
        with pytest.raises(ReadOnlyView):
            change()


@promise("Nobody can make, rename or remove `.versions`, nor `.s3fs` at the root.")
def test_the_doors_to_views_stay(store: MemoryStore) -> None:
    """Or a file of that name would hide the history."""
    store.mkdir("/d")
    store.write("/f", b"one")
    for path in ("/.versions", "/d/.versions", "/.s3fs"):
        with pytest.raises(NameReserved):
            store.mkdir(path)
        with pytest.raises(NameReserved):
            store.rename("/f", path)
        with pytest.raises(ReadOnlyView):
            store.fs.rmdir(*store.place(path), ROOT)
        with pytest.raises(ReadOnlyView):
            store.rename(path, "/g")
    store.write("/d/.s3fs", b"a name like any other")


@promise(
    "An old version has the owner, group and times it had, and its mode without write permission."
)
def test_an_old_version_looks_as_it_did(store: MemoryStore) -> None:
    """So `cp -p` out of `.versions` gives the file back as it was."""
    store.write("/f", b"one")
    wanted = AttributeChange(mode=0o640, uid=7, gid=8, mtime_ns=START_NS + 9)
    store.fs.setattr(store.stat("/f").ino, wanted, None, ALICE)
    store.write("/f", b"two")
    older = store.stat(f"/.versions/f/{store.listing('/.versions/f')[1].decode()}")

    assert (older.mode & 0o7777, older.uid, older.gid) == (0o440, 7, 8)
    assert older.mtime_ns == START_NS + 9


@promise(
    "Whoever may read a file may read its versions, unless they were kept from them then: by the "
    "mode, owner or ACL of the version, or of a directory in which it was."
)
def test_a_private_draft_stays_private(store: MemoryStore) -> None:
    """A file is opened to others when it is ready."""
    store.write("/f", b"a draft")
    store.chmod("/f", 0o600)
    store.write("/f", b"ready")
    store.chmod("/f", 0o644)
    newest, older = (name.decode() for name in store.listing("/.versions/f")[:2])

    assert store.stat(f"/.versions/f/{newest}").mode & 0o777 == 0o444
    assert store.stat(f"/.versions/f/{older}").mode & 0o777 == 0o400


@promise(
    "Whoever may list a directory may list what was in it; whoever may only search it may ask for "
    "any name they know."
)
def test_a_directory_that_may_only_be_searched(store: MemoryStore) -> None:
    """Mode 711 is that of many a home directory."""
    store.mkdir("/home")
    store.write("/home/f", b"one")
    store.chmod("/home", 0o711)

    assert store.stat("/home/.versions").mode & 0o777 == 0o511
    assert store.stat("/home/.versions/f").mode & 0o777 == 0o555
    assert store.stat("/home/.versions/f/log").mode & 0o777 == 0o444


@promise(
    "Who opens a private directory to others, or moves a file out of one, does not open what was "
    "saved there before."
)
def test_opening_a_directory_opens_the_present(store: MemoryStore) -> None:
    """tests/engine/test_attack_views.py tries every way around it."""
    store.mkdir("/d")
    store.chmod("/d", 0o700)
    store.write("/d/f", b"a draft")
    store.write("/d/f", b"ready")
    store.chmod("/d", 0o755)
    newest, older = (name.decode() for name in store.listing("/d/.versions/f")[:2])

    assert store.stat(f"/d/.versions/f/{newest}").mode & 0o777 == 0o444
    assert store.stat(f"/d/.versions/f/{older}").mode & 0o777 == 0o400


@promise(
    "Who closes a directory closes it in `@TIME`, too. A directory there has the permissions of "
    "then or of now, whichever are fewer."
)
def test_a_directory_that_was_closed_is_closed_in_the_past(store: MemoryStore) -> None:
    """Unlike a snapshot, which stays open for ever."""
    store.mkdir("/d")
    at = f"/.versions/@{store.tick() // SECOND_NS}"
    store.tick()
    store.chmod("/d", 0o700)

    assert store.stat(f"{at}/d").mode & 0o777 == 0o500


@promise(
    "Where owners have changed, a view may grant less than then and now both do, never more. Root "
    "reads everything."
)
def test_a_change_of_owner_grants_nobody_more(store: MemoryStore) -> None:
    """tests/rules/test_access.py compares it with the kernel's rule for everybody."""
    store.mkdir("/d")
    store.chmod("/d", 0o700)
    at = f"/.versions/@{store.tick() // SECOND_NS}"
    store.tick()
    store.fs.setattr(store.stat("/d").ino, AttributeChange(uid=7, gid=7), None, ALICE)

    assert store.stat(f"{at}/d").mode & 0o777 == 0


@promise(
    "`.versions/NAME/` shows each version with the last attributes it had, `@TIME` with those "
    "of that instant."
)
def test_a_mode_taken_back_is_taken_back_in_the_folder_of_the_name(store: MemoryStore) -> None:
    """The past itself stays what it was."""
    store.write("/f", b"one")
    at = f"/.versions/@{store.tick() // SECOND_NS}"
    store.chmod("/f", 0o600)

    newest = store.listing("/.versions/f")[0].decode()
    assert store.stat(f"/.versions/f/{newest}").mode & 0o7777 == 0o400
    assert store.stat(f"{at}/f").mode & 0o7777 == 0o444


@promise("The inode number of an entry in a view is its own, and the same whenever one looks.")
def test_numbers_in_views_are_stable(store: MemoryStore) -> None:
    """`diff`, `tar` and `find` compare them."""
    store.write("/f", b"one")
    newest = f"/.versions/f/{store.listing('/.versions/f')[0].decode()}"
    number = store.stat(newest).ino
    store.write("/f", b"two")

    assert store.stat(newest).ino == number >= FIRST_VIRTUAL_INO


@promise(
    "At the root of a mount `.s3fs/status.json` says how the store is, and `.s3fs/oplog` what was "
    "asked of it last. Only the owner of the store and root can read the second:"
)
@pytest.mark.mount
def test_the_store_tells_of_itself(shared_mount: MountedStore, folder: Path) -> None:
    """For programs that read files and nothing else."""
    (folder / "f").write_text("x")
    told = shared_mount.path / ".s3fs"

    assert json.loads((told / "status.json").read_text())["Health"] == "healthy"
    assert f"'/{folder.name}/f'" in (told / "oplog").read_text()
    assert stat.S_IMODE((told / "oplog").stat().st_mode) == 0o400
    assert (told / "oplog").stat().st_uid == shared_mount.path.stat().st_uid
