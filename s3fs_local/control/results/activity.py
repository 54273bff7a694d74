"""What a mount is doing."""

from msgspec import Struct


class KindRow(Struct, frozen=True, rename="pascal"):
    """All requests of one kind since the mount."""

    kind: str
    count: int
    took_ns: int
    bytes: int


class RunningRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A request that was not answered yet."""

    kind: str
    path: str
    for_ns: int
    uid: int
    pid: int


class ActivitySample(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a mount has done since it began, and what it is doing at `UptimeNs`."""

    uptime_ns: int  # of the machine
    kinds: list[KindRow]
    failures: dict[str, int]  # by the name of the error
    running: list[RunningRow]
    open_files: int
    dirty_bytes: int  # accepted, and not in a version yet
    journal_bytes: int  # of the present segment
    fsyncs: int
