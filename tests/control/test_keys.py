"""Commands on keys: what they change, what they refuse, and that data stays as it is."""

import json
from typing import Any

import pytest
import trio

from s3fs_local import errors
from s3fs_local.control.requests import (
    AddKey,
    ChangeEncryption,
    ChangeSecret,
    DescribeEncryption,
    ListKeys,
    RewrapKeys,
    RotateKey,
    SetKeyState,
    SetRetention,
)
from s3fs_local.crypto.key_ring import KeyRing
from s3fs_local.crypto.slot_secrets import KeyFile, Passphrase, RecoveryKey
from s3fs_local.crypto.wrapped_keys import RingForm, form_of
from s3fs_local.engine.key_administration import GENERATION_SETTING
from s3fs_local.engine.ledger import entries
from s3fs_local.errors import KeyDisabled, KeyMissing
from s3fs_local.metadata.changes import PutSetting
from s3fs_local.rules.inode import Caller
from s3fs_local.rules.ledger_notes import Commanded
from s3fs_local.system.randomness import SystemRandomness
from tests.control.test_commands_on_a_store import ask
from tests.engine.memory_store import MemoryStore

BOB = Caller(uid=1001, gid=1001)


def by_key(name: str, algorithm: str = "aws:kms") -> ChangeEncryption:
    """Default encryption by a key of the ring."""
    default = {"SSEAlgorithm": algorithm, "KMSMasterKeyID": name}
    rule = {"ApplyServerSideEncryptionByDefault": default}
    return ChangeEncryption(json.dumps({"Rules": [rule]}).encode())


def keys_of(store: MemoryStore) -> dict[str, Any]:
    """The rows of `key list`, by name."""
    return {row["Name"]: row for row in ask(store, ListKeys())["Keys"]}


def form(store: MemoryStore, path: str) -> RingForm:
    """How the file's newest data key is wrapped."""
    wrapped = store.metadata.key(store.stat(path).key_id)
    assert wrapped is not None
    found = form_of(wrapped)
    assert isinstance(found, RingForm)
    return found


def attribute(store: MemoryStore, path: str, name: str) -> str:
    """The value of `s3.NAME`."""
    return store.fs.getxattr(store.stat(path).ino, b"s3." + name.encode()).decode()


@pytest.fixture
def store() -> MemoryStore:
    """A store with Object Lock and three files."""
    made = MemoryStore(object_lock="true")
    for number in range(3):
        made.write(f"/f{number}", b"content %d" % number)
    return made


def test_a_named_key_wraps_what_is_written_from_then_on(store: MemoryStore) -> None:
    """The story: add a key, make it the default, write, take it away, give it back."""
    ask(store, AddKey("tenant"))
    ask(store, by_key("alias/tenant"))
    store.write("/new", b"of the tenant")

    assert form(store, "/new").name == "tenant"
    assert form(store, "/f0").name == "store"
    assert attribute(store, "/new", "server-side-encryption") == "aws:kms"
    assert attribute(store, "/new", "server-side-encryption-aws-kms-key-id") == "tenant"
    assert attribute(store, "/f0", "server-side-encryption") == "AES256"
    ask(store, SetKeyState("tenant", enabled=False))
    with pytest.raises(KeyDisabled):
        store.read("/new")
    with pytest.raises(KeyDisabled):
        store.write("/more", b"x")
    assert not store.exists("/more")
    assert store.read("/f0") == b"content 0"
    store.rename("/new", "/moved")
    ask(store, SetKeyState("tenant", enabled=True))
    assert store.read("/moved") == b"of the tenant"


