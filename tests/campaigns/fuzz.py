"""Everything that is parsed, fed with what nobody would write: mutations of what somebody would.

A parser returns or raises an error of ours, within a second of computing. What is sealed is parsed
only after its seal has been opened, so it is not here. Where `atheris` is
installed (`pip install atheris`), it searches, guided by coverage; else mutations are blind.
"""

import random
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from s3fs_local.control.protocol import decode_reply
from s3fs_local.control.requests import decode_request
from s3fs_local.crypto.key_ring import KeyRing
from s3fs_local.crypto.slot_secrets import KeyFile, RecoveryKey
from s3fs_local.daemon.config import parse_mount_options
from s3fs_local.daemon.store_file import (
    ZoneRecord,
    decode_store_file,
    encode_store_file,
    new_record,
)
from s3fs_local.daemon.zones import parse_zone
from s3fs_local.errors import S3fsLocalError
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.packs.segment import Segment
from s3fs_local.rules import posix_acl
from s3fs_local.rules.identifiers import parse_version_id, version_id
from s3fs_local.rules.instants import parse_duration, parse_instant
from s3fs_local.rules.lifecycle_validation import read_lifecycle
from s3fs_local.rules.names import parse_below_versions
from s3fs_local.rules.retention import parse_object_lock, parse_period, parse_until
from s3fs_local.rules.settings import parse_setting
from s3fs_local.rules.storage_classes import parse_placements
from s3fs_local.rules.tags import decode_tags
from s3fs_local.rules.versioning import parse_versioning
from s3fs_local.system.randomness import SeededRandomness
from tests.campaigns.fuzz_parsers import MORE, Target, text
from tests.campaigns.line import Failed, Figures, Piece

NOW_NS: Final = 1_795_000_000 * 10**9
SECONDS_MAX: Final = 1.0  # of computing
MEMORY_MIB_MAX: Final = 512
INPUT_BYTES_MAX: Final = 4096
STORE_ID: Final = bytes(16)
_KEY: Final = bytes(32)
ACL: Final = b"\2\0\0\0" + b"".join(
    struct.pack("<HHI", tag, 6, 0xFFFFFFFF) for tag in (0x01, 0x04, 0x20)
)


def _segment(data: bytes) -> object:
    copy = ObjectCopy.of(data)
    segment = Segment.of(copy, _KEY, store_id=STORE_ID, number=1)
    if segment is not None:
        segment.origin(copy)
        segment.read(copy, 100)
        segment.next_record(copy, 0)
    return segment


def _new_segment() -> bytes:
    segment = Segment.new(_KEY, store_id=STORE_ID, number=1, salt=bytes(16))
    return segment.head(before=0, before_end=0) + segment.record(b"payload", offset=100, durable=0)


def _store_file() -> bytes:
    zone = ZoneRecord("0" * 32, "zones/zone-1")
    record = new_record(
        store_id="0" * 32, zones=(zone,), key_file="unlock.key", keyring=False, test_clock=False
    )
    return encode_store_file(record)


def _ring() -> bytes:
    return KeyRing.create(KeyFile(_KEY), randomness=SeededRandomness(1)).serialize()


PROGRESS: Final = msgspec.msgpack.encode({"type": "progress", "what": "x", "done": 1, "total": 5})
LIFECYCLE: Final = b"""<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Rule><ID>a</ID><Status>Enabled</Status><Filter><And><Prefix>logs/</Prefix><Tag><Key>k</Key>
<Value>v</Value></Tag><ObjectSizeGreaterThan>500</ObjectSizeGreaterThan></And></Filter>
<Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition><Expiration>
<Days>90</Days></Expiration></Rule></LifecycleConfiguration>"""
LIFECYCLE_JSON: Final = b"""{"Rules": [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "x"},
"NoncurrentVersionExpiration": {"NoncurrentDays": 5, "NewerNoncurrentVersions": 3}}]}"""

