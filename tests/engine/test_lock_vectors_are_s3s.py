"""S3's lock vectors L1 to L15, on a whole store: s3 semantics, where the two differ.

T is the instant at which a vector begins, in seconds; a version is `v`.
"""

from typing import Final

import pytest
import trio
from msgspec import structs

from s3fs_local.engine.purging import purge
from s3fs_local.errors import IsADirectory, LockError, NoSuchName, Protected
from s3fs_local.rules.history import HistoryItem
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.object_lock import DefaultRetention
from s3fs_local.rules.retention import (
    COMPLIANCE,
    GOVERNANCE,
    Bypass,
    LegalHold,
    Lock,
    Retention,
)
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, ROOT, MemoryStore

DAY_S: Final = 86_400
BYPASS: Final = Bypass(entitled=True, reason="vector")


class Bucket:
    """A store with s3 semantics and one key, in S3's words."""

    def __init__(self) -> None:
        self.store = MemoryStore(object_lock="true", lock_semantics='"s3"')

    def now(self) -> int:
        """Seconds."""
        return self.store.clock.now_ns() // SECOND_NS

    def default(self, mode: str, *, days: int) -> None:
        """PutObjectLockConfiguration."""
        volume = self.store.fs.volume
        default = DefaultRetention(mode, days=days)  # type: ignore[arg-type]
        volume.settings = structs.replace(volume.settings, default_retention=default)

    def put(self, key: str = "key", content: bytes = b"v") -> None:
        """PutObject."""
        self.store.write(f"/{key}", content)

    def retain(self, mode: str, until: int, *, bypass: bool = False) -> int:
        """PutObjectRetention of the current version; 200 or 403."""
        retention = Retention(mode, until * SECOND_NS)
        return self._answer(
            lambda: self.store.fs.locks.set_retention(
                self.store.stat("/key").ino,
                retention,
                caller=ROOT,
                bypass=BYPASS if bypass else None,
            )
        )

    def hold(self, *, on: bool) -> None:
        """PutObjectLegalHold."""
        ino = self.store.stat("/key").ino
        if on:
            hold = LegalHold("case", "vector", 0, self.store.clock.now_ns())
            self.store.fs.locks.set_legal_hold(ino, hold, caller=ROOT)
        else:
            self.store.fs.locks.clear_legal_hold(ino, "case", caller=ROOT)

    def items(self, key: str = "key") -> list[HistoryItem]:
        """ListObjectVersions, newest first."""
        return list(self.store.fs.histories.of_name(ROOT_INO, key.encode()).items)

    def lock(self, number: int = 0, key: str = "key") -> Lock | None:
        """The lock of a version, the newest first."""
        version = self.items(key)[number].version
        assert version is not None
        return version.lock

    def delete_version(self, number: int = 0, *, bypass: bool = False) -> int:
        """DELETE with a version id."""
        item = self.items()[number]
        return self._answer(
            lambda: purge(self.store.fs, item, caller=ROOT, bypass=BYPASS if bypass else None), 204
        )

    @staticmethod
    def _answer(call: object, success: int = 200) -> int:
        assert callable(call)
        try:
            call()
        except LockError:
            return 403
        return success


@pytest.fixture
def bucket() -> Bucket:
    """A new one, with Object Lock."""
    return Bucket()


def end_of(lock: Lock | None) -> tuple[str, int]:
    """Mode, and until when in ns."""
    assert lock is not None
    assert lock.retention is not None
    return lock.retention.mode, lock.retention.until_ns


def test_l1_a_default_counts_from_the_creation_of_the_version(bucket: Bucket) -> None:
    """One day, not rounded to midnight."""
    bucket.default(GOVERNANCE, days=1)
    bucket.put()
    version = bucket.items()[0].version
    assert version is not None

    assert end_of(version.lock) == (GOVERNANCE, version.stamp_ns + DAY_S * SECOND_NS)


