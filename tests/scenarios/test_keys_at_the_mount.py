"""What programs meet at a mount when a key is away, and what goes on without any key."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.aws_server import REGION, AwsServer
from tests.conftest import MakeMount
from tests.mounting import MountedStore, answer_of, s3fs_local

pytestmark = [pytest.mark.mount, pytest.mark.slow, pytest.mark.s3]


def errno_of(call: Callable[[], object]) -> int:
    """The errno with which the call fails; 0 if it does not."""
    try:
        call()
    except OSError as error:
        return error.errno or 0
    return 0


def put_encryption(mounted: MountedStore, folder: Path, default: dict[str, str]) -> None:
    """What is written from now on is encrypted so."""
    document = folder / "encryption.json"
    rule = {"ApplyServerSideEncryptionByDefault": default}
    document.write_text(json.dumps({"Rules": [rule]}))
    s3fs_local("bucket", "encryption", "put", mounted.store, document)


def test_a_file_of_a_disabled_key_cannot_be_opened_and_everything_else_goes_on(
    mount: MountedStore, tmp_path: Path
) -> None:
    """EKEYREVOKED at open, ENOKEY for a key that never was; names and attributes need no key."""
    s3fs_local("key", "add", mount.store, "tenant")
    put_encryption(mount, tmp_path, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "tenant"})
    secret = mount.path / "secret"
    secret.write_text("first")
    secret.write_text("second")
    old = mount.versions("secret")[0]
    assert old.read_text() == "first"
    s3fs_local("key", "disable", mount.store, "tenant", "--yes")

    assert errno_of(secret.read_text) == errno.EKEYREVOKED
    assert errno_of(old.read_text) == errno.EKEYREVOKED
    assert errno_of(lambda: secret.write_text("x")) == errno.EKEYREVOKED
    assert errno_of(lambda: (mount.path / "new").write_text("x")) == errno.EKEYREVOKED
    assert os.listdir(mount.path) == ["secret"]
    secret.rename(mount.path / "moved")
    assert (mount.path / "moved").stat().st_size == len("second")
    os.setxattr(mount.path / "moved", "user.note", b"no key needed")
    assert len(answer_of("versions", mount.path / "moved")["Versions"]) == 2
    os.unlink(mount.path / "moved")
    s3fs_local("key", "enable", mount.store, "tenant")
    s3fs_local("undelete", mount.path / "moved")
    assert (mount.path / "moved").read_text() == "second"
    put_encryption(mount, tmp_path, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "nobody"})
    assert errno_of(lambda: (mount.path / "new").write_text("x")) == errno.ENOKEY
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple")
    s3fs_local("key", "passphrase", mount.store, "--only", "--new-passphrase-file", passphrase)
    s3fs_local("zone", "add", mount.store, tmp_path / "zone2")
    assert json.loads((mount.store / "store.json").read_text())["key_file"] == ""
    mount.options = (f"passphrase_file={passphrase}",)
    mount.remount()
    assert (mount.path / "moved").read_text() == "second"
    name = b"s3.server-side-encryption-customer-algorithm"
    refused = errno_of(lambda: os.setxattr(mount.path / "moved", name, b"AES256"))
    assert refused == errno.EOPNOTSUPP


def test_a_key_service_is_asked_while_other_requests_go_on(
    aws: AwsServer, make_mount: MakeMount, tmp_path: Path
) -> None:
    """With keys of a KMS: written, read after a remount, refused when the key is not ours."""
    mounted = make_mount()
    key = aws.make_key()
    s3fs_local("config", "set", mounted.store, "kms", aws.url)
    s3fs_local("config", "set", mounted.store, "kms-region", REGION)
    put_encryption(mounted, tmp_path, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key})
    for number in range(5):
        (mounted.path / f"f{number}").write_text(f"content {number}")
    mounted.remount()

    assert [(mounted.path / f"f{number}").read_text() for number in range(5)] == [
        f"content {number}" for number in range(5)
    ]
    attribute = os.getxattr(mounted.path / "f0", "s3.server-side-encryption-aws-kms-key-id")
    assert attribute.decode() == key
    policy = {"Statement": [{"Effect": "Deny", "Action": "*", "Principal": "*", "Resource": "*"}]}
    aws.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    mounted.remount()
    assert errno_of((mounted.path / "f0").read_text) == errno.EACCES
    assert errno_of(lambda: (mounted.path / "new").write_text("x")) == errno.EACCES
    assert sorted(os.listdir(mounted.path)) == [f"f{number}" for number in range(5)]


def test_a_service_that_is_away_is_told_by_status_and_by_errno(
    make_mount: MakeMount, tmp_path: Path, aws: AwsServer
) -> None:
    """ETIMEDOUT at open; files of the store's own key are read as ever."""
    own = AwsServer()
    try:
        mounted = make_mount()
        plain = mounted.path / "plain"
        plain.write_text("needs no service")
        s3fs_local("config", "set", mounted.store, "kms", own.url)
        s3fs_local("config", "set", mounted.store, "kms-region", REGION)
        key = own.make_key()
        put_encryption(mounted, tmp_path, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key})
        (mounted.path / "sealed").write_text("needs it")
        mounted.remount()
    finally:
        own.stop()
    del aws  # it has set the credentials

    assert errno_of((mounted.path / "sealed").read_text) == errno.ETIMEDOUT
    assert plain.read_text() == "needs no service"
    found = s3fs_local("status", mounted.store, check=False)
    assert "does not answer" in found.stdout
