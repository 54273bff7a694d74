"""docs/semantics.md, 12: encryption and keys."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import trio

from s3fs_local.control.requests import (
    AddKey,
    ChangeEncryption,
    ChangeSecret,
    RewrapKeys,
    RotateKey,
    SetKeyState,
    SetRetention,
)
from s3fs_local.crypto.key_ring import KeyRing
from s3fs_local.crypto.slot_secrets import KeyFile, Passphrase, Secret
from s3fs_local.crypto.wrapped_keys import RingForm, form_of
from s3fs_local.errors import (
    KeyDisabled,
    KeyMissing,
    KeyServiceUnavailable,
    StoreDamaged,
    StoreFull,
    Unsupported,
)
from s3fs_local.fuse.errno_table import errno_of
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.inode import Caller
from s3fs_local.rules.settings import Settings
from tests.control.test_commands_on_a_store import ask
from tests.engine.memory_store import ALICE, MemoryStore
from tests.semantics.promises import promise
from tests.store_on_disk import make_store_of_zones, opened


def use_key(store: MemoryStore, name: str) -> None:
    """What is written from now on is under that key."""
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": name}
    rule = {"ApplyServerSideEncryptionByDefault": default}
    ask(store, ChangeEncryption(json.dumps({"Rules": [rule]}).encode()))


def wrapped_by(store: MemoryStore, path: str) -> tuple[str, int]:
    """Name and version of what wraps the file's newest data key."""
    form = form_of(store.metadata.key(store.stat(path).key_id) or b"")
    assert isinstance(form, RingForm)
    return form.name, form.version


@pytest.fixture
def store() -> MemoryStore:
    """A store with a key `tenant`, one file under the store's key, one under that."""
    made = MemoryStore(zone=MemoryObjects(), object_lock="true")
    ask(made, AddKey("tenant"))
    made.write("/plain", b"under the store's key")
    use_key(made, "tenant")
    made.write("/secret", b"first content")
    made.write("/secret", b"second content")
    return made


@promise("Everything that a zone holds is encrypted: contents, names and attributes.")
def test_a_zone_tells_nothing(store: MemoryStore) -> None:
    """Disks are stolen, buckets are left open."""
    ino = store.stat("/secret").ino
    store.fs.setxattr(ino, b"user.secret", b"value of it", ALICE)
    store.flush(durable=True)
    store.settle()
    for name in store.zone.list(""):
        content = store.zone.read(name, 0, 1 << 30)
        for words in (b"secret", b"second content", b"value of it", b"tenant"):
            assert words not in content


@promise("The default encryption of a store is for what is written from then on.")
def test_what_is_there_keeps_its_key(store: MemoryStore) -> None:
    """As in S3."""
    assert wrapped_by(store, "/plain") == ("store", 1)
    assert wrapped_by(store, "/secret") == ("tenant", 1)
    store.write("/plain", b"written again")
    assert wrapped_by(store, "/plain") == ("tenant", 1)


@promise("A file whose key is disabled cannot be opened, nor its old versions.")
def test_a_disabled_key_closes_files(store: MemoryStore) -> None:
    """EKEYREVOKED tells why."""
    (old,) = [name for name in store.listing("/.versions/secret") if name[:1].isdigit()][1:]
    ask(store, SetKeyState("tenant", enabled=False))
    for path in ("/secret", f"/.versions/secret/{old.decode()}"):
        with pytest.raises(KeyDisabled) as refused:
            store.open(path, os.O_RDONLY)
        assert errno_of(refused.value) == errno.EKEYREVOKED
    assert store.read("/plain") == b"under the store's key"


@promise("Where a key is missing, opening fails with ENOKEY, and no new file is made.")
def test_a_missing_key_is_told(store: MemoryStore) -> None:
    """S3 lets a key be named that does not exist; the first write tells."""
    use_key(store, "nobody")
    with pytest.raises(KeyMissing) as refused:
        store.write("/new", b"x")
    assert errno_of(refused.value) == errno.ENOKEY
    assert not store.exists("/new")


@promise("Names, listings, attributes, renames and removals need no key.")
def test_the_tree_needs_no_key(store: MemoryStore) -> None:
    """A lost key must not keep anybody from tidying up."""
    ask(store, SetKeyState("tenant", enabled=False))
    store.rename("/secret", "/moved")
    store.chmod("/moved", 0o600)
    assert store.stat("/moved").size == len(b"second content")
    store.remove("/moved")
    assert b"moved" in store.listing("/.versions")


@promise("A version needs the keys of all that it shares with the one before.")
def test_shared_bytes_keep_their_key(store: MemoryStore) -> None:
    """A change of a byte does not seal a large file anew."""
    store.fs.volume.settings = Settings(object_lock=True)
    store.write("/large", b"x" * 3_000_000)
    use_key(store, "tenant")
    store.patch("/large", 0, b"y")
    ask(store, SetKeyState("tenant", enabled=False))
    with pytest.raises(KeyDisabled):
        store.open("/large", os.O_RDONLY)
    ask(store, SetKeyState("tenant", enabled=True))
    ask(store, SetKeyState("store", enabled=False))
    with pytest.raises(KeyDisabled):
        store.open("/large", os.O_RDONLY)


