"""What the client of a KMS makes of answers, and of none."""

from pathlib import Path

import pytest

from s3fs_local.crypto.aws_kms import COOL_SECONDS, AwsKms
from s3fs_local.crypto.key_service import MadeKey
from s3fs_local.errors import DataDamaged, KeyMissing, KeyNotPermitted, KeyServiceUnavailable
from tests.aws_server import REGION, AwsServer
from tests.hostile_proxy import Answer, Asked, HostileProxy

pytestmark = [pytest.mark.s3, pytest.mark.slow]
CONTEXT = {"file": "7"}


def test_a_made_key_is_unwrapped_for_its_context_only(aws: AwsServer) -> None:
    """The story; and what is secret is not shown."""
    kms = AwsKms(endpoint=aws.url, region=REGION)
    made = kms.make(aws.make_key(), CONTEXT)

    assert kms.unwrap(made.blob, CONTEXT) == made.plain
    assert len(made.plain) == 32
    assert repr(made.plain)[2:10] not in repr(MadeKey(made.plain, made.blob))
    for blob, context in ((made.blob, {"file": "8"}), (made.blob[:-1], CONTEXT), (b"", CONTEXT)):
        with pytest.raises((DataDamaged, KeyMissing, KeyServiceUnavailable)):
            kms.unwrap(blob, context)


def test_without_credentials_it_is_a_matter_of_rights(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not an outage: waiting does not help."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(KeyNotPermitted, match="credentials"):
        AwsKms(endpoint=aws.url, region=REGION).make("k", CONTEXT)


def test_an_outage_is_told_at_once_to_those_who_come_next(aws: AwsServer) -> None:
    """Until some seconds have passed; then one tries again."""
    del aws  # it has set the credentials
    now = 100.0
    kms = AwsKms(endpoint="http://127.0.0.1:9", region=REGION, seconds=lambda: now)
    with pytest.raises(KeyServiceUnavailable, match="does not answer"):
        kms.make("k", CONTEXT)
    made: list[object] = []
    object.__setattr__(kms, "_connected", lambda: made.append(None))
    with pytest.raises(KeyServiceUnavailable):
        kms.make("k", CONTEXT)
    assert made == []
    now += COOL_SECONDS
    with pytest.raises(AttributeError):  # it was asked: the client is none
        kms.make("k", CONTEXT)
    assert made == [None]


@pytest.mark.parametrize("answer", [Answer(200, b"{}"), Answer(200, b"<html/>"), Answer(200)])
def test_an_answer_that_is_no_kmss_is_none(aws: AwsServer, answer: Answer) -> None:
    """It must neither end the daemon nor make a key that nobody can unwrap."""
    proxy = HostileProxy(aws.url)
    now = 100.0
    kms = AwsKms(endpoint=proxy.url, region=REGION, seconds=lambda: now)
    key = aws.make_key()
    made = kms.make(key, CONTEXT)
    proxy.behave = lambda _: answer
    with pytest.raises(KeyServiceUnavailable):
        kms.make(key, CONTEXT)
    now += COOL_SECONDS
    with pytest.raises(KeyServiceUnavailable):
        kms.unwrap(made.blob, CONTEXT)
    now += COOL_SECONDS
    proxy.go_on()

    assert kms.unwrap(made.blob, CONTEXT) == made.plain
    proxy.stop()


def test_a_made_key_of_another_length_is_none(aws: AwsServer) -> None:
    """Its files could never be opened again."""
    proxy = HostileProxy(aws.url)
    kms = AwsKms(endpoint=proxy.url, region=REGION)
    body = b'{"Plaintext": "c2hvcnQ=", "CiphertextBlob": "YmxvYg=="}'
    proxy.behave = lambda _: Answer(200, body)
    with pytest.raises(KeyServiceUnavailable, match="Plaintext"):
        kms.make("k", CONTEXT)
    proxy.stop()


def test_credentials_that_were_exchanged_are_read_anew(
    aws: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a restart."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def write(name: str) -> None:
        file.write_text(f"[default]\naws_access_key_id={name}\naws_secret_access_key=secret\n")

    def behave(asked: Asked) -> Answer | None:
        known = "Credential=LATER/" in asked.headers["authorization"]
        return None if known else Answer(400, b'{"__type": "UnrecognizedClientException"}')

    write("FORMER")
    proxy = HostileProxy(aws.url)
    proxy.behave = behave
    kms = AwsKms(endpoint=proxy.url, region=REGION)
    key = aws.make_key()
    with pytest.raises(KeyNotPermitted):
        kms.make(key, CONTEXT)
    write("LATER")

    assert len(kms.make(key, CONTEXT).plain) == 32
    proxy.stop()
