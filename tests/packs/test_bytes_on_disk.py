"""The bytes on disk are those of docs/format.md, read here without the program's own code."""

import base64
import json
from zlib import crc32

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from s3fs_local.crypto.key_ring import KeyRing
from s3fs_local.crypto.sealing import seal_block
from s3fs_local.crypto.slot_secrets import KeyFile
from s3fs_local.crypto.wrapped_keys import Binding, with_ino
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.packs.journal import Journal
from s3fs_local.packs.pack_store import PackStore
from s3fs_local.packs.segment import Segment

KEY = bytes(range(32))
STORE_ID = bytes(range(16))
SALT = bytes(range(50, 66))


def _keyed(key: bytes, data: bytes) -> bytes:
    return blake3(data, key=key).digest()


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def test_a_block_is_as_described() -> None:
    """Section 4."""
    plain = bytes(range(256)) * 200
    sealed = bytes(seal_block(plain, data_key=KEY, key_id=7, offset=1 << 20, block_id=9, salt=SALT))
    cipher = AESGCM(_keyed(KEY, SALT + b"s3fs_local block 1"))
    bound = b"".join(number.to_bytes(8, "big") for number in (7, 1 << 20, len(plain), 9))
    first = cipher.decrypt(bytes(12), sealed[16 : 16 + 32_784], bound)
    last = cipher.decrypt(b"\x80" + bytes(10) + b"\x01", sealed[16 + 32_784 :], bound)

    assert sealed[:16] == SALT
    assert first + last == plain


def test_a_pack_is_as_described() -> None:
    """Section 5."""
    zone = MemoryObjects()
    packs = PackStore([zone], store_id=STORE_ID, allocate_pack=lambda _: 0xABC)
    packs.append(b"one", "STANDARD")
    packs.append(b"two", "STANDARD")
    content = zone.read("packs/bc/0000000000000abc.pack", 0, 999)

    assert content[:16] == b"S3FSPACK\0\0\0\1\0\0\0\0"
    assert content[16:32] == STORE_ID
    assert _number(content[32:40]) == 0xABC
    assert content[40:] == b"onetwo"


def test_a_segment_is_as_described() -> None:
    """Section 6: header, record 0, and a record with a payload of 200 bytes."""
    zone = MemoryObjects()
    journal = Journal([zone], KEY, STORE_ID)
    list(journal.replay(0))
    position = journal.append([b"x" * 200])
    content = zone.read("journal/0000000000000001.journal", 0, 999)
    header, salt = content[:56], content[40:56]
    cipher = AESGCM(_keyed(KEY, salt + b"s3fs_local segment 1"))
    payloads = []
    offset = 56
    while offset < len(content):
        size = _number(content[offset : offset + 4])
        check = crc32(salt + offset.to_bytes(4, "big") + size.to_bytes(4, "big"))
        assert _number(content[offset + 4 : offset + 8]) == check
        sealed = content[offset + 8 : offset + 8 + size]
        payloads.append(cipher.decrypt(offset.to_bytes(12, "big"), sealed, header))
        offset += 8 + size

    assert header[:16] == b"S3FSJRNL\0\0\0\1\0\0\0\0"
    assert header[16:32] == STORE_ID
    assert _number(header[32:40]) == 1
    assert payloads[0] == bytes(4) + bytes(8) + bytes(8)
    assert payloads[1] == (100).to_bytes(4, "big") + b"x" * 200
    assert position == 2**32 + 328


def test_a_key_ring_is_as_described() -> None:
    """Section 3: from the key file to the journal's key and to a data key."""
    ring = KeyRing.create(KeyFile(KEY), store=STORE_ID.hex())
    binding = Binding(STORE_ID, 5, 7)
    wrapped = with_ino(5, ring.wrap(b"d" * 32, binding.encode()))
    file = json.loads(ring.serialize())
    compact = json.dumps(file["ring"], separators=(",", ":")).encode()
    slot = {name: base64.b64decode(file["ring"]["slots"][0][name]) for name in ("salt", "sealed")}
    salt, sealed = (base64.b64decode(file["ring"][name]) for name in ("salt", "body"))
    nonce = bytes(12)
    slot_cipher = AESGCM(_keyed(KEY, slot["salt"] + b"s3fs_local key ring slot 1"))
    master = slot_cipher.decrypt(nonce, slot["sealed"], b"key-file")
    body_cipher = AESGCM(_keyed(master, salt + b"s3fs_local key ring body 1"))
    bound_to = (1).to_bytes(8, "big") + STORE_ID.hex().encode()
    body = json.loads(body_cipher.decrypt(nonce, sealed, bound_to))
    ring_key = base64.b64decode(body["keys"]["store"][0]["key"])
    wrap_cipher = AESGCM(_keyed(ring_key, wrapped[19:35] + b"s3fs_local wrapped key 1"))
    bound = wrapped[8:35] + STORE_ID + (5).to_bytes(8, "big") + (7).to_bytes(8, "big")

    assert file["ring"]["store"] == STORE_ID.hex()
    assert file["digest"] == blake3(compact).hexdigest()
    assert ring.subkey("journal") == _keyed(
        base64.b64decode(body["root"]), b"s3fs_local purpose 1 journal"
    )
    assert wrapped[:8] == (5).to_bytes(8, "big")
    assert wrapped[8:19] == b"\x01\x05store\0\0\0\x01"
    assert len(wrapped) == 83
    assert wrap_cipher.decrypt(nonce, wrapped[35:], bound) == b"d" * 32


def test_the_same_input_still_makes_the_same_bytes() -> None:
    """A change here makes every store in the world unreadable: it needs a new format number."""
    block = seal_block(
        bytes(40_000), data_key=KEY, key_id=7, offset=1 << 20, block_id=9, salt=bytes(16)
    )
    segment = Segment.new(KEY, store_id=STORE_ID, number=3, salt=bytes(16))
    journal = segment.head(before=2, before_end=500)
    journal += segment.record(b"payload", offset=100, durable=100)

    assert blake3(block).hexdigest() == (
        "7474a5e102bdb00349e04b8f22df83cd8bf1a5b08f68823a7a6e0cecbe932258"
    )
    assert blake3(journal).hexdigest() == (
        "e25e08f46613979fe84377ee675cd25e952c2f891f7657744794bbc06dd42661"
    )
