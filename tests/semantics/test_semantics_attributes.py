"""docs/semantics.md, 6: attributes."""

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.limits import TIME_NS_MAX
from tests.engine.memory_store import ALICE, MemoryStore
from tests.semantics.promises import promise


@promise("Attributes change in place, and `@TIME` shows what they were.")
def test_the_past_keeps_its_attributes(store: MemoryStore) -> None:
    """A tree brought back has the modes and owners it had."""
    store.write("/f", b"one")
    store.chmod("/f", 0o640)
    at = f"/.versions/@{store.tick() // SECOND_NS}"
    store.tick()
    store.chmod("/f", 0o600)
    store.fs.setattr(store.stat("/f").ino, AttributeChange(uid=7), None, ALICE)

    then = store.stat(f"{at}/f")
    assert (then.mode & 0o777, then.uid) == (0o440, ALICE.uid)
    assert store.stat("/f").uid == 7


@promise("Times are kept from the year 1677 to 2262; others become the nearest of these.")
def test_times_beyond_the_calendar_are_clamped(store: MemoryStore) -> None:
    """One `touch -d 2300-01-01` must not be more than a database can hold."""
    store.write("/f", b"one")
    far = AttributeChange(mtime_ns=1 << 70)

    assert store.fs.setattr(store.stat("/f").ino, far, None, ALICE).mtime_ns == TIME_NS_MAX


@promise("Reading does not change the access time.")
def test_reading_changes_nothing(store: MemoryStore) -> None:
    """As with the mount option `noatime`: a read is no write."""
    store.write("/f", b"one")
    before = store.stat("/f")
    store.tick()
    store.read("/f")

    assert store.stat("/f") == before


@promise("Extended attributes and ACLs are kept, and come back with a restored file.")
def test_extended_attributes_come_back(store: MemoryStore) -> None:
    """They belong to what a file was."""
    store.write("/f", b"one")
    ino = store.stat("/f").ino
    store.fs.setxattr(ino, b"user.colour", b"blue", ALICE)
    store.write("/f", b"two")
    older = store.fs.volume.metadata.versions(ino)[-1]
    store.fs.removexattr(ino, b"user.colour", ALICE)
    was = store.fs.histories.version_as_file(older)
    store.fs.restore_content(ino, ino, older.stamp_ns, caller=ALICE, like=was)

    assert store.fs.getxattr(ino, b"user.colour") == b"blue"


@promise("Every change has its own instant, in nanoseconds, and no two share one.")
def test_no_two_changes_share_an_instant(store: MemoryStore) -> None:
    """Also within one tick of the clock: order is never in doubt."""
    handles = [store.open(f"/f{number}", 0o101) for number in range(10)]
    for handle in handles:
        store.close(handle)
    stamps = [store.stat(f"/f{number}").version_ns for number in range(10)]
    stamps += [store.stat(f"/f{number}").btime_ns for number in range(10)]

    assert len(set(stamps)) == 20


@promise("Holes take no space, and `st_blocks` does not count them.")
def test_holes_take_no_space(store: MemoryStore) -> None:
    """Images of virtual disks are mostly holes."""
    store.write("/f", b"one")
    store.truncate("/f", 1 << 40)

    assert store.stat("/f").size == 1 << 40
    assert store.stat("/f").allocated == 3


@promise("A directory has size 0; its link count is 2 and one more for each directory in it.")
def test_the_numbers_of_a_directory(store: MemoryStore) -> None:
    """`find` relies on the link count."""
    store.mkdir("/d")
    store.mkdir("/d/e")
    store.write("/d/f", b"one")

    assert (store.stat("/d").size, store.stat("/d").nlink) == (0, 3)


@promise("No inode number is ever used twice.")
def test_inode_numbers_are_never_used_again(store: MemoryStore) -> None:
    """A backup that compares numbers never takes one file for another."""
    store.write("/f", b"one")
    first = store.stat("/f").ino
    store.settle()
    store.remove("/f")
    store.flush()
    store.crash()
    store.write("/f", b"one")

    assert store.stat("/f").ino > first
