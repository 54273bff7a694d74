"""The local AWS server that other tests rely on is a real one."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.aws_server import AwsServer

pytestmark = [pytest.mark.s3, pytest.mark.slow]


def test_it_keeps_objects_and_keys_as_aws_does(aws: AwsServer) -> None:
    """S3 and KMS answer over HTTP; a wrong encryption context is refused, a disabled key named."""
    s3, kms = aws.client("s3"), aws.client("kms")
    bucket = aws.make_bucket("keeps-objects")
    s3.put_object(Bucket=bucket, Key="k", Body=b"bytes")
    key = aws.make_key()
    made = kms.generate_data_key(KeyId=key, NumberOfBytes=32, EncryptionContext={"a": "b"})
    blob = made["CiphertextBlob"]

    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"bytes"
    opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})
    assert opened["Plaintext"] == made["Plaintext"]
    with pytest.raises(ClientError, match="InvalidCiphertext"):
        kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "c"})
    kms.disable_key(KeyId=key)
    with pytest.raises(ClientError, match="DisabledException"):
        kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})
    kms.enable_key(KeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with pytest.raises(ClientError, match="KMSInvalidStateException"):
        kms.generate_data_key(KeyId=key, NumberOfBytes=32)


def test_a_stopped_server_refuses_connections_and_comes_back() -> None:
    """What tests of outages need."""
    server = AwsServer()
    url = server.url
    server.stop()
    with pytest.raises(EndpointConnectionError):
        server.client("kms").list_keys()
    server.start()

    assert server.url == url
    assert server.client("kms").list_keys()["Keys"] == []
    server.stop()
