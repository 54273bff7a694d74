"""What the client of a KMS makes of answers, and of none."""

import pytest

from s3fs_local.crypto.aws_kms import COOL_SECONDS, AwsKms
from s3fs_local.crypto.key_service import MadeKey
from s3fs_local.errors import DataDamaged, KeyMissing, KeyNotPermitted, KeyServiceUnavailable
from tests.aws_server import REGION, AwsServer

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
