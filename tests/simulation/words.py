"""What the engine says, in the reference's words."""

from s3fs_local.rules import retention
from s3fs_local.rules.instants import SECOND_NS
from tests.simulation.reference.locks import NO_LOCK, Lock


def as_lock(lock: retention.Lock | None) -> Lock:
    """A lock, or none."""
    if lock is None:
        return NO_LOCK
    retained = lock.retention or retention.Retention("", 0)
    holds = tuple((hold.case, hold.holder) for hold in lock.holds)
    return Lock(retained.mode, 2 * retained.until_ns // SECOND_NS / 2, holds)