@promise("A file that is open for writing can be saved, although its key was disabled meanwhile.")
def test_a_writer_saves(store: MemoryStore) -> None:
    """Taking a key away must not lose what somebody has just typed."""
    handle = store.open("/secret")
    store.fs.write(handle, 0, b"SECOND")
    ask(store, SetKeyState("tenant", enabled=False))
    store.close(handle)
    ask(store, SetKeyState("tenant", enabled=True))
    assert store.read("/secret") == b"SECOND content"


@promise("Rotating and rewrapping keys touches no data, so it is done for locked files, too.")
def test_locked_files_are_rewrapped(store: MemoryStore) -> None:
    """A lock of ten years would otherwise hold a key of ten years."""
    ask(store, SetRetention((b"secret",), mode="COMPLIANCE", until="7d"))
    before = {name: store.zone.read(name, 0, 1 << 30) for name in store.zone.list("packs/")}
    ask(store, RotateKey("tenant"))
    ask(store, RewrapKeys())
    assert wrapped_by(store, "/secret") == ("tenant", 2)
    assert store.read("/secret") == b"second content"
    assert {name: store.zone.read(name, 0, 1 << 30) for name in before} == before


@promise("Whoever changes what opens a store is not locked out, wherever that ends.")
@pytest.mark.parametrize("steps", range(4))
def test_something_always_opens_the_store(store: MemoryStore, steps: int) -> None:
    """`key passphrase --only`, ended after so many of its steps that are durable."""
    asked_for: Secret = KeyFile(bytes(32))
    done = 0

    def step() -> None:
        nonlocal done
        if done == steps:
            raise StoreFull("no space left")
        done += 1

    def save(ring: bytes) -> None:
        step()
        store.saved_ring = ring

    async def name(_: str) -> None:
        nonlocal asked_for
        step()
        asked_for = Passphrase("new")

    administration = store.fs.key_administration
    store.saved_ring = administration.ring.serialize()
    administration.save, administration.name_opener = save, name
    request = ChangeSecret("passphrase", "new", opener="passphrase", alone=True)
    if steps < 3:
        with pytest.raises(StoreFull):
            ask(store, request)
    else:
        ask(store, request)
    assert KeyRing.open(store.saved_ring, asked_for).names()
    steps = 9
    ask(store, request)
    assert KeyRing.open(store.saved_ring, Passphrase("new")).slot_kinds() == ["passphrase"]


@promise("A store does not open with an earlier key ring that was put back.")
def test_an_earlier_ring_is_refused(store: MemoryStore) -> None:
    """It lacks keys, and secrets that were taken away would open it."""
    ask(store, RotateKey("store"))
    earlier = store.saved_ring
    ask(store, RotateKey("store"))
    store.saved_ring = earlier
    with pytest.raises(StoreDamaged):
        store.crash()


@promise("Copies of the key ring are replaced only by the one that opened the store.")
def test_a_foreign_key_ring_costs_nothing(tmp_path: Path) -> None:
    """It is newer; the long form is in tests/cli/test_key_commands.py."""

    async def rotate(place: Path) -> None:
        async with opened(place / "store") as disk:
            await disk.ask(RotateKey("store"))

    async def write(place: Path) -> None:
        async with opened(place / "store") as disk:
            disk.write("file", b"content")

    async def read(place: Path) -> bytes:
        async with opened(place / "store") as disk:
            return await disk.read("file")

    places = [tmp_path / "one", tmp_path / "other"]
    for place in places:
        place.mkdir()
        make_store_of_zones(place, 1)
    trio.run(write, places[0])
    trio.run(rotate, places[1])
    shutil.copy(places[1] / "store" / "key-ring.json", places[0] / "store")
    assert trio.run(read, places[0]) == b"content"


@promise("No file is written by a key before the ring that has the key is durable.")
def test_no_file_has_a_key_that_no_ring_has(store: MemoryStore) -> None:
    """The disk turns out to be full while a program writes."""

    def full(_: bytes) -> None:
        store.write("/meanwhile", b"acknowledged")
        raise StoreFull("no space left")

    store.fs.key_administration.save = full
    with pytest.raises(StoreFull):
        ask(store, RotateKey("store"))
    store.settle()
    store.crash()
    assert store.read("/meanwhile") == b"acknowledged"


@promise("Keys that customers keep themselves (SSE-C) are refused with EOPNOTSUPP.")
def test_no_keys_of_customers(store: MemoryStore) -> None:
    """Versions, checks and replicas need the key when the customer is away."""
    name = b"s3.server-side-encryption-customer-algorithm"
    ino = store.stat("/plain").ino
    with pytest.raises(Unsupported, match="SSE-C") as refused:
        trio.run(store.fs.set_lock_attribute, ino, name, b"AES256", Caller(uid=0, gid=0))
    assert errno_of(refused.value) == errno.EOPNOTSUPP


@promise("Where a KMS does not answer, opening a file of its keys fails with ETIMEDOUT.")
def test_a_silent_kms_is_told() -> None:
    """Within seconds, and at once for those who come next."""
    store = MemoryStore(
        kms='"http://127.0.0.1:9"',
        kms_region='"eu-central-1"',
        encryption='{"algorithm":"aws:kms","key":"k"}',
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        with pytest.raises(KeyServiceUnavailable) as refused:
            store.open_waiting("/new", os.O_CREAT | os.O_WRONLY)
    assert errno_of(refused.value) == errno.ETIMEDOUT
    assert not store.exists("/new")
