"""S3's default encryption document: what is taken, what is refused, what is printed."""

import json

import msgspec
import pytest

from s3fs_local.errors import InvalidSetting
from s3fs_local.rules.encryption import (
    Algorithm,
    Blockable,
    Encryption,
    parse_encryption,
    print_encryption,
)

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def document(default: dict[str, object], **members: object) -> bytes:
    """A document of one rule."""
    rule = {"ApplyServerSideEncryptionByDefault": default, **members}
    return json.dumps({"Rules": [rule]}).encode()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (document({"SSEAlgorithm": "AES256"}), Encryption()),
        (document({"SSEAlgorithm": "aws:kms"}), Encryption(algorithm=Algorithm.KMS)),
        (
            document({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ARN}, BucketKeyEnabled=True),
            Encryption(algorithm=Algorithm.KMS, key=ARN, bucket_key=True),
        ),
        (
            document({"SSEAlgorithm": "aws:kms:dsse", "KMSMasterKeyID": "alias/tenant"}),
            Encryption(algorithm=Algorithm.DSSE, key="alias/tenant"),
        ),
        (
            document(
                {"SSEAlgorithm": "AES256"}, BlockedEncryptionTypes={"EncryptionType": ["SSE-C"]}
            ),
            Encryption(blocked=(Blockable.SSE_C,)),
        ),
    ],
)
def test_what_aws_takes_is_taken_and_comes_back(given: bytes, wanted: Encryption) -> None:
    """What `get` prints, `put` takes: scripts copy a document from one bucket to another."""
    assert parse_encryption(given) == wanted
    assert parse_encryption(msgspec.json.encode(print_encryption(wanted))) == wanted


def test_the_document_may_be_xml() -> None:
    """As it goes over S3's wire."""
    given = (
        b'<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<Rule><ApplyServerSideEncryptionByDefault><KMSMasterKeyID>k</KMSMasterKeyID>"
        b"<SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
        b"<BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"
    )

    assert parse_encryption(given) == Encryption(algorithm=Algorithm.KMS, key="k", bucket_key=True)


def test_a_store_without_a_document_has_one() -> None:
    """S3 always prints a rule."""
    assert json.loads(msgspec.json.encode(print_encryption(Encryption()))) == {
        "ServerSideEncryptionConfiguration": {
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
                    "BucketKeyEnabled": False,
                }
            ]
        }
    }


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (b"", "MalformedXML"),
        (b"{}", "MalformedXML"),
        (b'{"Rules": []}', "MalformedXML: there is exactly one rule"),
        (b'{"Rules": [{}]}', "MalformedXML"),
        (b'{"Rules": [{"BucketKeyEnabled": true}]}', "MalformedXML"),
        (document({"SSEAlgorithm": "aes256"}), "MalformedXML"),
        (document({}), "MalformedXML"),
        (document({"SSEAlgorithm": "AES256"}, Surprise=1), "MalformedXML"),
        (document({"SSEAlgorithm": "AES256", "KMSMasterKeyID": ARN}), "InvalidArgument: a KMSM"),
        (document({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ""}), "InvalidArgument"),
        (document({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "x" * 256}), "InvalidArgument"),
        (document({"SSEAlgorithm": "aws:kms:dsse"}, BucketKeyEnabled=True), "InvalidArgument"),
        (
            document({"SSEAlgorithm": "AES256"}, BlockedEncryptionTypes={"EncryptionType": []}),
            "InvalidArgument",
        ),
        (
            document(
                {"SSEAlgorithm": "AES256"},
                BlockedEncryptionTypes={"EncryptionType": ["SSE-C", "NONE"]},
            ),
            "InvalidArgument",
        ),
        (
            document(
                {"SSEAlgorithm": "AES256"}, BlockedEncryptionTypes={"EncryptionType": ["SSE-S3"]}
            ),
            "MalformedXML",
        ),
    ],
)
def test_what_aws_refuses_is_refused_with_its_code(given: bytes, code: str) -> None:
    """Nothing is ignored: who writes a rule believes that it holds."""
    with pytest.raises(InvalidSetting, match=code):
        parse_encryption(given)


def test_two_rules_are_refused() -> None:
    """S3 has room for one."""
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    with pytest.raises(InvalidSetting, match="exactly one rule"):
        parse_encryption(json.dumps({"Rules": [rule, rule]}).encode())


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("", "aws/s3"),
        ("tenant", "tenant"),
        ("alias/tenant", "tenant"),
        (ARN, "1234abcd-12ab-34cd-56ef-1234567890ab"),
        ("arn:aws:kms:eu-central-1:111122223333:alias/tenant", "tenant"),
    ],
)
def test_a_key_is_named_as_aws_lets_people_name_it(key: str, name: str) -> None:
    """So documents written for AWS find a key of the ring of that name."""
    assert Encryption(algorithm=Algorithm.KMS, key=key).key_name == name