def test_l2_what_is_given_with_the_object_wins_over_the_default(bucket: Bucket) -> None:
    """Shorter and stricter here; the default is a default, and no minimum."""
    bucket.default(GOVERNANCE, days=1)
    until = bucket.now() + 60
    store = bucket.store
    handle = store.open("/key", 0o102)  # O_RDWR | O_CREAT
    store.fs.write(handle, 0, b"v")
    ino = store.stat("/key").ino

    async def lock_as_it_is_put() -> None:
        retention = Retention(COMPLIANCE, until * SECOND_NS)
        await store.fs.lock_attributes.set_retention(ino, retention, ALICE, cut_writers=True)

    trio.run(lock_as_it_is_put)
    store.close(handle)

    assert end_of(bucket.lock()) == (COMPLIANCE, until * SECOND_NS)


def test_l3_another_default_changes_no_version_that_is_there(bucket: Bucket) -> None:
    """Neither longer nor shorter."""
    bucket.default(GOVERNANCE, days=1)
    bucket.put()
    before = bucket.lock()
    bucket.default(COMPLIANCE, days=3650)

    assert bucket.lock() == before


def test_l4_and_l5_governance_is_extended_by_all_and_shortened_with_a_bypass(
    bucket: Bucket,
) -> None:
    """L4: a later date needs none. L5: an earlier one does."""
    bucket.put()
    start = bucket.now()
    assert bucket.retain(GOVERNANCE, start + 10) == 200

    assert bucket.retain(GOVERNANCE, start + 20) == 200
    assert bucket.retain(GOVERNANCE, start + 10) == 403
    assert bucket.retain(GOVERNANCE, start + 10, bypass=True) == 200


def test_l6_and_l7_compliance_yields_to_nobody_until_its_second(bucket: Bucket) -> None:
    """L6: not to a bypass, nor an earlier date, nor the weaker mode. L7: after it, to all."""
    bucket.put(content=b"older")
    bucket.put()
    start = bucket.now()
    bucket.retain(COMPLIANCE, start + 5)

    assert bucket.delete_version(bypass=True) == 403
    assert bucket.retain(COMPLIANCE, start + 4, bypass=True) == 403
    assert bucket.retain(GOVERNANCE, start + 6, bypass=True) == 403
    bucket.store.tick(6)
    assert bucket.delete_version() == 204
    check_invariants(bucket.store)


def test_l8_a_hold_knows_no_bypass_and_no_date(bucket: Bucket) -> None:
    """Only OFF ends it."""
    bucket.put(content=b"older")
    bucket.put()
    bucket.hold(on=True)
    bucket.store.tick(10_000 * DAY_S)

    assert bucket.delete_version(bypass=True) == 403
    bucket.hold(on=False)
    assert bucket.delete_version() == 204


def test_l9_a_hold_outlives_the_retention(bucket: Bucket) -> None:
    """They are independent of each other."""
    bucket.put(content=b"older")
    bucket.put()
    bucket.retain(GOVERNANCE, bucket.now() + 5)
    bucket.hold(on=True)
    bucket.store.tick(6)

    assert bucket.delete_version() == 403


def test_l10_deleting_the_key_only_covers_the_version(bucket: Bucket) -> None:
    """204 and a marker; without the marker the version is there again."""
    bucket.put()
    bucket.retain(COMPLIANCE, bucket.now() + 3600)
    bucket.store.remove("/key")
    assert bucket.items()[0].version is None
    assert not bucket.store.exists("/key")

    assert bucket.delete_version(0) == 204  # the marker
    assert bucket.store.read("/key") == b"v"


def test_l11_putting_the_key_again_leaves_the_locked_version(bucket: Bucket) -> None:
    """A backup program writes on; what it wrote stands. RustFS refused this, and Veeam broke."""
    bucket.put()
    bucket.retain(COMPLIANCE, bucket.now() + 3600)
    bucket.put(content=b"newer")

    assert bucket.store.history("/key") == [b"newer", b"v"]
    assert bucket.lock(0) is None
    assert bucket.delete_version(1, bypass=True) == 403
    assert bucket.delete_version(0) == 204


def test_l12_a_copy_carries_no_lock(bucket: Bucket) -> None:
    """Neither retention nor hold; the default of where it goes applies."""
    bucket.put()
    bucket.retain(COMPLIANCE, bucket.now() + 3600)
    bucket.hold(on=True)
    store = bucket.store
    store.write("/copy", b"")
    source = store.stat("/key")
    store.fs.restore_content(store.stat("/copy").ino, source.ino, source.version_ns, caller=ROOT)

    assert store.read("/copy") == b"v"
    assert bucket.lock(key="copy") is None


