"""Whoever can write to a store's files can alter it; `verify` names what, where and of when.

The store is real; so are the edits, by SQL and to the bytes of files, each on a copy of its own.
"""

# The texts are put together from constants only.
# ruff: noqa: S608

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import trio
from blake3 import blake3

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import run
from s3fs_local.crypto.key_ring import KeyRing
from s3fs_local.crypto.signing import Signer
from s3fs_local.crypto.slot_secrets import KeyFile
from s3fs_local.daemon.assembly import open_store
from s3fs_local.daemon.creation import StorePlan, create_store
from s3fs_local.daemon.layout import KEY_FILE_NAME, KEY_RING_NAME
from s3fs_local.daemon.store_file import read_store_file
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.draft_records import ChangeBatch, encode
from s3fs_local.engine.ledger import decode_body, encode_body
from s3fs_local.metadata.changes import PutInode, PutVersion
from s3fs_local.objects.local_directory import LocalDirectory
from s3fs_local.packs.journal import Journal
from s3fs_local.packs.ledger import (
    ORIGIN,
    STREAM,
    LedgerHead,
    LedgerRecord,
    decode_record,
    head_message,
)
from s3fs_local.packs.segment import HEAD_BYTES
from s3fs_local.rules.inode import ROOT_INO, Caller
from s3fs_local.rules.retention import LegalHold, Lock, Retention
from s3fs_local.rules.versioning import Version

ME = Caller(uid=os.getuid(), gid=os.getgid())
DAY_NS = 86_400 * 10**9
LOCKED = b"audit.log"
"""Two versions of 40,000 bytes, the second locked for COMPLIANCE and held for a case."""
FREE = b"notes"
"""One version, without a lock."""


class Finding(NamedTuple):
    """One discrepancy that `verify --json` printed."""

    kind: str
    key: str
    version: str
    time: str
    sentence: str


class Report(NamedTuple):
    """What `verify` said."""

    code: int
    findings: list[Finding]
    head: dict[str, Any]
    counts: dict[str, int]


def _fill(path: Path) -> None:
    async def work() -> None:
        async with open_store(path, Unlocking()) as opened:
            fs = opened.filesystem
            for name, *contents in ((LOCKED, b"a" * 40_000, b"b" * 40_000), (FREE, b"free")):
                for content in contents:
                    if fs.volume.metadata.lookup(ROOT_INO, name) is None:
                        handle = fs.create(ROOT_INO, name, 0o100644, os.O_WRONLY, ME)[0].handle
                    else:
                        ino = fs.lookup(ROOT_INO, name).ino
                        handle = fs.open(ino, os.O_WRONLY | os.O_TRUNC, ME).handle
                    fs.write(handle, 0, content)
                    fs.flush(handle)
                    fs.release(handle)
                    await fs.volume.durability.settle()  # so that there are several records
            ino = fs.lookup(ROOT_INO, LOCKED).ino
            fs.setattr(ino, AttributeChange(mode=0o640), None, ME)
            until_ns = fs.volume.now_ns() + 3650 * DAY_NS
            fs.locks.set_retention(ino, Retention("COMPLIANCE", until_ns), caller=ME)
            await fs.volume.durability.settle()
            hold = LegalHold("C-7", "court order", ME.uid, fs.volume.now_ns())
            fs.locks.set_legal_hold(ino, hold, caller=ME)

    trio.run(work)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two zones, which every test copies."""
    folder = tmp_path_factory.mktemp("original")
    path = folder / "store"
    before = os.umask(0o077)
    zones = (str(folder / "zone-a"), str(folder / "zone-b"))
    create_store(path, StorePlan(owner=ME, object_lock=True, zones=zones))
    os.umask(before)
    _fill(path)
    return path


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Path:
    """The store, to be altered."""
    shutil.copytree(original.parent, tmp_path / "copy")
    path = tmp_path / "copy/store"
    description = path / "store.json"
    text = description.read_text().replace(str(original.parent), str(path.parent))
    description.write_text(text)
    return path


@pytest.fixture(autouse=True)
def _umask_as_before() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def verify(store: Path, capsys: pytest.CaptureFixture[str], *options: str) -> Report:
    """What `verify --json` says of the store."""
    capsys.readouterr()
    code = run(["verify", str(store), "--json", *options])
    printed = capsys.readouterr()
    assert printed.out, printed.err
    answer = json.loads(printed.out)
    findings = [
        Finding(
            row["Kind"],
            row.get("Key", ""),
            row.get("VersionId", ""),
            row.get("Time", ""),
            row["Sentence"],
        )
        for row in answer["Discrepancies"]
    ]
    assert answer["Intact"] == (not findings)
    counts = {name: answer[name] for name in ("Records", "Facts", "Versions", "Bytes")}
    return Report(code, findings, answer["Head"], counts)


def edit(store: Path, *statements: str) -> None:
    """Rows of the database are altered, as anybody with an SQL program can."""
    connection = sqlite3.connect(store / "metadata.sqlite")
    with connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, f"{statement} altered nothing"
    connection.close()


def test_an_honest_store_is_intact(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The story, and the proof that the findings below are not noise."""
    report = verify(store, capsys)
    assert report.code == ExitCode.OK
    assert report.findings == []
    assert report.counts["Versions"] == 1, "by default the locked ones are read"
    assert report.counts["Bytes"] > 2 * 40_000, "in both zones"
    everything = verify(store, capsys, "--all")

    assert everything.counts["Versions"] == 3
    assert everything.findings == []


