"""What is purged cannot be read again, whoever kept a copy of the zone and has today's key ring."""

import copy

import pytest

from s3fs_local.control.requests import Purge, RewrapKeys, RotateKey
from s3fs_local.errors import KeyMissing
from s3fs_local.metadata.memory import MemoryMetadata
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.identifiers import version_id
from tests.control.test_commands_on_a_store import ask
from tests.engine.memory_store import MemoryStore


class Kept:
    """A store of which somebody keeps a copy of the zone and of the facts, then purges a file."""

    def __init__(self) -> None:
        zone = MemoryObjects()
        self.store = MemoryStore(zone=zone)
        self.store.write("/kept", b"stays")
        self.store.write("/f", b"to be destroyed")
        self.store.flush(durable=True)
        self.store.settle()
        self.zone: MemoryObjects = copy.deepcopy(zone)
        self.facts: MemoryMetadata = copy.deepcopy(self.store.metadata)
        (version,) = self.store.metadata.versions(self.store.stat("/f").ino)
        self.version = version
        self.store.remove("/f")
        ask(self.store, Purge(b"f", version=version_id(version.stamp_ns, version.salt)))

    def opened_with_the_ring_of_today(self) -> MemoryStore:
        """The copy, as whoever has it would open it."""
        thief = copy.copy(self.store)
        thief.zone, thief.metadata = self.zone, self.facts
        thief.opened = thief._open()  # noqa: SLF001 - a mount of the copy
        return thief


@pytest.fixture
def kept() -> Kept:
    """A copy that was kept, and a store that purged a file since."""
    return Kept()


def test_the_present_facts_cannot_open_the_old_packs(kept: Kept) -> None:
    """The wrapped key is not in a pack: with packs and ring alone there is nothing to unwrap."""
    (key_id,) = kept.version.key_ids
    assert kept.store.metadata.key(key_id) is None
    with pytest.raises(KeyMissing, match="destroyed"):
        kept.store.fs.volume.keys.open(key_id)


def test_an_old_journal_or_ledger_still_holds_the_wrapped_key_until_old_ring_keys_are_forgotten(
    kept: Kept,
) -> None:
    """So a whole copy of a zone opens with today's ring, and afterwards it does not."""
    assert kept.opened_with_the_ring_of_today().read("/f") == b"to be destroyed"
    ask(kept.store, RotateKey("store"))
    ask(kept.store, RewrapKeys(forget_old=True))

    assert kept.store.read("/kept") == b"stays"
    thief = kept.opened_with_the_ring_of_today()
    assert thief.exists("/f")
    with pytest.raises(KeyMissing, match="version 1"):
        thief.read("/f")
    with pytest.raises(KeyMissing):
        thief.read("/kept")  # of the copy, too: its wraps are the old ones