def test_l13_a_delete_marker_takes_no_lock(bucket: Bucket) -> None:
    """S3: 405. Here there is no file to name, and a marker can always be deleted."""
    bucket.put()
    bucket.store.remove("/key")
    with pytest.raises(NoSuchName):
        bucket.retain(COMPLIANCE, bucket.now() + 3600)
    with pytest.raises(IsADirectory):
        bucket.store.fs.locks.set_retention(
            ROOT_INO, Retention(COMPLIANCE, (bucket.now() + 60) * SECOND_NS), caller=ROOT
        )

    assert bucket.delete_version(0) == 204


def test_l14_of_several_versions_the_free_ones_go(bucket: Bucket) -> None:
    """DeleteObjects answers for each."""
    bucket.put(content=b"one")
    bucket.retain(COMPLIANCE, bucket.now() + 3600)
    bucket.put(content=b"two")

    assert [bucket.delete_version(1), bucket.delete_version(0)] == [403, 204]
    assert bucket.store.history("/key") == [b"one"]


def test_l15_each_version_keeps_its_own_date(bucket: Bucket) -> None:
    """The example of the user guide: 30 days, and on day 15 a new version with 60."""
    bucket.put(content=b"first")
    start = bucket.now()
    bucket.retain(GOVERNANCE, start + 30 * DAY_S)
    bucket.store.tick(15 * DAY_S)
    bucket.put(content=b"second")
    bucket.retain(GOVERNANCE, bucket.now() + 60 * DAY_S)

    assert end_of(bucket.lock(1)) == (GOVERNANCE, (start + 30 * DAY_S) * SECOND_NS)
    bucket.store.tick(16 * DAY_S)
    assert bucket.delete_version(0) == 403
    assert bucket.delete_version(1) == 204
    check_invariants(bucket.store)


# s3-semantics 2.4: what S3 answers for a version that is X: free, G: GOVERNANCE, C: COMPLIANCE,
# H: held; without bypass, with it.
MATRIX: Final = {
    "delete version": ("204 204", "403 204", "403 403", "403 403"),
    "later date": ("200 200", "200 200", "200 200", "200 200"),
    "earlier date": ("200 200", "403 200", "403 403", "200 200"),
    "remove retention": ("200 200", "403 200", "403 403", "200 200"),
    "put again": ("200 200", "200 200", "200 200", "200 200"),
    "delete key": ("204 204", "204 204", "204 204", "204 204"),
}


@pytest.mark.parametrize("state", ["X", "G", "C", "H"])
@pytest.mark.parametrize("bypass", [False, True], ids=["plain", "bypass"])
@pytest.mark.parametrize("operation", MATRIX)
def test_the_matrix_of_operations_and_protections_is_s3s(
    bucket: Bucket, operation: str, state: str, *, bypass: bool
) -> None:
    """Each cell by itself; the last column is a hold without a retention."""
    bucket.put(content=b"older")
    bucket.put()
    start = bucket.now()
    if state in "GC":
        bucket.retain({"G": GOVERNANCE, "C": COMPLIANCE}[state], start + 1000)
    if state == "H":
        bucket.hold(on=True)
    mode = COMPLIANCE if state == "C" else GOVERNANCE
    expected = int(MATRIX[operation]["XGCH".index(state)].split()[bypass])

    match operation:
        case "delete version":
            found = bucket.delete_version(bypass=bypass)
        case "later date":
            found = bucket.retain(mode, start + 2000, bypass=bypass)
        case "earlier date":
            found = bucket.retain(mode, start + 500, bypass=bypass)
        case "remove retention":
            ino = bucket.store.stat("/key").ino
            found = 200
            try:
                bucket.store.fs.locks.set_retention(
                    ino, None, caller=ROOT, bypass=BYPASS if bypass else None
                )
            except Protected:
                found = 403
        case "put again":
            bucket.put(content=b"newest")
            found = 200
        case _:
            bucket.store.remove("/key")
            found = 204

    assert found == expected
    contents = bucket.store.history("/key")
    assert (b"v" in contents) == (operation != "delete version" or expected == 403)