def test_the_default_can_be_read_and_taken_back(store: MemoryStore) -> None:
    """DeleteBucketEncryption goes back to SSE-S3, and may be said twice."""
    ask(store, AddKey("tenant"))
    ask(store, by_key("tenant"))
    printed = ask(store, DescribeEncryption())
    rule = printed["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == "tenant"
    for _ in range(2):
        ask(store, ChangeEncryption(None))
    store.write("/f0", b"again")

    assert form(store, "/f0").name == "store"


def test_a_key_need_not_exist_when_it_is_named_and_then_the_first_write_tells(
    store: MemoryStore,
) -> None:
    """As S3."""
    ask(store, by_key("nobody"))
    with pytest.raises(KeyMissing, match="nobody"):
        store.write("/new", b"x")

    assert not store.exists("/new")
    assert not store.history("/new")


def test_kms_without_a_key_takes_the_one_that_aws_makes_by_itself(store: MemoryStore) -> None:
    """`aws/s3`."""
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    ask(store, ChangeEncryption(json.dumps({"Rules": [rule]}).encode()))
    store.write("/new", b"x")

    assert form(store, "/new").name == "aws/s3"


def test_two_layers_of_the_ring_are_two_keys(store: MemoryStore) -> None:
    """DSSE needs no service: one key of the name, and the store's own."""
    ask(store, AddKey("tenant"))
    ask(store, by_key("tenant", "aws:kms:dsse"))
    store.write("/new", b"sealed twice" * 10_000)
    store.flush(durable=True)
    store.crash()

    assert attribute(store, "/new", "server-side-encryption") == "aws:kms:dsse"
    assert store.read("/new") == b"sealed twice" * 10_000
    ask(store, SetKeyState("tenant", enabled=False))
    with pytest.raises(KeyDisabled):
        store.read("/new")


def test_rotation_wraps_new_keys_and_rewrap_the_old_ones(store: MemoryStore) -> None:
    """Data is not touched, locked versions come along, and a second run finds nothing to do."""
    ask(store, SetRetention((b"f1",), mode="COMPLIANCE", until="7d"))
    blocks = [store.metadata.blocks_in_pack(pack) for pack, _, _ in store.metadata.packs()]
    ask(store, RotateKey("store"))
    store.write("/new", b"x")

    assert (form(store, "/f0").version, form(store, "/new").version) == (1, 2)
    assert keys_of(store)["store"]["Versions"] == [
        {"Version": 1, "State": "enabled", "DataKeys": 3},
        {"Version": 2, "State": "enabled", "DataKeys": 1},
    ]
    would = ask(store, RewrapKeys(dry_run=True))
    assert (would["Rewrapped"], form(store, "/f0").version) == (3, 1)
    done = ask(store, RewrapKeys())
    assert (done["Rewrapped"], done["AlreadyNew"], done["Left"]) == (3, 1, 0)
    assert ask(store, RewrapKeys())["Rewrapped"] == 0
    store.crash()
    assert [store.read(f"/f{number}") for number in range(3)] == [
        b"content %d" % number for number in range(3)
    ]
    assert {form(store, f"/f{number}").version for number in range(3)} == {2}
    for before in blocks:
        for block in before:
            assert store.metadata.block(block.block_id) == block


def test_a_rewrap_that_was_cut_off_goes_on_where_it_was(store: MemoryStore) -> None:
    """What is new already is only looked at."""
    ask(store, RotateKey("store"))
    administration = store.fs.key_administration

    class Stopped(Exception):
        pass

    async def stop(done: int, total: int) -> None:
        assert 0 < done <= total
        raise Stopped

    with pytest.raises(Stopped):
        trio.run(
            lambda: administration.rewrap(None, forget_old=False, dry_run=False, on_progress=stop)
        )
    store.flush(durable=True)
    store.crash()

    assert ask(store, RewrapKeys()) == {
        "Rewrapped": 0, "AlreadyNew": 3, "Left": 0, "Destroyed": [], "DryRun": False,
    }  # fmt: skip
    assert store.read("/f2") == b"content 2"


def test_an_old_version_is_destroyed_only_when_nothing_needs_it(store: MemoryStore) -> None:
    """Afterwards no copy of the old wraps opens."""
    old = form(store, "/f0")
    ask(store, RotateKey("store"))
    ask(store, SetKeyState("store", enabled=False, version=1))
    with pytest.raises(errors.InvalidArgument, match="still wrapped by version 1"):
        ask(store, RewrapKeys(forget_old=True))
    assert [version["Version"] for version in keys_of(store)["store"]["Versions"]] == [1, 2]
    ask(store, SetKeyState("store", enabled=True, version=1))
    done = ask(store, RewrapKeys(forget_old=True))

    assert [row["Version"] for row in done["Destroyed"]] == [1]
    assert store.read("/f0") == b"content 0"
    with pytest.raises(KeyMissing):
        store.fs.volume.keys.ring.unwrap(old, b"")


def test_nothing_is_destroyed_while_an_older_version_wraps(store: MemoryStore) -> None:
    """With the newest one disabled, new files are wrapped by the one before."""
    ask(store, RotateKey("store"))
    ask(store, RewrapKeys())
    ask(store, SetKeyState("store", enabled=False, version=2))
    store.write("/new", b"x")
    assert form(store, "/new").version == 1
    with pytest.raises(errors.InvalidArgument, match="newest version"):
        ask(store, RewrapKeys(forget_old=True))
    ask(store, SetKeyState("store", enabled=True, version=2))

    assert store.read("/new") == b"x"


def test_the_key_of_a_locked_version_is_not_destroyed(store: MemoryStore) -> None:
    """The gate says which lock, before anybody says anything else."""
    ask(store, SetRetention((b"f0",), mode="COMPLIANCE", until="7d"))
    ask(store, RotateKey("store"))
    ask(store, SetKeyState("store", enabled=False, version=1))
    with pytest.raises(errors.Protected, match="COMPLIANCE"):
        ask(store, RewrapKeys(forget_old=True))
    ask(store, SetKeyState("store", enabled=True, version=1))

    assert store.read("/f0") == b"content 0"


def test_disabling_a_key_closes_it_to_who_has_a_file_open(store: MemoryStore) -> None:
    """A reader learns it at the next read, a writer can still save."""
    reader = store.open("/f0", 0)
    ask(store, SetKeyState("store", enabled=False))
    with pytest.raises(KeyDisabled):
        trio.run(store.fs.read, reader, 0, 100)
    ask(store, SetKeyState("store", enabled=True))
    writer = store.open("/f1")
    store.fs.write(writer, 0, b"CONTENT")
    ask(store, SetKeyState("store", enabled=False))
    store.close(writer)
    ask(store, SetKeyState("store", enabled=True))

    assert store.read("/f1") == b"CONTENT 1"


def test_names_that_are_not_there_and_names_that_are(store: MemoryStore) -> None:
    """Each says so, and nothing is changed."""
    generation = ask(store, ListKeys())["Generation"]
    for request in (RotateKey("x"), SetKeyState("x", enabled=False), RewrapKeys("x")):
        with pytest.raises(errors.NoSuchKey):
            ask(store, request)
    with pytest.raises(errors.NoSuchKey):
        ask(store, SetKeyState("store", enabled=False, version=9))
    with pytest.raises(errors.NameTaken):
        ask(store, AddKey("store"))
    with pytest.raises(errors.InvalidArgument):
        ask(store, AddKey(""))

    assert ask(store, ListKeys())["Generation"] == generation


def test_only_the_owner_looks_after_keys(store: MemoryStore) -> None:
    """Listing tells how much is sealed with what; everything else could lock others out."""
    for request in (
        ListKeys(),
        AddKey("x"),
        RotateKey("store"),
        SetKeyState("store", enabled=False),
        RewrapKeys(),
        ChangeSecret("recovery", "x"),
        ChangeEncryption(None),
    ):
        with pytest.raises((errors.NotPermitted, errors.WrongKey)):
            ask(store, request, BOB)


def test_a_new_secret_takes_the_place_of_one_of_its_kind(store: MemoryStore) -> None:
    """And is not shown where requests are logged."""
    first, second = (RecoveryKey.generate(SystemRandomness()) for _ in range(2))
    saved: list[bytes] = []
    store.fs.key_administration.save = saved.append
    for key in (first, second):
        ask(store, ChangeSecret("recovery", key.text()))

    assert KeyRing.open(saved[-1], second).names() == ["store"]
    assert KeyRing.open(saved[-1], KeyFile(bytes(32))).names() == ["store"]
    with pytest.raises(errors.WrongKey):
        KeyRing.open(saved[-1], first)
    assert second.text() not in repr(ChangeSecret("recovery", second.text()))


def test_what_the_store_names_opens_it_at_each_instant(store: MemoryStore) -> None:
    """`key passphrase --only` that is killed: before the passphrase is asked for, it opens."""
    saved: list[bytes] = []
    opened_by: list[list[str]] = []
    administration = store.fs.key_administration

    async def name(opener: str) -> None:
        assert opener == "passphrase"
        for secret in (KeyFile(bytes(32)), Passphrase("second")):
            assert KeyRing.open(saved[-1], secret).names() == ["store"]
        opened_by.append(administration.ring.slot_kinds())

    administration.save = saved.append
    administration.name_opener = name
    ask(store, ChangeSecret("passphrase", "first"))
    ask(store, ChangeSecret("passphrase", "second", opener="passphrase", alone=True))
    assert opened_by == [["key-file", "passphrase", "passphrase"]]
    assert administration.ring.slot_kinds() == ["passphrase"]
    assert KeyRing.open(saved[-1], Passphrase("second")).names() == ["store"]
    for secret in (KeyFile(bytes(32)), Passphrase("first")):
        with pytest.raises(errors.WrongKey):
            KeyRing.open(saved[-1], secret)


def test_a_ring_that_cannot_be_written_is_not_changed(store: MemoryStore) -> None:
    """A full disk costs the change and nothing else."""

    def full(_: bytes) -> None:
        raise errors.StoreFull("no space left")

    store.fs.key_administration.save = full
    with pytest.raises(errors.StoreFull):
        ask(store, RotateKey("store"))

    assert keys_of(store)["store"]["Versions"] == [
        {"Version": 1, "State": "enabled", "DataKeys": 3}
    ]
    store.write("/new", b"x")
    assert form(store, "/new").version == 1


@pytest.mark.parametrize("is_full", [False, True])
def test_what_is_written_while_the_ring_is_written_opens_by_the_ring_on_the_disk(
    store: MemoryStore, *, is_full: bool
) -> None:
    """Else it is lost: fsync answered, and no ring has the version of the key that wrapped it."""
    saving = store.fs.key_administration.save

    def slowly(ring: bytes) -> None:
        """Somebody writes a file before the ring is durable, which it may never be."""
        store.write("/meanwhile", b"acknowledged")
        if is_full:
            raise errors.StoreFull("no space left")
        saving(ring)

    store.fs.key_administration.save = slowly
    if is_full:
        with pytest.raises(errors.StoreFull):
            ask(store, RotateKey("store"))
    else:
        ask(store, RotateKey("store"))
    store.settle()
    store.crash()
    assert store.read("/meanwhile") == b"acknowledged"
    ask(store, RotateKey("store"))  # the number is given again, to another key
    store.write("/after", b"after")
    store.settle()
    store.crash()
    assert [store.read(path) for path in ("/meanwhile", "/after")] == [b"acknowledged", b"after"]


def test_a_file_that_is_opened_while_its_key_is_disabled_can_be_closed(
    store: MemoryStore,
) -> None:
    """Who could open it for writing writes all of it: its key is pinned, however late it came."""
    saving = store.fs.key_administration.save
    store.fs.volume.keys.forget(store.stat("/f0").key_id)
    handles: list[int] = []

    def slowly(ring: bytes) -> None:
        handles.append(store.open("/f0"))
        saving(ring)

    store.fs.key_administration.save = slowly
    ask(store, SetKeyState("store", enabled=False))
    store.fs.write(handles[0], 0, b"CONTENT")
    store.close(handles[0])
    store.fs.key_administration.save = saving
    ask(store, SetKeyState("store", enabled=True))
    assert store.read("/f0") == b"CONTENT 0"


def test_sse_c_is_refused_for_a_single_file(store: MemoryStore) -> None:
    """EOPNOTSUPP: a key that only the customer has would shut out versions, checks and replicas."""
    ino = store.stat("/f0").ino
    for name in (b"s3.server-side-encryption-customer-algorithm", b"s3.server-side-encryption"):
        with pytest.raises(errors.Unsupported, match="SSE-C"):
            trio.run(store.fs.set_lock_attribute, ino, name, b"AES256", Caller(uid=0, gid=0))


def test_an_earlier_ring_that_is_put_back_is_noticed(store: MemoryStore) -> None:
    """It lacks keys, and an old passphrase would open it."""
    ask(store, RotateKey("store"))
    earlier = store.saved_ring
    ask(store, RotateKey("store"))
    store.crash()
    store.saved_ring = earlier
    with pytest.raises(errors.StoreDamaged, match="earlier one"):
        store.crash()


def test_the_ledger_tells_of_each_change_of_the_ring(store: MemoryStore) -> None:
    """Who rotated or disabled a key, and which generation of the ring came of it."""
    ask(store, RotateKey("store"))
    ask(store, SetKeyState("store", enabled=False, version=1))
    store.settle()
    batches = [
        batch
        for entry in entries(store.fs.volume.durability.ledger.ledger)
        for batch in entry.batches
    ]
    notes = [note for batch in batches for note in batch.notes]
    commands = [note.command for note in notes if isinstance(note, Commanded)]
    generations = [
        change.value
        for batch in batches
        for change in batch.changes
        if isinstance(change, PutSetting) and change.name == GENERATION_SETTING
    ]

    assert commands == ["key-rotate", "key-state"]
    assert len(set(generations)) == 2
