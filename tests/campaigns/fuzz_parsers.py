"""More parsers for `fuzz`: other documents of S3, what stores tell each other, what zones hold."""

import os
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
from blake3 import blake3

from s3fs_local.control.verifying import parse_head
from s3fs_local.crypto.compressed import read_table
from s3fs_local.crypto.sealing import KEY_BYTES
from s3fs_local.crypto.wrapped_keys import (
    BUCKET,
    RING,
    SALT_BYTES,
    SERVICE,
    TAG_BYTES,
    TWO,
    parse_form,
)
from s3fs_local.daemon.metrics_address import parse_metrics_address
from s3fs_local.engine.draft_records import (
    ChangeBatch,
    DraftBegun,
    DraftWritten,
    decode,
    decode_known,
    encode,
)
from s3fs_local.engine.ledger import decode_body, decode_clock, encode_body
from s3fs_local.engine.replication_messages import (
    ROOT,
    Block,
    Kept,
    Refusal,
    decode_message,
    decode_reply,
)
from s3fs_local.metadata.changes import OpenCell, PutSetting
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone_mark import MARK_NAME, ZoneMark, read_mark
from s3fs_local.packs.ledger import decode_record
from s3fs_local.packs.shares import HEADER_BYTES, claimed_coding, read_header
from s3fs_local.rules.compliance_clock import ClockState
from s3fs_local.rules.encryption import parse_encryption
from s3fs_local.rules.erasure import parse_coding
from s3fs_local.rules.extents import Extent, decode_layout, encode_layout
from s3fs_local.rules.object_lock import read_object_lock
from s3fs_local.rules.remotes import parse_remotes
from s3fs_local.rules.replication_validation import read_replication
from s3fs_local.rules.retrieval import parse_request
from s3fs_local.rules.storage_costs import parse_prices

SHARE_HEAD_BYTES: Final = HEADER_BYTES - 32


class Target(NamedTuple):
    """A parser, and what it is made for."""

    parse: Callable[[bytes], object]
    examples: Sequence[bytes]


def text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    """As the command line and file names give text: any bytes."""
    return lambda data: parse(os.fsdecode(data))


def _mark(data: bytes) -> object:
    zone = MemoryObjects()
    zone.put(MARK_NAME, data)
    return read_mark(zone)


def _share(data: bytes) -> object:
    """With a digest that fits, or nothing behind it would ever be looked at."""
    head = data.ljust(SHARE_HEAD_BYTES, b"\0")[:SHARE_HEAD_BYTES]
    share = head + blake3(head).digest()
    claimed_coding(share)
    return read_header(share, store_id=bytes(16), pack_id=1, number=0)


def _journal_record(data: bytes) -> object:
    """In the two ways in which a mount reads it."""
    decode_known(data)
    return decode(data)


def _table(data: bytes) -> object:
    return read_table(data, key_id=1, offset=0, length=4 << 15, block_id=2, codec=15)