INO = "(SELECT ino FROM entry WHERE name = CAST('audit.log' AS BLOB))"
CURRENT = f"(SELECT max(stamp_ns) FROM version WHERE ino = {INO})"
FIRST = f"(SELECT min(stamp_ns) FROM version WHERE ino = {INO})"
LOCKED_BLOCK = f"""(SELECT block_id FROM block WHERE key_id = (SELECT key_id FROM inode
    WHERE ino = {INO}) ORDER BY block_id DESC LIMIT 1)"""
COLUMNS = [name for name in Version.__struct_fields__ if name != "stamp_ns"]
LATER_COLUMNS = ", ".join(["ino", "stamp_ns + 1", *COLUMNS[1:]])
WEAKER = msgspec.msgpack.encode(Lock(Retention("GOVERNANCE", 1))).hex()
EDITS = {
    "the lock is taken from the file": f"UPDATE inode SET lock = NULL WHERE ino = {INO}",
    "the lock is taken from the version": (
        f"UPDATE version SET lock = NULL WHERE ino = {INO} AND stamp_ns = {CURRENT}"
    ),
    "the lock is weaker": (
        f"UPDATE version SET lock = x'{WEAKER}' WHERE ino = {INO} AND stamp_ns = {CURRENT}"
    ),
    "the locked version is removed": (
        f"DELETE FROM version WHERE ino = {INO} AND stamp_ns = {CURRENT}"
    ),
    "an earlier version is removed": (
        f"DELETE FROM version WHERE ino = {INO} AND stamp_ns = {FIRST}"
    ),
    "a version is moved in time": (
        f"UPDATE version SET stamp_ns = stamp_ns - 1 WHERE ino = {INO} AND stamp_ns = {FIRST}"
    ),
    "a version is inserted": (
        f"INSERT INTO version SELECT {LATER_COLUMNS} FROM version "
        f"WHERE ino = {INO} AND stamp_ns = {FIRST}"
    ),
    "the size of a version": (
        f"UPDATE version SET size = 10 WHERE ino = {INO} AND stamp_ns = {CURRENT}"
    ),
    "who committed a version": (
        f"UPDATE version SET uid = 4711 WHERE ino = {INO} AND stamp_ns = {CURRENT}"
    ),
    "the size of the file": f"UPDATE inode SET size = 10 WHERE ino = {INO}",
    "the owner of the file": f"UPDATE inode SET uid = 4711 WHERE ino = {INO}",
    "the mode of the file": f"UPDATE inode SET mode = mode | 2 WHERE ino = {INO}",
    "the time of the file": f"UPDATE inode SET mtime_ns = mtime_ns - 1 WHERE ino = {INO}",
    "the name of the file": (
        "UPDATE entry SET name = CAST('audit.old' AS BLOB) WHERE name = CAST('audit.log' AS BLOB)"
    ),
    "the name is ended": f"UPDATE entry SET to_ns = from_ns + 1, ending = 2 WHERE ino = {INO}",
    "the name is removed": f"DELETE FROM entry WHERE ino = {INO}",
    "whose file the name is": """UPDATE entry SET ino = (SELECT ino FROM entry WHERE
        name = CAST('notes' AS BLOB)) WHERE name = CAST('audit.log' AS BLOB)""",
    "the locked content is the earlier one": f"""UPDATE cell SET extents = (SELECT extents FROM cell
        WHERE ino = {INO} AND from_ns = {FIRST}) WHERE ino = {INO} AND from_ns = {CURRENT}""",
    "the locked content is a hole": f"DELETE FROM cell WHERE ino = {INO} AND from_ns = {CURRENT}",
    "the end of a layout": (
        f"UPDATE cell SET to_ns = to_ns - 1 WHERE ino = {INO} AND from_ns = {FIRST}"
    ),
    "where a block lies": (
        f"UPDATE block SET pack_offset = pack_offset + 1 WHERE block_id = {LOCKED_BLOCK}"
    ),
    "what a block hashes to": (
        f"UPDATE block SET digest = zeroblob(32) WHERE block_id = {LOCKED_BLOCK}"
    ),
    "how often a block is used": (
        f"UPDATE block SET refs = refs + 1 WHERE block_id = {LOCKED_BLOCK}"
    ),
    "a block is removed": f"DELETE FROM block WHERE block_id = {LOCKED_BLOCK}",
    "a data key is exchanged": f"""UPDATE data_key SET wrapped = zeroblob(75)
        WHERE key_id = (SELECT key_id FROM inode WHERE ino = {INO})""",
    "a data key is destroyed": (
        f"DELETE FROM data_key WHERE key_id = (SELECT key_id FROM inode WHERE ino = {INO})"
    ),
    "what the file's mode was before": (
        f"UPDATE kept_attributes SET mode = mode | 2 WHERE ino = {INO}"
    ),
}
"""Each names what it alters. All are about the locked file."""


