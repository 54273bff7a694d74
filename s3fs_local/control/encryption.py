"""Commands bucket encryption: S3's document about what is written from now on."""

from typing import Final

import msgspec

from s3fs_local.control.administration import change_settings
from s3fs_local.control.context import Context
from s3fs_local.control.requests import ChangeEncryption, DescribeEncryption
from s3fs_local.control.results.store import Done
from s3fs_local.rules.encryption import (
    AWS_MANAGED_KEY,
    Algorithm,
    Encryption,
    PrintedEncryption,
    parse_encryption,
    print_encryption,
)

ENCRYPTION: Final = "encryption"


async def describe_encryption(_: DescribeEncryption, context: Context) -> PrintedEncryption:
    """S3's document; there always is one."""
    return print_encryption(context.filesystem.volume.settings.encryption)


async def change_encryption(request: ChangeEncryption, context: Context) -> Done:
    """As S3's document says, or (none) as by default."""
    document = request.document
    wanted = Encryption() if document is None else parse_encryption(document)
    context.check_may_administer()
    filesystem = context.filesystem
    settings = filesystem.volume.settings
    by_ring = wanted.algorithm is not Algorithm.AES256 and not settings.kms
    if (
        by_ring
        and not wanted.key
        and AWS_MANAGED_KEY not in filesystem.key_administration.ring.names()
    ):
        # AWS makes this one by itself, too, when it is first asked for.
        await filesystem.key_administration.change(lambda ring: ring.add_version(AWS_MANAGED_KEY))
    change_settings(context, {ENCRYPTION: msgspec.json.encode(wanted).decode()})
    return Done()