TARGETS: Final = {
    "instants": Target(
        text(lambda words: parse_instant(words, now_ns=NOW_NS)),
        (b"2026-11-22T15-04-05Z", b"2d", b"1h30m", b"GMT-2026.11.22-15.04.05", b"1795359845"),
    ),
    "durations": Target(text(parse_duration), (b"1h30m", b"5m", b"2d", b"0")),
    "version ids": Target(text(parse_version_id), (version_id(NOW_NS, 5).encode(), b"null")),
    "names in .versions": Target(parse_below_versions, (b"@2d", b"@@name", b"name", b"@GMT-2026")),
    "tags": Target(text(decode_tags), (b"a=1&b=2", b"k=%20v&x=")),
    "retention periods": Target(text(parse_period), (b"30d", b"7y")),
    "retention dates": Target(
        text(lambda words: parse_until(words, now_ns=NOW_NS)), (b"2030-01-01", b"30d", b"1y")
    ),
    "s3.object-lock": Target(
        text(lambda words: parse_object_lock(words, now_ns=NOW_NS)),
        (b"COMPLIANCE 2030-01-01T00:00:00Z", b"GOVERNANCE 30d"),
    ),
    "settings": Target(
        text(lambda words: parse_setting(*words.partition("=")[::2])),
        (b"draft-memory=64MiB", b"flush-interval=0.5s", b"object-lock=on", b"snapdirname=.v"),
    ),
    "placements": Target(text(parse_placements), (b"GLACIER:copies=2,zones=archive+cold,zstd=12",)),
    "mount options": Target(
        text(lambda words: parse_mount_options([words])), (b"allow_other,ro", b"snapdir=visible")
    ),
    "zone urls": Target(text(parse_zone), (b"/mnt/b", b"file:///mnt/b?kind=cold")),
    "ACLs": Target(posix_acl.parse, (ACL, ACL[:4])),
    "versioning documents": Target(
        parse_versioning,
        (b'{"Status": "Enabled"}', b'{"Status": "Suspended", "MFADelete": "Disabled"}'),
    ),
    "lifecycle documents": Target(
        lambda data: read_lifecycle(data, minimum=None, new_id=lambda: 7),
        (LIFECYCLE, LIFECYCLE_JSON),
    ),
    "requests on the socket": Target(
        decode_request,
        (
            msgspec.msgpack.encode({"command": "status"}),
            msgspec.msgpack.encode({"command": "versions", "path": b"/a", "at": 5}),
        ),
    ),
    "replies on the socket": Target(decode_reply, (PROGRESS,)),
    "store files": Target(
        lambda data: decode_store_file(data, path="store.json"),
        (_store_file(),),
    ),
    "key rings": Target(lambda data: KeyRing.open(data, KeyFile(_KEY)), (_ring(),)),
    "key files": Target(KeyFile.parse, (b"0" * 64 + b"\n",)),
    "recovery keys": Target(text(RecoveryKey.parse), (RecoveryKey(bytes(20)).text().encode(),)),
    "journal segments": Target(_segment, (_new_segment(),)),
    **MORE,
}


class TooLong(BaseException):
    """A parser computed for over a second; no parser can catch it by mistake."""


@contextmanager
def limited() -> Iterator[None]:
    """Raises TooLong in whoever computes too long within."""

    def expire(_number: int, _frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, expire)
    signal.setitimer(signal.ITIMER_PROF, SECONDS_MAX)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def complaint(target: Target, data: bytes) -> str:
    """What is wrong with how the parser takes the bytes; empty where nothing is."""
    try:
        with limited():
            target.parse(data)
    except TooLong:
        return f"over {SECONDS_MAX} s of computing"
    except Exception as error:  # noqa: BLE001 - others than ours are what is looked for
        return "" if isinstance(error, S3fsLocalError) else repr(error)
    return ""


def mutated(example: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Some bytes are others, some are missing, twice there, or from elsewhere."""
    data = bytearray(example)
    for _ in range(1 << chance.randrange(5)):
        at = chance.randrange(len(data) + 1)
        length = min(chance.choice((1, 1, 2, 4, 30)), len(data) - at)
        match chance.randrange(6):
            case 0:
                data[at : at + length] = chance.randbytes(length)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length] * chance.choice((1, 2, 50))
            case 3:
                data[at:at] = chance.choice((b"\0", b"\xff", b"9" * 30, b"-1", b"\xc3", b"<", b"%"))
            case 4:
                other = chance.choice(others)
                start = chance.randrange(len(other) + 1)
                data[at:at] = other[start : start + 20]
            case _:
                if at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
    return bytes(data[:INPUT_BYTES_MAX])


def shortest(target: Target, failing: bytes) -> bytes:
    """Bytes that still get a complaint, and none of which can be left out."""
    size = max(len(failing) // 2, 1)
    while size:
        start = 0
        while start < len(failing):
            candidate = failing[:start] + failing[start + size :]
            if complaint(target, candidate):
                failing = candidate
            else:
                start += size
        size //= 2
    return failing


def run(piece: Piece) -> Figures:
    """So many inputs for each parser."""
    chance = random.Random(piece.seed)
    for name, target in TARGETS.items():
        for _ in range(piece.size):
            data = mutated(chance.choice(target.examples), target.examples, chance)
            if complaint(target, data):
                least = shortest(target, data)
                raise Failed(f"{name}: {least!r}: {complaint(target, least)}")
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    if memory_mib > MEMORY_MIB_MAX:
        raise Failed(f"parsing takes {memory_mib} MiB")
    return {"most parsers": len(TARGETS), "most MiB": memory_mib}


def lacks_atheris() -> str:
    """It is no dependency: it has no release for every machine this runs on."""
    return "" if find_spec("atheris") else "atheris (.venv/bin/pip install atheris)"


def run_guided(piece: Piece) -> Figures:
    """So many inputs for each parser, chosen by coverage, each parser in a process of its own."""
    for name in TARGETS:
        corpus = piece.folder / name.replace(" ", "-")
        corpus.mkdir()
        for number, example in enumerate(TARGETS[name].examples):
            (corpus / str(number)).write_bytes(example)
        arguments = (f"-runs={piece.size}", f"-seed={piece.seed + 1}", "-timeout=5", str(corpus))
        result = subprocess.run(
            [sys.executable, "-m", "tests.campaigns.guided", name, *arguments],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise Failed(f"{name}:\n{result.stdout[-3000:]}{result.stderr[-3000:]}")
    return {"most parsers": len(TARGETS)}
