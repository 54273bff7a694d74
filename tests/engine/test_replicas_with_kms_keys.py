"""Versions with a KMS key: told only by a rule that names a key for the replica."""

import json

import pytest

from s3fs_local.control.requests import AddKey, SetKeyState
from s3fs_local.engine.encryption_kinds import kind_of
from s3fs_local.errors import KeyServiceUnavailable
from s3fs_local.rules.encryption import Algorithm, Encryption
from s3fs_local.rules.settings import parse_setting
from tests.aws_server import REGION, AwsServer
from tests.control.test_commands_on_a_store import ask
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import MemoryStore
from tests.engine.replicated import Regions
from tests.engine.test_keys_of_a_service import Seconds, document, read, write
from tests.replication_rules import rule

MIB = 1 << 20
WEST = {"Bucket": "arn:aws:s3:::west"}


def kms_rule(key: str) -> dict[str, object]:
    """KMS objects go, and get this key there."""
    return rule(
        SourceSelectionCriteria={"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        Destination={**WEST, "EncryptionConfiguration": {"ReplicaKmsKeyID": key}},
    )


def kind(store: MemoryStore, path: str) -> Encryption:
    """How the file's newest data key is wrapped."""
    wrapped = store.metadata.key(store.stat(path).key_id)
    assert wrapped is not None
    return kind_of(wrapped, store.metadata.key)


def status(regions: Regions, path: str) -> str:
    """S3's status of the current version at the source."""
    return regions.here.metadata.versions(regions.here.stat(path).ino)[0].replication


def reasons(regions: Regions) -> set[str]:
    """Why something failed."""
    return {task.reason for task in regions.here.metadata.failed_tasks(9)}


def by_ring(*rules: dict[str, object], algorithm: str = "aws:kms") -> Regions:
    """A source whose default encryption is by the key `mine` of its own ring."""
    regions = Regions()
    regions.here = MemoryStore(
        encryption=parse_setting("encryption", document("mine", algorithm)),
    )
    ask(regions.here, AddKey("mine"))
    regions.put_rules(*rules)
    return regions


def test_without_selection_a_version_with_a_kms_key_is_not_told() -> None:
    """S3: not eligible, and without a status; others go."""
    regions = by_ring(rule())
    regions.here.write("secret", b"1")
    regions.here.fs.volume.settings = MemoryStore().fs.volume.settings
    regions.here.write("open", b"2")
    regions.tell()

    assert regions.there.listing("/") == [b"open"]
    assert (status(regions, "secret"), status(regions, "open")) == ("", "COMPLETED")


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse"])
def test_with_selection_the_replica_has_the_key_that_the_rule_names(algorithm: str) -> None:
    """And the kind of encryption that the source has, whatever the destination's default is."""
    regions = by_ring(kms_rule("theirs"), algorithm=algorithm)
    ask(regions.there, AddKey("theirs"))
    regions.here.write("secret", b"1" * 100_000)
    regions.tell()
    regions.here.append("secret", b"2")
    regions.tell()

    assert kind(regions.there, "secret").algorithm == Algorithm(algorithm)
    assert kind(regions.there, "secret").key == "theirs"
    assert regions.there.history("secret") == regions.here.history("secret")
    assert status(regions, "secret") == "COMPLETED"
    regions.there.flush(durable=True)
    regions.there.crash()
    assert regions.there.read("secret") == b"1" * 100_000 + b"2"
    check_invariants(regions.there)


def test_a_key_that_the_destination_lacks_fails_until_somebody_adds_it() -> None:
    """S3: DstKmsKeyNotFound; Batch Replication tells it again."""
    regions = by_ring(kms_rule("theirs"))
    regions.here.write("secret", b"1")
    regions.here.fs.volume.settings = MemoryStore().fs.volume.settings
    regions.here.write("open", b"2")
    regions.tell()
    assert reasons(regions) == {"DstKmsKeyNotFound"}
    assert regions.there.listing("/") == [b"open"]
    assert status(regions, "secret") == "FAILED"
    ask(regions.there, AddKey("theirs"))
    regions.replication.request_all(0)
    regions.tell()

    assert reasons(regions) == set()
    assert regions.there.read("secret") == b"1"


def test_a_key_that_the_source_disabled_fails_as_the_source() -> None:
    """S3: SrcKmsKeyInvalidState; files with other keys go on."""
    regions = by_ring(kms_rule("theirs"))
    ask(regions.there, AddKey("theirs"))
    regions.here.write("secret", b"1")
    ask(regions.here, SetKeyState("mine", enabled=False))
    regions.here.fs.volume.settings = MemoryStore().fs.volume.settings
    regions.here.write("open", b"2")
    regions.tell()

    assert reasons(regions) == {"SrcKmsKeyInvalidState"}
    assert regions.there.listing("/") == [b"open"]


def by_service(mine: AwsServer, theirs: AwsServer, *, bucket_key: bool = False) -> Regions:
    """Both have a key service; the source's default encryption is by a key of its own."""
    regions = Regions()
    encryption = document(mine.make_key(), bucket_key=bucket_key)
    regions.here = _with_service(mine, encryption)
    regions.there = _with_service(theirs)
    regions.put_rules(kms_rule(theirs.make_key()))
    return regions


def _with_service(aws: AwsServer, encryption: str = "") -> MemoryStore:
    kms, region = parse_setting("kms", aws.url), parse_setting("kms-region", REGION)
    if not encryption:
        return MemoryStore(kms=kms, kms_region=region)
    return MemoryStore(
        kms=kms, kms_region=region, encryption=parse_setting("encryption", encryption)
    )


@pytest.mark.s3
@pytest.mark.slow
@pytest.mark.parametrize("bucket_key", [False, True])
def test_a_key_service_wraps_on_both_sides(aws: AwsServer, *, bucket_key: bool) -> None:
    """The keys of the replica are of the destination's service, and outlive a crash there."""
    regions = by_service(aws, aws, bucket_key=bucket_key)
    for name in ("a", "b"):
        write(regions.here, name, name.encode() * 2 * MIB)
    regions.tell()
    there = regions.there

    (key,) = {kind(there, name).key for name in ("a", "b")}
    assert json.dumps(key) in json.dumps([r.replica_key for r in regions.replication.rules])
    assert kind(there, "a").bucket_key is bucket_key
    there.flush(durable=True)
    there.crash()
    assert read(there, "a") == b"a" * MIB
    assert status(regions, "a") == "COMPLETED"


@pytest.mark.s3
@pytest.mark.slow
def test_a_key_that_is_forgotten_while_a_version_arrives_is_no_loss(aws: AwsServer) -> None:
    """A large version takes longer than a key of a service may stay in memory."""
    regions = by_service(aws, aws)
    clock = Seconds(regions.there)
    write(regions.here, "big", b"x" * 5 * MIB)

    async def wait() -> None:
        clock.now += 301

    regions.tell(on_block=wait)

    assert reasons(regions) == set()
    assert regions.there.stat("big").size == 5 * MIB
    assert read(regions.there, "big") == b"x" * MIB
    check_invariants(regions.there)


@pytest.mark.s3
@pytest.mark.slow
def test_a_key_service_that_is_away_keeps_everything_pending(aws: AwsServer) -> None:
    """On either side: an outage is no reason to fail for good."""
    theirs = AwsServer()
    regions = by_service(aws, theirs)
    write(regions.here, "secret", b"1")
    theirs.stop()
    with pytest.raises(KeyServiceUnavailable):
        regions.tell()
    assert (reasons(regions), status(regions, "secret")) == (set(), "PENDING")
    regions.here.flush(durable=True)
    regions.here.crash()
    service = regions.here.fs.volume.keys.service
    assert service is not None
    object.__setattr__(service, "problem", "the key service does not answer")
    object.__setattr__(service, "_failed_at", Seconds(regions.here).now)
    with pytest.raises(KeyServiceUnavailable):
        regions.tell()

    assert (reasons(regions), status(regions, "secret")) == (set(), "PENDING")
