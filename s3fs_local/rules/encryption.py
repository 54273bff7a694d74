"""Which encryption new writes get: S3's default encryption, its document and its words.

The document is the one of `aws s3api put-bucket-encryption`. It is about what is written from then
on; nothing that is there changes.
"""

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from s3fs_local.rules.s3_documents import in_xml, malformed, read_document, refusal

AWS_MANAGED_KEY: Final = "aws/s3"
"""The key that S3 takes where `aws:kms` is asked for without naming one."""
ALIAS: Final = "alias/"
_ARN_KEY: Final = ":key/"
_KEY_ID_BYTES_MAX: Final = 255
_ROOT: Final = "ServerSideEncryptionConfiguration"


class Algorithm(StrEnum):
    """S3's words for how a version is encrypted."""

    AES256 = "AES256"  # SSE-S3: the data key is wrapped by the store's own key
    KMS = "aws:kms"  # SSE-KMS: by a key that has a name, and can be taken away
    DSSE = "aws:kms:dsse"  # two layers, each with a key of its own: one wrapped so, one so


class Blockable(StrEnum):
    """What S3 lets a bucket block."""

    SSE_C = "SSE-C"
    NONE = "NONE"


class Encryption(Struct, frozen=True, kw_only=True):
    """A store's default encryption."""

    algorithm: Algorithm = Algorithm.AES256
    key: str = ""  # KMSMasterKeyID as it was given; "" = none was
    bucket_key: bool = False
    blocked: tuple[Blockable, ...] = ()

    @property
    def key_name(self) -> str:
        """The name of the key that wraps, of an ARN its last part; meaningless for AES256."""
        _, alias, name = self.key.rpartition(ALIAS)
        if alias:
            return name
        return self.key.rpartition(_ARN_KEY)[2] or AWS_MANAGED_KEY


class _Default(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    algorithm: Algorithm = field(name="SSEAlgorithm")
    key: str | UnsetType = field(name="KMSMasterKeyID", default=UNSET)


class _Blocked(Struct, frozen=True, forbid_unknown_fields=True):
    kinds: list[Blockable] = field(name="EncryptionType")


class _Rule(Struct, frozen=True, forbid_unknown_fields=True):
    default: _Default = field(name="ApplyServerSideEncryptionByDefault")
    bucket_key: bool = field(name="BucketKeyEnabled", default=False)
    blocked: _Blocked | UnsetType = field(name="BlockedEncryptionTypes", default=UNSET)


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    """S3's ServerSideEncryptionConfiguration."""

    rules: Annotated[list[_Rule], in_xml("Rule")] = field(name="Rules")


class PrintedEncryption(Struct, frozen=True, forbid_unknown_fields=True):
    """What `aws s3api get-bucket-encryption` prints."""

    configuration: _Document = field(name=_ROOT)


class _Outermost(Struct, frozen=True):
    """As much as tells the two apart."""

    configuration: msgspec.Raw | UnsetType = field(name=_ROOT, default=UNSET)


def parse_encryption(document: bytes) -> Encryption:
    """The default encryption that S3's document asks for; what `get` prints is taken back.

    Whether the key exists is not asked, as S3 does not: the first write will tell.

    Raises:
        InvalidDocument: it is no such document; the message begins with S3's error code.
    """
    if _is_printed(document):
        found = read_document(document, PrintedEncryption, roots=[_ROOT]).configuration
    else:
        found = read_document(document, _Document, roots=[_ROOT])
    if len(found.rules) != 1:
        raise malformed(f"there is exactly one rule in this document, not {len(found.rules)}")
    rule = found.rules[0]
    _check_rule(rule)
    return Encryption(
        algorithm=rule.default.algorithm,
        key="" if rule.default.key is UNSET else rule.default.key,
        bucket_key=rule.bucket_key,
        blocked=() if rule.blocked is UNSET else tuple(rule.blocked.kinds),
    )


def _is_printed(document: bytes) -> bool:
    try:
        return msgspec.json.decode(document, type=_Outermost).configuration is not UNSET
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _check_rule(rule: _Rule) -> None:
    default = rule.default
    if default.key is not UNSET:
        if default.algorithm is Algorithm.AES256:
            raise refusal(
                "InvalidArgument",
                "a KMSMasterKeyID is not applicable if the default sse algorithm"
                " is not aws:kms or aws:kms:dsse",
            )
        if not 1 <= len(default.key.encode()) <= _KEY_ID_BYTES_MAX:
            raise refusal("InvalidArgument", "a KMSMasterKeyID has 1 to 255 bytes")
    if rule.bucket_key and default.algorithm is Algorithm.DSSE:
        raise refusal(
            "InvalidArgument",
            "BucketKeyEnabled is not applicable to aws:kms:dsse, where each file has its own key",
        )
    kinds = [] if rule.blocked is UNSET else rule.blocked.kinds
    if rule.blocked is not UNSET and kinds not in ([Blockable.SSE_C], [Blockable.NONE]):
        raise refusal("InvalidArgument", "EncryptionType names SSE-C or NONE, one of them")


def print_encryption(encryption: Encryption) -> PrintedEncryption:
    """What `aws s3api get-bucket-encryption` prints, to be encoded as JSON."""
    rule = _Rule(
        default=_Default(encryption.algorithm, encryption.key or UNSET),
        bucket_key=encryption.bucket_key,
        blocked=_Blocked(list(encryption.blocked)) if encryption.blocked else UNSET,
    )
    return PrintedEncryption(_Document([rule]))
