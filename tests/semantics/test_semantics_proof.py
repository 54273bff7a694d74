"""What docs/semantics.md promises of the ledger and of `verify`.

The many ways to alter a store are in tests/cli/test_verify_finds_what_was_altered.py; here is one
of each kind.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.engine.discrepancies import Kind
from s3fs_local.engine.ledger import entries
from s3fs_local.engine.pack_keeping import GROWS_NS_MAX
from s3fs_local.errors import Protected
from s3fs_local.metadata.changes import Change, PutInode, PutVersion
from s3fs_local.packs.ledger import STREAM
from s3fs_local.packs.segment_copies import segment_name
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.ledger_notes import Refused
from s3fs_local.rules.retention import Bypass, Retention
from tests.engine.memory_store import ALICE, ROOT, MemoryStore
from tests.engine.test_pack_keeping import has_the_flag, leave_pack, seal, zone_in
from tests.engine.verified import check_verified, verified
from tests.mounting import MountedStore, answer_of, s3fs_local
from tests.pretended_machine import START, PretendedMachine
from tests.semantics.promises import promise

DAY_NS = 86_400 * SECOND_NS


def lock(store: MemoryStore, path: str, mode: str = "COMPLIANCE") -> int:
    """The file exists and is locked for 30 days."""
    store.write(path, b"content of " + path.encode())
    ino = store.stat(path).ino
    until_ns = store.clock.now_ns() + 30 * DAY_NS
    store.fs.locks.set_retention(ino, Retention(mode, until_ns), caller=ALICE)
    store.settle()
    return ino


def alter(store: MemoryStore, ino: int) -> None:
    """Somebody takes the lock out of the database."""
    metadata = store.metadata
    inode = metadata.inode(ino)
    assert inode is not None
    version = metadata.version(ino, inode.version_ns)
    assert version is not None
    without: list[Change] = [
        PutInode(structs.replace(inode, lock=None)),
        PutVersion(structs.replace(version, lock=None)),
    ]
    metadata.apply(without)
    metadata.commit(metadata.position())


def change_object(store: MemoryStore, name: str, change: Callable[[bytearray], None]) -> None:
    """Somebody alters a file of the zone."""
    data = bytearray(store.zone.read(name, 0, store.zone.length(name)))
    change(data)
    store.zone.put(name, bytes(data))


@promise("Time that nobody measured ends no lock:")
def test_a_reboot_ends_no_lock() -> None:
    """Nor does the date of a machine that lives in 2099."""
    machine = PretendedMachine()
    state = machine.clock().state
    machine.reboot()
    machine.wall += 70 * 365 * DAY_NS

    assert machine.clock(floor_ns=START, state=state).expiry_ns() == START


@promise(
    "Every commit, removal, change of a lock, bypass and refusal is in the ledger, which only "
    "grows."
)
def test_everything_is_in_the_ledger(store: MemoryStore) -> None:
    """What an auditor asks for first."""
    ino = lock(store, "f", "GOVERNANCE")
    with pytest.raises(Protected) as refusal:
        store.remove("f")
    store.fs.refusals.note(refusal.value, ALICE)
    bypass = Bypass(entitled=True, reason="ticket 4711")
    store.fs.locks.set_retention(ino, None, caller=ROOT, bypass=bypass)
    store.remove("f")
    store.settle()
    batches = [
        batch
        for entry in entries(store.fs.volume.durability.ledger.ledger)
        for batch in entry.batches
    ]
    told = {type(change).__name__ for batch in batches for change in batch.changes}
    told |= {type(note).__name__ for batch in batches for note in batch.notes}

    assert {"PutVersion", "CloseEntry", "PutInode", "Bypassed", "LockLifted", "Refused"} <= told


@promise(
    "`verify` finds any altered, removed, inserted or reordered record of the ledger, in any zone."
)
def test_an_altered_ledger_is_found(store: MemoryStore) -> None:
    """Here by one bit; with keys in hand in the tests of the command."""
    lock(store, "f")
    lock(store, "g")
    store.crash()
    change_object(store, segment_name(1, STREAM), lambda data: data.__setitem__(150, data[150] ^ 1))

    assert Kind.RECORD in {found.kind for found in verified(store).found}


@promise(
    "`verify` finds any row of the database that is not as the ledger says, and names file, "
    "version and time."
)
def test_an_edited_row_is_found(store: MemoryStore) -> None:
    """Thirty kinds of edits are in the tests of the command."""
    alter(store, lock(store, "f"))
    store.crash()
    found = [one for one in verified(store).found if one.path == b"f"]

    assert {one.kind for one in found} == {Kind.FACT}
    assert all(one.version and one.at_ns for one in found)


@promise("`verify` finds any altered byte of a locked version, in one zone or in all.")
def test_an_altered_byte_is_found(store: MemoryStore) -> None:
    """Also where another zone hides it from readers."""
    lock(store, "f")
    (pack,) = store.zone.list("packs/")
    change_object(store, pack, lambda data: data.__setitem__(-1, data[-1] ^ 1))
    (found,) = verified(store).found

    assert (found.kind, found.path) == (Kind.BYTES, b"f")


@promise(
    "An edit of a row is found even after a lawful change of the same file has written it into the "
    "ledger."
)
def test_a_laundered_edit_is_found(store: MemoryStore) -> None:
    """Take the lock out of the row, mount, and let the daemon itself remove the file."""
    alter(store, lock(store, "f"))
    store.crash()
    store.remove("f")

    assert Kind.LAW in {found.kind for found in verified(store).found}


@promise("A million refusals of one kind are one note with their number.")
def test_refusals_are_counted(store: MemoryStore) -> None:
    """Nobody fills the disk by being refused."""
    lock(store, "f")
    with pytest.raises(Protected) as refusal:
        store.remove("f")
    for _ in range(10_000):
        store.fs.refusals.note(refusal.value, ALICE)
    store.settle()
    *_, last = entries(store.fs.volume.durability.ledger.ledger)
    (note,) = [note for batch in last.batches for note in batch.notes]

    assert isinstance(note, Refused)
    assert note.count == 10_000


@promise("Nothing that was acknowledged is ever missing in the ledger.")
def test_a_killed_daemon_loses_nothing_of_it(store: MemoryStore) -> None:
    """Power cuts, and kills at any moment, are in tests/simulation."""
    lock(store, "f")
    store.write("g", b"acknowledged, not settled")
    store.flush(durable=True)
    store.crash()

    check_verified(store)


@promise(
    "In a store with Object Lock, packs that no longer grow are immutable where the disk can do "
    "that."
)
def test_packs_are_immutable(tmp_path: Path) -> None:
    """`rm` by root is a mistake more often than an attack."""
    if not has_the_flag(tmp_path):
        pytest.skip("this user, or this filesystem, cannot make files immutable")
    store = MemoryStore(zone=zone_in(tmp_path), object_lock="true")
    store.write("f", b"one")
    store.flush(durable=True)
    leave_pack(store)
    assert seal(store) == 1
    (pack,) = store.zone.list("packs/")
    with pytest.raises(PermissionError):
        (tmp_path / "zone" / pack).unlink()

    store.zone.delete(pack)
    assert GROWS_NS_MAX == DAY_NS


@pytest.mark.mount
@promise("`verify` says the same beside a mount in use and without one.")
@promise(
    "`verify --head` finds a ledger that was rewritten by somebody who has the keys, and an older "
    "copy put back."
)
def test_verify_beside_a_mount_and_without(
    make_mount: Callable[..., MountedStore], tmp_path: Path
) -> None:
    """By the daemon while it works, and by the command alone; with a head of a later day, too."""
    mounted = make_mount()
    store = mounted.store
    s3fs_local("config", "set", store, "object-lock", "on")
    mounted.sh("echo locked >f; echo free >g")
    s3fs_local("retention", "set", "compliance", "30d", mounted.path / "f")
    online = answer_of("verify", store)
    assert online["Intact"], online
    assert online["Versions"] == 1
    head = tmp_path / "head.json"
    s3fs_local("ledger", "export", store, head, "--head-only")
    mounted.umount()
    offline = answer_of("verify", store, "--head", head)
    assert offline["Intact"], offline
    assert offline["Versions"] == 1
    (pack,) = (store / "zones").rglob("*.pack")
    data = bytearray(pack.read_bytes())
    data[60] ^= 1
    pack.write_bytes(data)
    told = []
    for where in ("offline", "online"):
        if where == "online":
            mounted.mount()
        result = s3fs_local("verify", store, "--json", check=False)
        assert result.returncode == ExitCode.ALTERED
        found = json.loads(result.stdout)["Discrepancies"]
        told.append([(one["Kind"], one["Key"], one["VersionId"], one["Time"]) for one in found])

    assert told[0] == told[1]
    assert [(kind, key) for kind, key, _, _ in told[0]] == [("bytes", "f")]
    later = json.loads(head.read_text())
    later["Head"]["Record"] += 100
    head.write_text(json.dumps(later))
    assert s3fs_local("verify", store, "--head", head, check=False).returncode == ExitCode.ALTERED
