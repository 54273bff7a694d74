"""Histories that once told the store from its reference, as short as they were got."""

import pytest

from tests.simulation.operations import Kind, Operation
from tests.simulation.pair import go_through

HISTORIES = {
    "a pack that takes the number of one that a crash orphaned is mended like any other": [
        Operation(Kind.CREATE, 9, 6, 1),
        Operation(Kind.WRITE, 11, 2, 3),
        Operation(Kind.MKNOD, 6, 0, 9),
        Operation(Kind.WRITE, 2, 6, 3),
        Operation(Kind.RENAME_NOREPLACE, 5, 2, 6),
        Operation(Kind.COLLECT_GARBAGE, 11, 3, 10),
        Operation(Kind.CREATE, 6, 8, 1),
        Operation(Kind.WRITE, 0, 4, 4),
        Operation(Kind.CLOSE, 4, 10, 11),
        Operation(Kind.LEAVE_SEGMENT, 6, 9, 7),
        Operation(Kind.GO_ON_AND_DIE, 6, 3, 9),
        Operation(Kind.COLLECT_GARBAGE, 2, 10, 6),
        Operation(Kind.GO_ON, 9, 10, 2),
        Operation(Kind.ZONE_ROTS, 8, 4, 2),
    ],
    "a zone that flickered before the process was killed is given what it missed at opening": [
        Operation(Kind.MKDIR, 0, 0, 5),
        Operation(Kind.SETTLE, 2, 0, 11),
        Operation(Kind.ZONE_GOES, 11, 0, 9),
        Operation(Kind.RENAME, 2, 11, 10),
        Operation(Kind.ZONE_COMES, 2, 1, 5),
        Operation(Kind.CREATE, 5, 11, 8),
        Operation(Kind.ROTATE_KEYS, 7, 4, 1),
        Operation(Kind.WRITE, 8, 3, 7),
        Operation(Kind.CLOSE_DUPLICATE, 3, 6, 8),
        Operation(Kind.GO_ON_AND_DIE, 8, 2, 3),
    ],
    "a file is written to after a reader of it met a zone that failed": [
        Operation(Kind.CREATE, 9, 11, 8),
        Operation(Kind.OPEN_TRUNCATE, 11, 7, 2),
        Operation(Kind.APPEND, 9, 0, 7),
        Operation(Kind.CLOSE, 3, 8, 10),
        Operation(Kind.APPEND, 11, 6, 4),
        Operation(Kind.ZONE_EMPTIED, 6, 3, 3),
        Operation(Kind.APPEND, 7, 6, 7),
    ],
    "a zone comes back although a pack that it missed was removed before it was synced": [
        Operation(Kind.ZONE_GOES, 10, 6, 4),
        Operation(Kind.CREATE, 1, 4, 2),
        Operation(Kind.APPEND, 6, 11, 4),
        Operation(Kind.APPEND, 0, 8, 3),
        Operation(Kind.OPEN_TRUNCATE, 8, 9, 5),
        Operation(Kind.COLLECT_GARBAGE, 8, 6, 8),
    ],
    "a zone that comes back is given no bytes that rotted in another": [
        Operation(Kind.ZONE_EMPTIED, 11, 0, 1),
        Operation(Kind.MKNOD, 4, 11, 10),
        Operation(Kind.OPEN, 4, 6, 0),
        Operation(Kind.WRITE, 4, 3, 7),
        Operation(Kind.CLOSE, 3, 2, 3),
        Operation(Kind.ZONE_ROTS, 0, 1, 1),
    ],
    "a zone that goes again while it catches up is left alone, and ends nothing": [
        Operation(Kind.ZONE_EMPTIED, 10, 6, 4),
        Operation(Kind.ZONE_COMES, 4, 7, 5),
        Operation(Kind.BRING_BACK, 1, 9, 9),
        Operation(Kind.GO_ON_AND_DIE, 5, 5, 2),
        Operation(Kind.CREATE, 6, 4, 10),
        Operation(Kind.ZONE_GOES, 4, 3, 5),
        Operation(Kind.FLUSH, 5, 10, 11),
    ],
    "a block whose removal a crash undid is whole in a zone that came back meanwhile": [
        Operation(Kind.CREATE, 5, 10, 9),
        Operation(Kind.ZONE_GOES, 11, 4, 1),
        Operation(Kind.CREATE, 10, 5, 0),
        Operation(Kind.EXCHANGE, 10, 11, 7),
        Operation(Kind.WRITE, 9, 0, 1),
        Operation(Kind.RENAME, 6, 5, 5),
        Operation(Kind.CREATE, 4, 1, 10),
        Operation(Kind.LEAVE_SEGMENT, 6, 10, 6),
        Operation(Kind.ZONE_ROTS, 6, 11, 6),
        Operation(Kind.ZONE_COMES, 8, 1, 0),
        Operation(Kind.BRING_BACK, 5, 10, 1),
        Operation(Kind.PURGE, 4, 8, 5),
        Operation(Kind.GO_ON_AND_DIE, 10, 3, 10),
    ],
    "a file that was never committed takes no lock, for its first version would come without it": [
        Operation(Kind.CREATE, 0, 0, 0),
        Operation(Kind.MKNOD, 1, 0, 0),
        Operation(Kind.UNLINK, 1, 0, 0),
        Operation(Kind.CRASH, 0, 0, 0),
        Operation(Kind.RETAIN, 0, 1, 0),
    ],
    "an attribute of a locked file may be set to what it is": [
        Operation(Kind.MKNOD, 0, 0, 0),
        Operation(Kind.SETXATTR, 0, 0, 7),
        Operation(Kind.RETAIN, 0, 2, 0),
        Operation(Kind.SETXATTR, 0, 0, 7),
    ],
    "a verification believes that a retention was over, although the date was false at the crash": [
        Operation(Kind.FLUSH, 2, 6, 3),
        Operation(Kind.CREATE, 3, 1, 1),
        Operation(Kind.SET_CLASS, 6, 7, 10),
        Operation(Kind.REMOVEXATTR, 3, 6, 2),
        Operation(Kind.CLEAR_RETENTION, 3, 7, 0),
        Operation(Kind.RETAIN, 8, 0, 6),
        Operation(Kind.MIDNIGHT, 6, 3, 11),
        Operation(Kind.SET_DATE, 4, 10, 1),
        Operation(Kind.RESTORE_ROOT, 10, 5, 10),
        Operation(Kind.PURGE, 10, 11, 6),
        Operation(Kind.FLUSH, 10, 1, 5),
        Operation(Kind.CRASH, 1, 3, 0),
    ],
    "what changed after the machine was off for a year is looked at in the next run of lifecycle": [
        Operation(Kind.CREATE, 6, 2, 10),
        Operation(Kind.CLOSE_DUPLICATE, 11, 9, 5),
        Operation(Kind.PUT_LIFECYCLE, 0, 8, 2),
        Operation(Kind.UPKEEP, 9, 8, 5),
        Operation(Kind.MIDNIGHT, 8, 2, 7),
        Operation(Kind.GO_ON_AND_DIE, 4, 2, 3),
        Operation(Kind.POWER_CUT, 11, 6, 9),
        Operation(Kind.RENAME, 4, 9, 3),
        Operation(Kind.MIDNIGHT, 10, 10, 11),
    ],
}


@pytest.mark.parametrize("name", HISTORIES)
def test_it_does_not_fail_any_more(name: str) -> None:
    """The name says what was wrong."""
    go_through(HISTORIES[name])
