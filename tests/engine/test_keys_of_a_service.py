"""Data keys that a real key service wraps: what works while it is there, refuses, or is away."""

import json
import os
from collections.abc import Mapping

import pytest
import trio
from msgspec import structs

from s3fs_local.crypto.aws_kms import COOL_SECONDS, AwsKms
from s3fs_local.crypto.wrapped_keys import BucketForm, ServiceForm, TwoForm, form_of
from s3fs_local.errors import (
    DataDamaged,
    KeyDisabled,
    KeyMissing,
    KeyNotPermitted,
    KeyServiceUnavailable,
)
from s3fs_local.metadata.changes import PutKey
from s3fs_local.rules.encryption import parse_encryption
from s3fs_local.rules.settings import parse_setting
from tests.aws_server import REGION, AwsServer
from tests.engine.memory_store import MemoryStore

pytestmark = [pytest.mark.s3, pytest.mark.slow]


def document(key: str, algorithm: str = "aws:kms", *, bucket_key: bool = False) -> str:
    """Default encryption by that key."""
    default = {"SSEAlgorithm": algorithm, "KMSMasterKeyID": key}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
    return json.dumps({"Rules": [rule]})


def make_store(aws: AwsServer, encryption: str) -> MemoryStore:
    """A store whose default encryption is that, by the service."""
    return MemoryStore(
        kms=parse_setting("kms", aws.url),
        kms_region=parse_setting("kms-region", REGION),
        encryption=parse_setting("encryption", encryption),
    )


class Seconds:
    """A monotonic clock that stands until it is moved."""

    def __init__(self, store: MemoryStore) -> None:
        self.now = 1000.0
        keys = store.fs.volume.keys
        object.__setattr__(keys, "seconds", lambda: self.now)
        object.__setattr__(keys.questions, "_seconds", lambda: self.now)
        service = keys.service
        assert service is not None
        object.__setattr__(service, "_seconds", lambda: self.now)