LAYOUT: Final = encode_layout((Extent(0, 4096, 7), Extent(8192, 100, 8, 12)))
_WRAPPED: Final = bytes(SALT_BYTES + KEY_BYTES + TAG_BYTES)
_RING_FORM: Final = bytes([RING, 5]) + b"store" + bytes([0, 0, 0, 1]) + _WRAPPED
_SERVICE_FORM: Final = bytes([SERVICE, 0, 1]) + b"k" + bytes(60)
FORMS: Final = (
    _RING_FORM,
    _SERVICE_FORM,
    bytes([BUCKET]) + bytes(8) + _WRAPPED,
    bytes([TWO]) + len(_SERVICE_FORM).to_bytes(2, "big") + _SERVICE_FORM + _RING_FORM,
)
REPLICATION: Final = b"""{"Role": "arn:aws:iam::1:role/r", "Rules": [{"ID": "a", "Priority": 1,
"Status": "Enabled", "Filter": {"Prefix": "x"}, "DeleteMarkerReplication": {"Status": "Enabled"},
"Destination": {"Bucket": "arn:aws:s3:::west", "StorageClass": "STANDARD_IA",
"ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
"Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}}}]}"""
ENCRYPTION: Final = b"""{"ServerSideEncryptionConfiguration": {"Rules":
[{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"},
"BucketKeyEnabled": true}]}}"""
OBJECT_LOCK: Final = b"""{"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule":
{"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}}}"""
RETRIEVAL: Final = b'{"Days": 3, "GlacierJobParameters": {"Tier": "Bulk"}}'
HEAD: Final = b"""{"head": {"store_id": "00000000000000000000000000000000", "record": 5,
"digest": "00", "time": "2026-11-22T15:04:05Z", "signature": "00"}}"""
BLOCK: Final = Block(
    file=ROOT,
    stamp_ns=5,
    block=ROOT,
    offset=0,
    plain=b"plain",
    algorithm="AES256",
    key="",
    has_bucket_key=False,
)
REFUSAL: Final = Refusal("AccessDenied", "no")
CLOCK: Final = msgspec.msgpack.encode(
    ClockState(boot_id="b", host="h", boottime_ns=1, uptime_ns=2, now_ns=3, expiry_ns=4)
)

MORE: Final = {
    "replication documents": Target(
        lambda data: read_replication(data, new_id=lambda: 7), (REPLICATION,)
    ),
    "encryption documents": Target(parse_encryption, (ENCRYPTION,)),
    "object lock documents": Target(read_object_lock, (OBJECT_LOCK,)),
    "retrieval requests": Target(text(parse_request), (b"3", b"3 Bulk", RETRIEVAL)),
    "remotes": Target(text(parse_remotes), (b"west=/mnt/west?key-file=/k; east=/mnt/east",)),
    "prices": Target(text(parse_prices), (b"currency=EUR as-of=2026-11 STANDARD=0.021",)),
    "codings": Target(text(parse_coding), (b"2+1", b"10+4")),
    "metrics addresses": Target(text(parse_metrics_address), (b"127.0.0.1:9100", b"[::1]:9100")),
    "messages of replication": Target(
        decode_message, (msgspec.msgpack.encode(BLOCK), msgspec.msgpack.encode({"type": "list"}))
    ),
    "answers of replication": Target(
        decode_reply, (msgspec.msgpack.encode(Kept()), msgspec.msgpack.encode(REFUSAL))
    ),
    "exported heads": Target(parse_head, (HEAD,)),
    "marks of zones": Target(_mark, (msgspec.json.encode(ZoneMark("0" * 32, "1" * 32)),)),
    "records of the ledger": Target(decode_record, (bytes(64) + b"\x97\x01\x02\x03",)),
    "bodies of the ledger": Target(decode_body, (encode_body([b"\x93\x90\x90\x90"]),)),
    "clocks in the ledger": Target(decode_clock, (CLOCK,)),
    "records of the journal": Target(
        _journal_record,
        tuple(
            map(
                encode,
                (
                    ChangeBatch([PutSetting("a", "1"), OpenCell(2, 0, 5, LAYOUT)], [3, 5]),
                    DraftBegun(2, 3, 0, 70_000, 1),
                    DraftWritten(2, 3, 4096, b"bytes", 7),
                ),
            )
        ),
    ),
    "layouts of cells": Target(decode_layout, (b"", LAYOUT, LAYOUT * 3)),
    "wrapped data keys": Target(parse_form, FORMS),
    "tables of compressed blocks": Target(
        _table, (bytes(SALT_BYTES * 2) + b"\0\0\1\0" * 4, bytes(SALT_BYTES * 2) + b"\x80\0\1\0" * 4)
    ),
    "shares of packs": Target(_share, (b"S3FSSHAR\0\0\0\1\2\1\0" + bytes(23) + b"\1" + bytes(70),)),
}