@pytest.mark.parametrize("statement", EDITS.values(), ids=list(EDITS))
def test_an_edited_row_of_a_locked_file_is_found_and_named(
    statement: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, version and time, so that somebody can look for the copy elsewhere."""
    edit(store, statement)
    report = verify(store, capsys)

    assert report.code == ExitCode.ALTERED
    named = [found for found in report.findings if found.key == LOCKED.decode()]
    assert named, report.findings
    assert all(found.time for found in named)
    assert any(found.version for found in named)


OTHER_EDITS = {
    "Object Lock is switched off": "UPDATE setting SET value = 'false' WHERE name = 'object-lock'",
    "a setting is added": """INSERT INTO setting VALUES ('lock-semantics', '"s3"')""",
    "a pack is renamed": "UPDATE pack SET placement = 'GLACIER'",
    "a pack is forgotten": "DELETE FROM pack",
    "a name is added": """INSERT INTO entry (parent, name, from_ns, ino, to_ns, ending, salt,
        is_null, uid, ended_by) SELECT parent, CAST('more' AS BLOB), from_ns + 1, ino, to_ns,
        ending, salt, is_null, uid, ended_by FROM entry LIMIT 1""",
    "the last stamp is one of 2080": "UPDATE state SET stamp_ns = 3471292800000000000",
    "the root directory is somebody else's": "UPDATE inode SET uid = 4711 WHERE ino = 1",
}


@pytest.mark.parametrize("statement", OTHER_EDITS.values(), ids=list(OTHER_EDITS))
def test_an_edited_row_of_the_store_is_found(
    statement: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings and packs belong to no file, and rule over all."""
    edit(store, statement)
    report = verify(store, capsys)

    assert report.code == ExitCode.ALTERED
    assert report.findings


def test_an_edit_that_a_later_change_would_hide_is_found(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon writes whole rows: after a chmod the ledger itself has the file without its lock.

    So the ledger is judged too: protection never ends without a word of who ended it.
    """
    edit(
        store,
        f"UPDATE inode SET lock = NULL WHERE ino = {INO}",
        f"UPDATE version SET lock = NULL WHERE ino = {INO} AND stamp_ns = {CURRENT}",
    )

    async def remove() -> None:
        async with open_store(store, Unlocking()) as opened:
            fs = opened.filesystem
            fs.setattr(fs.lookup(ROOT_INO, LOCKED).ino, AttributeChange(mode=0o600), None, ME)
            fs.unlink(ROOT_INO, LOCKED, ME)

    trio.run(remove)
    report = verify(store, capsys)

    assert report.code == ExitCode.ALTERED
    assert any(found.kind == "law" and found.key == LOCKED.decode() for found in report.findings)


def _packs(store: Path, zone: str) -> list[Path]:
    return sorted((store.parent / zone).rglob("*.pack"))


def _flip(file: Path, offset: int) -> None:
    data = bytearray(file.read_bytes())
    data[offset] ^= 1
    file.chmod(0o600)
    file.write_bytes(data)


@pytest.mark.parametrize("zones", [("zone-a",), ("zone-b",), ("zone-a", "zone-b")])
def test_flipped_bits_of_a_locked_version_are_found(
    zones: tuple[str, ...], store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one zone reads still succeed, so nobody would notice until the other is gone."""
    for zone in zones:
        (pack,) = _packs(store, zone)
        _flip(pack, 40 + 41_000 + 5000)  # behind the first version's block
    report = verify(store, capsys)

    assert report.code == ExitCode.ALTERED
    (found,) = report.findings
    assert (found.kind, found.key) == ("bytes", LOCKED.decode())
    assert found.version
    assert found.time
    (zone, *others) = zones
    where = "in every zone" if others else f"in zone {store.parent / zone}"
    assert where in found.sentence


def test_every_byte_of_a_locked_version_is_looked_at(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first, the last, and each that a thousandth step meets between."""
    connection = sqlite3.connect(store / "metadata.sqlite")
    query = f"SELECT pack_offset, sealed_length FROM block WHERE block_id = {LOCKED_BLOCK}"
    start, length = connection.execute(query).fetchone()
    connection.close()
    (pack,) = _packs(store, "zone-b")
    whole = pack.read_bytes()
    for offset in (start, *range(start + 1, start + length - 1, length // 8), start + length - 1):
        _flip(pack, offset)
        assert verify(store, capsys).code == ExitCode.ALTERED, offset
        pack.write_bytes(whole)
    assert verify(store, capsys).code == ExitCode.OK


def test_a_truncated_or_deleted_pack_is_found(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not only bytes that changed: those that are gone.

    A pack that ends early in one zone is what a killed process leaves, so opening completes it; one
    that ends early in all zones lost what it held.
    """
    (pack,), (other,) = _packs(store, "zone-a"), _packs(store, "zone-b")
    whole = pack.read_bytes()
    pack.write_bytes(whole[: len(whole) // 2])
    assert verify(store, capsys).code == ExitCode.OK
    assert pack.read_bytes() == whole
    for copy in (pack, other):
        copy.write_bytes(whole[: len(whole) // 2])
    assert verify(store, capsys).findings[0].kind == "bytes"
    pack.unlink()

    assert verify(store, capsys).findings[0].key == LOCKED.decode()


class Forger:
    """Somebody who has the keys, and rewrites the ledger in every zone."""

    def __init__(self, store: Path) -> None:
        record = read_store_file(store)
        self.store = store
        secret = KeyFile.parse((store / KEY_FILE_NAME).read_bytes())
        ring = KeyRing.open((store / KEY_RING_NAME).read_bytes(), secret)
        self.store_id = bytes.fromhex(record.store_id)
        self.key = ring.subkey("ledger")
        self.signer = Signer(ring.subkey("ledger signing"))
        self.zones = [LocalDirectory(store.parent / name) for name in ("zone-a", "zone-b")]

    def payloads(self) -> list[bytes]:
        """The records as they are."""
        journal = Journal(self.zones, self.key, self.store_id, stream=STREAM)
        return [payload for _, payload in journal.replay(0)]

    def rewrite(self, payloads: list[bytes], zones: Sequence[int] = (0, 1)) -> None:
        """These are the records, sealed as the store would."""
        chosen = [self.zones[number] for number in zones]
        for zone in chosen:
            for name in list(zone.list("ledger/")):
                zone.delete(name)
        journal = Journal(chosen, self.key, self.store_id, stream=STREAM)
        assert list(journal.replay(0)) == []
        for payload in payloads:
            journal.append([payload])
            journal.sync()
        journal.close()

    def chained(self, records: list[LedgerRecord]) -> list[bytes]:
        """The records numbered, chained and signed anew."""
        payloads = []
        before = ORIGIN
        for number, record in enumerate(records, start=1):
            encoded = msgspec.msgpack.encode(
                msgspec.structs.replace(record, number=number, before=before)
            )
            before = blake3(encoded).digest()
            message = head_message(self.store_id, LedgerHead(number, before))
            payloads.append(self.signer.sign(message) + encoded)
        return payloads


def _decoded(payload: bytes) -> LedgerRecord:
    signed = decode_record(payload)
    assert signed is not None
    return signed.record


def _without_lock(payload: bytes) -> LedgerRecord:
    """The record with every lock in it taken out."""
    record = _decoded(payload)
    batches = []
    for batch in decode_body(record.body):
        changes = [
            PutVersion(msgspec.structs.replace(change.version, lock=None))
            if isinstance(change, PutVersion)
            else PutInode(msgspec.structs.replace(change.inode, lock=None))
            if isinstance(change, PutInode)
            else change
            for change in batch.changes
        ]
        batches.append(encode(ChangeBatch(changes, batch.ended_drafts, batch.notes)))
    return msgspec.structs.replace(record, body=encode_body(batches))


def _edited(payloads: list[bytes]) -> list[bytes]:
    """The lock is taken out of the first record that has one."""
    changed = [p[:64] + msgspec.msgpack.encode(_without_lock(p)) for p in payloads]
    decoded = [decode_body(_decoded(payload).body) for payload in payloads]
    place = next(n for n, p in enumerate(changed) if decode_body(_decoded(p).body) != decoded[n])
    return [*payloads[:place], changed[place], *payloads[place + 1 :]]


FORGERIES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "edited": _edited,
    "inserted": lambda payloads: [*payloads[:2], payloads[1], *payloads[2:]],
    "dropped": lambda payloads: [*payloads[:2], *payloads[3:]],
    "reordered": lambda payloads: [payloads[0], payloads[2], payloads[1], *payloads[3:]],
    "truncated": lambda payloads: payloads[:-1],
    "cut at its beginning": lambda payloads: payloads[1:],
    "emptied": lambda _: [],
}


def test_a_ledger_that_one_zone_lost_whole_is_completed_from_another(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a killed process leaves one that was just begun: it says nothing else, so it is given."""
    forger = Forger(store)
    before = forger.payloads()
    for segment in (store.parent / "zone-b/ledger").iterdir():
        segment.unlink()

    assert verify(store, capsys).code == ExitCode.OK
    names = [path.name for path in (store.parent / "zone-b/ledger").iterdir()]
    assert names == [path.name for path in (store.parent / "zone-a/ledger").iterdir()]
    assert forger.payloads()[: len(before)] == before


@pytest.mark.parametrize(
    ("forgery", "zones"),
    [
        pytest.param(forgery, zones, id=f"{name}-{where}")
        for name, forgery in FORGERIES.items()
        for zones, where in (((0, 1), "every zone"), ((1,), "one zone"))
        if (name, where) != ("emptied", "one zone")  # see above
    ],
)
def test_forged_records_are_found(
    forgery: Callable[[list[bytes]], list[bytes]],
    zones: Sequence[int],
    store: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the keys in hand, so that every seal is right; in one zone, too."""
    forger = Forger(store)
    payloads = forger.payloads()
    assert len(payloads) >= 5
    forger.rewrite(forgery(payloads), zones)
    report = verify(store, capsys)

    assert report.code == ExitCode.ALTERED
    records = [found for found in report.findings if found.kind == "record"]
    assert records
    assert any(found.time for found in records)


def test_an_edited_record_that_was_signed_anew_breaks_the_chain(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record itself is beyond reproach then; the next one has its old digest."""
    forger = Forger(store)
    payloads = _edited(forger.payloads())
    signed = []
    for payload in payloads:
        head = LedgerHead(_decoded(payload).number, blake3(payload[64:]).digest())
        signed.append(forger.signer.sign(head_message(forger.store_id, head)) + payload[64:])
    forger.rewrite(signed)
    sentences = [found.sentence for found in verify(store, capsys).findings]

    assert any("does not follow" in sentence for sentence in sentences)
    assert not any("not signed" in sentence for sentence in sentences)


def test_records_without_the_stores_signature_are_found(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sealed and chained well, but by somebody who lacks the key that signs."""
    forger = Forger(store)
    forger.rewrite([bytes(64) + payload[64:] for payload in forger.payloads()])
    sentences = [found.sentence for found in verify(store, capsys).findings]

    assert sentences
    assert all("not signed" in sentence for sentence in sentences)


@pytest.mark.parametrize("offset", [10, HEAD_BYTES - 3, HEAD_BYTES + 3, HEAD_BYTES + 200])
def test_a_flipped_bit_in_the_ledger_is_found(
    offset: int, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one of two zones, where everything still works."""
    segment = min((store.parent / "zone-b/ledger").iterdir())
    _flip(segment, offset)
    report = verify(store, capsys)

    assert report.code == ExitCode.ALTERED
    assert all(found.kind == "record" for found in report.findings)


def test_a_ledger_rewritten_to_fit_is_still_contradicted_by_the_facts(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Chained and signed anew, with the keys; the database knows the lock, and the last head."""
    forger = Forger(store)
    payloads = forger.payloads()
    forger.rewrite(forger.chained([_without_lock(payload) for payload in payloads]))
    report = verify(store, capsys)

    assert report.code == ExitCode.ALTERED
    assert any(found.kind == "fact" and found.key == LOCKED.decode() for found in report.findings)


def export_head(store: Path, head: Path) -> None:
    """The head lies in the file, as a person would have it done."""
    assert run(["ledger", "export", str(store), str(head), "--head-only"]) == ExitCode.OK


def test_an_exported_head_stands_against_the_holder_of_the_keys(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ledger and database rewritten together fit each other; what was signed before does not."""
    head = tmp_path / "head.json"
    export_head(store, head)
    assert verify(store, capsys, "--head", str(head)).findings == []
    forger = Forger(store)
    payloads = forger.chained([_without_lock(payload) for payload in forger.payloads()])
    forger.rewrite(payloads)
    last = msgspec.json.encode(
        {"number": len(payloads), "digest": blake3(payloads[-1][64:]).hexdigest()}
    ).decode()
    edit(
        store,
        f"UPDATE inode SET lock = NULL WHERE ino = {INO}",
        f"UPDATE version SET lock = NULL WHERE ino = {INO} AND stamp_ns = {CURRENT}",
        f"UPDATE setting SET value = '{last}' WHERE name = 'fact.ledger-head'",
    )
    alone = verify(store, capsys)
    report = verify(store, capsys, "--head", str(head))

    assert [found.kind for found in alone.findings if found.kind in {"head", "record"}] == []
    assert report.code == ExitCode.ALTERED
    assert any(found.kind == "head" and found.time for found in report.findings)


def test_an_older_copy_put_back_is_found_by_an_exported_head(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole store as it was, every file: only who kept a later head can know."""
    shutil.copytree(store.parent, tmp_path / "kept")
    run(["retention", "set", "compliance", "30d", f"{store}:/notes"])
    head = tmp_path / "head.json"
    export_head(store, head)
    shutil.rmtree(store.parent)
    shutil.copytree(tmp_path / "kept", store.parent)
    assert verify(store, capsys).findings == []
    (found,) = verify(store, capsys, "--head", str(head)).findings

    assert found.kind == "head"
    assert "older copy" in found.sentence


def test_a_head_is_a_prefix_of_all_that_comes_later(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An auditor keeps one head a month and checks any of them at the end."""
    export = tmp_path / "export.jsonl"
    assert run(["ledger", "export", str(store), str(export)]) == ExitCode.OK
    run(["retention", "set", "compliance", "30d", f"{store}:/notes"])

    assert verify(store, capsys, "--head", str(export)).findings == []
    events = [json.loads(line) for line in export.read_text().splitlines()[:-1]]
    told = [event for line in events for event in line["Events"]]
    kinds = {event["Event"] for event in told if event.get("Key") == LOCKED.decode()}
    assert {"NameMade", "Committed", "LockChanged"} <= kinds


def test_a_head_that_was_altered_or_is_of_another_store_is_told(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A false head must not make a good store look altered without saying why."""
    head = tmp_path / "head.json"
    export_head(store, head)
    whole = json.loads(head.read_text())
    row = whole["Head"]
    for member, value in (("Digest", "00" * 32), ("StoreId", "11" * 16)):
        head.write_text(json.dumps({"Head": row | {member: value}}))
        assert any(f.kind == "head" for f in verify(store, capsys, "--head", str(head)).findings)
    head.write_text("nothing\n")

    assert run(["verify", str(store), "--head", str(head)]) == ExitCode.USAGE
    assert run(["verify", str(store), "--head", str(tmp_path / "none")]) == ExitCode.USAGE