def write(store: MemoryStore, path: str, content: bytes) -> None:
    """The file holds the content; keys were obtained as the front does."""
    store.tick()
    handle = store.open_waiting(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    store.fs.write(handle, 0, content)
    store.close(handle)


def read(store: MemoryStore, path: str) -> bytes:
    """The content, opened and read as the front does."""
    handle = store.open_waiting(path, os.O_RDONLY)
    content = trio.run(store.fs.read, handle, 0, 1 << 20)
    store.fs.release(handle)
    return content


def wrapped(store: MemoryStore, path: str) -> bytes:
    """The wrapped data key of the file."""
    found = store.metadata.key(store.stat(path).key_id)
    assert found is not None
    return found


def test_each_file_has_a_key_that_the_service_made(aws: AwsServer) -> None:
    """The story: write, be killed, read again by asking the service."""
    key = aws.make_key()
    store = make_store(aws, document(key))
    write(store, "/a", b"one")
    write(store, "/b", b"two")
    store.flush(durable=True)
    store.crash()

    assert (read(store, "/a"), read(store, "/b")) == (b"one", b"two")
    forms = [form_of(wrapped(store, path)) for path in ("/a", "/b")]
    assert all(isinstance(form, ServiceForm) and form.key == key for form in forms)
    assert forms[0] != forms[1]


def test_a_bucket_key_saves_calls(aws: AwsServer) -> None:
    """S3 Bucket Keys: one call of the service, then the files' keys are wrapped by what it made."""
    store = make_store(aws, document(aws.make_key(), bucket_key=True))
    for number in range(20):
        write(store, f"/f{number}", b"x" * number)
    numbers = set()
    for number in range(1, 20):
        form = form_of(wrapped(store, f"/f{number}"))
        assert isinstance(form, BucketForm)
        numbers.add(form.number)

    assert len(numbers) == 1
    store.flush(durable=True)
    store.crash()
    assert read(store, "/f7") == b"x" * 7


def test_two_layers_have_two_keys_of_two_owners(aws: AwsServer) -> None:
    """DSSE: one is wrapped by the service, the other by the store's own ring."""
    store = make_store(aws, document(aws.make_key(), "aws:kms:dsse"))
    write(store, "/f", b"twice sealed" * 9000)
    store.flush(durable=True)
    store.crash()

    assert read(store, "/f") == b"twice sealed" * 9000
    form = form_of(wrapped(store, "/f"))
    assert isinstance(form, TwoForm)
    assert isinstance(form.first, ServiceForm)
    assert form.second.name == "store"


def test_a_wrapped_key_opens_for_its_own_file_only(aws: AwsServer) -> None:
    """Store, file and data key are in the encryption context, which the service checks."""
    store = make_store(aws, document(aws.make_key()))
    write(store, "/a", b"one")
    write(store, "/b", b"two")
    store.metadata.apply([PutKey(store.stat("/b").key_id, wrapped(store, "/a"))])
    store.fs.volume.keys.forget(store.stat("/b").key_id)
    with pytest.raises(DataDamaged):
        read(store, "/b")


def test_a_disabled_key_opens_nothing_and_names_go_on(aws: AwsServer) -> None:
    """EKEYREVOKED at open, for old versions too; listing, rename and removal need no key."""
    key = aws.make_key()
    store = make_store(aws, document(key))
    clock = Seconds(store)
    write(store, "/f", b"one")
    write(store, "/f", b"two")
    aws.client("kms").disable_key(KeyId=key)

    assert read(store, "/f") == b"two"  # the key is still in memory, for the time that was set
    clock.now += 301
    with pytest.raises(KeyDisabled, match="disabled"):
        store.open_waiting("/f", os.O_RDONLY)
    (old, *_) = [name for name in store.listing("/.versions/f") if b"~" in name]
    with pytest.raises(KeyDisabled):
        store.open_waiting(f"/.versions/f/{old.decode()}", os.O_RDONLY)
    with pytest.raises(KeyDisabled):
        write(store, "/new", b"x")
    assert not store.exists("/new")
    assert store.listing("/") == [b"f"]
    store.rename("/f", "/g")
    assert store.stat("/g").size == 3
    store.remove("/g")
    aws.client("kms").enable_key(KeyId=key)
    assert len(store.history("/g")) == 2


def test_a_key_that_the_service_does_not_know_is_missing(aws: AwsServer) -> None:
    """S3 does not ask whether the key exists when the document is put; the first write tells."""
    store = make_store(aws, document("alias/nobody"))
    with pytest.raises(KeyMissing):
        write(store, "/f", b"x")

    assert store.listing("/") == []
    assert store.listing("/.versions") == []


def test_a_key_that_is_not_for_us_is_a_matter_of_rights(aws: AwsServer) -> None:
    """EACCES, as for a file of somebody else."""
    key = aws.make_key()
    policy = {"Statement": [{"Effect": "Deny", "Action": "*", "Principal": "*", "Resource": "*"}]}
    aws.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    store = make_store(aws, document(key))
    with pytest.raises(KeyNotPermitted, match="AccessDenied"):
        write(store, "/f", b"x")


def test_an_outage_is_bridged_for_a_time_and_then_told(aws: AwsServer) -> None:
    """Keys in memory go on; what needs the service fails at once after the first has waited."""
    own = AwsServer()
    store = make_store(own, document(own.make_key()))
    clock = Seconds(store)
    write(store, "/f", b"one")
    write(store, "/other", b"two")
    store.fs.volume.keys.forget(store.stat("/other").key_id)
    writer = store.open_waiting("/f", os.O_WRONLY)
    own.stop()

    assert read(store, "/f") == b"one"
    with pytest.raises(KeyServiceUnavailable, match="does not answer"):
        read(store, "/other")
    service = store.fs.volume.keys.service
    assert service is not None
    assert "does not answer" in service.problem
    clock.now += 301
    with pytest.raises(KeyServiceUnavailable):
        read(store, "/f")
    store.fs.write(writer, 0, b"ONE")  # open for writing: what is written can be saved
    store.close(writer)
    assert store.stat("/f").size == 3
    del aws


def test_the_service_is_asked_again_when_it_is_back(aws: AwsServer) -> None:
    """A moment after a failure; and the problem is gone from status."""
    store = make_store(aws, document(aws.make_key()))
    clock = Seconds(store)
    write(store, "/f", b"one")
    store.fs.volume.keys.forget(store.stat("/f").key_id)
    service = store.fs.volume.keys.service
    assert service is not None
    object.__setattr__(service, "problem", "the key service does not answer: a while ago")
    object.__setattr__(service, "_failed_at", clock.now)
    with pytest.raises(KeyServiceUnavailable, match="a while ago"):
        read(store, "/f")
    clock.now += COOL_SECONDS

    assert read(store, "/f") == b"one"
    assert service.problem == ""


def test_a_new_default_is_for_what_is_written_from_then_on(aws: AwsServer) -> None:
    """An old version keeps its key; what a new one shares with it needs both, as open tells."""
    first, second = aws.make_key(), aws.make_key()
    store = make_store(aws, document(first))
    write(store, "/f", b"a" * 3_000_000)
    old = store.stat("/f").key_id
    volume = store.fs.volume
    encryption = parse_encryption(document(second).encode())
    volume.settings = structs.replace(volume.settings, encryption=encryption)
    handle = store.open_waiting("/f", os.O_RDWR)
    store.tick()
    store.fs.write(handle, 10, b"b")
    store.close(handle)
    new = store.stat("/f").key_id

    assert new != old
    version = store.metadata.version(store.stat("/f").ino, store.stat("/f").version_ns)
    assert version is not None
    assert version.key_ids == (old, new)
    assert read(store, "/f")[:20] == b"a" * 10 + b"b" + b"a" * 9
    write(store, "/g", b"only the new key")
    aws.client("kms").disable_key(KeyId=first)
    store.fs.volume.keys.forget(old)
    with pytest.raises(KeyDisabled):
        store.open_waiting("/f", os.O_RDONLY)
    assert read(store, "/g") == b"only the new key"


def test_many_who_open_at_once_ask_once_each(aws: AwsServer) -> None:
    """Each task puts its own question, whatever others want meanwhile; none asks twice."""
    store = make_store(aws, document(aws.make_key()))
    paths = [f"/f{number}" for number in range(12)]
    for path in paths:
        write(store, path, path.encode())
    keys = store.fs.volume.keys
    service = keys.service
    assert isinstance(service, AwsKms)
    real: AwsKms = service
    asked: list[bytes] = []

    class Counting(AwsKms):
        def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
            asked.append(blob)
            return real.unwrap(blob, context)

    counting = Counting(endpoint="", region="")
    keys.find_service = lambda: counting
    for path in paths:
        keys.forget(store.stat(path).key_id)

    async def open_one(path: str) -> None:
        ino = store.stat(path).ino
        while store.fs.lacks_keys(ino, os.O_RDONLY):
            await store.fs.obtain_keys()

    async def open_all() -> None:
        async with trio.open_nursery() as nursery:
            for path in paths:
                nursery.start_soon(open_one, path)

    trio.run(open_all)

    assert len(asked) == len(set(asked)) == len(paths)
    assert [store.read(path) for path in paths] == [path.encode() for path in paths]
