"""Inspectors of the parts that the daemon puts together: writability, room, zones, clock, mount."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from s3fs_local.control.mount_table import mount_holding, read_mounts
from s3fs_local.crypto.key_ring import KeyState
from s3fs_local.daemon.assembly import OpenStore
from s3fs_local.daemon.release import RUNNING, inspect_release, installed_release
from s3fs_local.daemon.store_file import directory_of
from s3fs_local.engine.blocks import STANDARD
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.scrubbing import STREAMS
from s3fs_local.engine.space import SpaceGuard
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import EncryptionError, StorageError
from s3fs_local.objects.zone import ZoneState
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.rules.findings import Finding, Severity
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.instants import SECOND_NS, format_duration, format_rfc3339
from s3fs_local.rules.names import printed
from s3fs_local.system.clock import TrustedClock
from s3fs_local.workers.tending import Tending

ROOM_WARNING_RESERVES: Final = 10
"""Room for less than so many times the reserve is nearly none: at most 640 MiB."""
NAMED_MAX: Final = 10
UNSETTLED_MAX: Final = 1000
BEHIND_NOTICE_NS: Final = 3600 * SECOND_NS
"""Less is caught up in days, and interests nobody."""
BEHIND_WARNING_NS: Final = 400 * 24 * BEHIND_NOTICE_NS
"""No honest machine is off so long: the date was false once, or is now."""
SCRUBS_MISSED: Final = 2
"""One that is due takes days on a large store, and waits for the next mount on a small machine."""
READ_ONLY_MOUNT: Final = "it is mounted read-only"
_MEND: Final = "Mend the cause, then unmount and mount again."
_WRITABLE_AGAIN: Final = (
    "Read and copy what you need; nothing of it changes. If its disk failed (dmesg says so), copy"
    " the store's directory to another one."
)
_BRING_BACK: Final = "Bring its disk or server back; `zone repair` gives a new one all it needs."
_MAKE_ROOM_THERE: Final = (
    "Make room on its disk: it catches up by itself then. `zone repair` moves it to a larger disk"
    " put in its place."
)
_DAMAGED: Final = (
    "`s3fs-local scrub STORE` mends what another zone has whole; `s3fs-local verify STORE --all`"
    " names the files that lost bytes: restore earlier versions of them."
)
_MAKE_ROOM: Final = "Make room where the store lives, or purge old versions and run `gc`."


def register_inspectors(store: OpenStore, *, mount_point: Path | None) -> None:
    """The store's status tells of all that can be seen from here."""
    volume = store.filesystem.volume
    inspections = volume.inspections
    inspections.add("writing", lambda: _inspect_writing(volume))
    inspections.add("metadata", lambda: _inspect_metadata(store))
    inspections.add("keys", lambda: _inspect_keys(volume))
    if not store.unwritable:
        inspections.add("room", lambda: _inspect_room(volume))
        inspections.add("directory", lambda: _inspect_directory(store))
    inspections.add("moves", lambda: _inspect_moves(store.filesystem))
    inspections.add("clock", lambda: _inspect_clock(volume))
    inspections.add("packs", lambda: _inspect_packs(store.filesystem))
    inspections.add("ledger", lambda: _inspect_ledger(volume))
    inspections.add("recovery", lambda: _inspect_recovery(store))
    inspections.add("zones", lambda: _inspect_zones(store.zones))
    inspections.add("copies", lambda: _inspect_copies(volume))
    inspections.add("damage", lambda: _inspect_damage(volume))
    if not store.unwritable:
        inspections.add("scrub", lambda: _inspect_scrub(volume))
    inspections.add("release", lambda: inspect_release(RUNNING, installed_release()))
    if mount_point is None:
        inspections.add("mount", lambda: _inspect_dead_mounts(store.path))


def _inspect_writing(volume: Volume) -> Iterator[Finding]:
    if volume.durability.failure is not None:
        sentence = f"read-only since a fault: {volume.durability.failure}"
        yield Finding(Severity.CRITICAL, "writing", sentence, _MEND)
    elif volume.keeps_nothing:
        sentence = f"it can only be read: {volume.keeps_nothing}"
        yield Finding(Severity.WARNING, "writing", sentence, _WRITABLE_AGAIN)
    elif volume.read_only_reason == READ_ONLY_MOUNT:
        yield Finding(Severity.NOTICE, "writing", READ_ONLY_MOUNT, "")
    elif volume.read_only_reason:
        sentence = f"read-only: {volume.read_only_reason}"
        yield Finding(Severity.CRITICAL, "writing", sentence, _MEND)


def _inspect_metadata(store: OpenStore) -> Iterator[Finding]:
    if store.rescue.reason:
        sentence = f"the store's own database is not used: {store.rescue.reason}"
        advice = "Nothing is lost. Mend the disk of the store's directory, then mount again."
        yield Finding(Severity.CRITICAL, "metadata", sentence, advice)


def _inspect_keys(volume: Volume) -> Iterator[Finding]:
    service = volume.keys.service
    if service is not None and service.problem:
        yield Finding(
            Severity.CRITICAL,
            "keys",
            service.problem,
            "Bring the KMS back, or mend `config show STORE` kms; until then what was opened lately"
            " can be read.",
        )
    try:
        volume.new_keys.check()
    except EncryptionError as error:
        yield Finding(
            Severity.CRITICAL,
            "keys",
            f"no new file can be written: {error}",
            "Enable the key, or choose another with `s3fs-local bucket encryption put`.",
        )
    ring = volume.keys.ring
    disabled = [name for name in ring.names() if KeyState.DISABLED in ring.states(name).values()]
    if disabled:
        yield Finding(
            Severity.NOTICE,
            "keys",
            f"disabled, so what they wrap cannot be opened: {', '.join(disabled)}",
            "",
        )


def _inspect_room(volume: Volume) -> Iterator[Finding]:
    try:
        free, total = volume.space.look()
    except StorageError:
        return  # the zone's own inspector says so
    reserve = volume.space.reserve(total)
    if free <= reserve:
        sentence = "the disk is full: writes are refused"
        yield Finding(Severity.CRITICAL, "room", sentence, _MAKE_ROOM)
    elif free < ROOM_WARNING_RESERVES * reserve:
        mib, held_mib = free >> 20, reserve >> 20
        sentence = f"the disk is nearly full: {mib} MiB are free, and {held_mib} of them held back"
        yield Finding(Severity.WARNING, "room", sentence, _MAKE_ROOM)


def _inspect_directory(store: OpenStore) -> Iterator[Finding]:
    """The database and the log grow in it; where a zone is on the same disk, that says enough.

    No disk of a zone is asked: it may hang.
    """
    try:
        answer = os.statvfs(store.path)
    except OSError:
        return  # the next commit finds out
    free, total = answer.f_bavail * answer.f_frsize, answer.f_blocks * answer.f_frsize
    if free >= ROOM_WARNING_RESERVES * SpaceGuard.reserve(total) or store.rescue.reason:
        return
    mounts = read_mounts()
    directories = [directory_of(store.path, zone) for zone in store.zones.zones]
    disks = {mount_holding(each, mounts) for each in directories if each is not None}
    if mount_holding(store.path, mounts) not in disks:
        sentence = f"the disk of the store's directory is nearly full: {free >> 20} MiB are free"
        advice = f"Make room on the disk of {store.path}: the database and the log are there."
        yield Finding(Severity.WARNING, "room", sentence, advice)


def _inspect_moves(filesystem: FileSystem) -> Iterator[Finding]:
    """What is on its way between classes, as far as it is known without looking at each block."""
    settling, volume = filesystem.settling, filesystem.volume
    for version in filesystem.retrieving.ongoing()[:NAMED_MAX]:
        retrieval = version.retrieval
        if retrieval is None:
            continue
        entries = volume.metadata.entries_of(version.ino)
        name = printed(entries[-1].name) if entries else f"inode {version.ino}"
        if volume.now_ns() < retrieval.ready_ns:
            state = f"not before {format_rfc3339(retrieval.ready_ns)}"
        else:
            done = settling.done_bytes if settling.present_ino == version.ino else 0
            state = f"{min(100 * done // max(version.size, 1), 100)} % moved"
        sentence = f"{name} is being retrieved from {version.storage_class}: {state}"
        yield Finding(Severity.NOTICE, "archive", sentence, "")
    unsettled = len(volume.metadata.unsettled(UNSETTLED_MAX))
    if unsettled:
        more = "at least " if unsettled == UNSETTLED_MAX else ""
        sentence = f"{more}{unsettled} files are on their way to where their class wants them"
        yield Finding(Severity.NOTICE, "storage classes", sentence, "")


def inspect_tending(tending: Tending) -> Iterator[Finding]:
    """What keeps bytes from moving between classes."""
    if tending.failure:
        sentence = f"bytes wait to be moved between classes: {tending.failure}"
        yield Finding(Severity.WARNING, "storage classes", sentence, _MAKE_ROOM)


def _inspect_clock(volume: Volume) -> Iterator[Finding]:
    clock = volume.clock
    clock.check()
    if not isinstance(clock, TrustedClock):
        return
    if clock.is_lied_to:
        sentence = "this program is told a false time: no lock ends, and nothing expires"
        advice = "Unmount it, and mount it without libfaketime or the like."
        yield Finding(Severity.CRITICAL, "clock", sentence, advice)
    elif clock.in_doubt:
        way = "ahead of" if clock.ahead_ns > 0 else "behind"
        parted = _days_and_hours(abs(clock.ahead_ns))
        sentence = f"the date is {parted} {way} the time that passed: no lock ends meanwhile"
        advice = "Set the machine's date right; locks then go on as if nothing had been."
        yield Finding(Severity.CRITICAL, "clock", sentence, advice)
    elif clock.behind_ns >= BEHIND_NOTICE_NS:
        behind = _days_and_hours(clock.behind_ns)
        sentence = f"locks end {behind} after their dates: nobody measured the time between"
        advice = (
            "Nothing to do. The store was closed while the machine was started anew, or was used"
            " elsewhere; the clock catches up by a week a year."
        )
        severity = Severity.WARNING if clock.behind_ns >= BEHIND_WARNING_NS else Severity.NOTICE
        yield Finding(severity, "clock", sentence, advice)


def _inspect_ledger(volume: Volume) -> Iterator[Finding]:
    for finding in volume.durability.ledger.findings:
        advice = "`s3fs-local verify STORE` says what else differs; then look for who did it."
        yield Finding(Severity.CRITICAL, "ledger", finding, advice)


def _inspect_packs(filesystem: FileSystem) -> Iterator[Finding]:
    for url, reason in filesystem.pack_keeping.shortcomings.items():
        sentence = f"packs in {url} are not kept as they might be: {reason}"
        advice = "Nothing is lost by it. `config set STORE immutable-packs off` asks for less."
        yield Finding(Severity.NOTICE, "packs", sentence, advice)
    if filesystem.pack_coding.waiting:
        advice = "Bring zones back or add some; `config show STORE` says what the class wants."
        yield Finding(Severity.NOTICE, "packs", filesystem.pack_coding.waiting, advice)


def _days_and_hours(span_ns: int) -> str:
    """`400d6h`; exact to the minute below an hour."""
    unit_ns = 60 * SECOND_NS if span_ns < 3600 * SECOND_NS else 3600 * SECOND_NS
    return format_duration(span_ns // unit_ns * unit_ns)


def _inspect_recovery(store: OpenStore) -> Iterator[Finding]:
    if store.recovered_files:
        sentence = f"unclosed content of {store.recovered_files} files was recovered after a crash"
        advice = "`s3fs-local log FILE` calls these versions `recovered`."
        yield Finding(Severity.NOTICE, "recovery", sentence, advice)


def _inspect_zones(zones: ZoneSet) -> Iterator[Finding]:
    failing = zones.look_at_space()
    enough = len(zones.well) >= zones.members.quorum
    sound = [zone for zone in zones.well if zone not in failing]
    rest = Severity.WARNING if len(sound) >= zones.members.quorum else Severity.CRITICAL
    for zone in zones.zones:
        subject = f"zone {zone.url}"
        if zone.state is ZoneState.RETURNING:
            yield Finding(Severity.WARNING, subject, f"it catches up: {zone.reason}", "")
        elif not zone.is_well or zone in failing:
            advice = _MAKE_ROOM_THERE if zone.is_full else _BRING_BACK
            yield Finding(rest, subject, zone.reason or failing[zone], advice)
        elif zones.only is None and SpaceGuard.is_full(zone.space):
            sentence = f"its disk is full: {zone.space[0] >> 20} MiB are left"
            yield Finding(Severity.WARNING, subject, sentence, _MAKE_ROOM_THERE)
    if not enough:
        sentence = f"{len(zones.well)} of {len(zones.zones)} zones are well: every write fails"
        yield Finding(Severity.CRITICAL, "zones", sentence, _BRING_BACK)


def _inspect_copies(volume: Volume) -> Iterator[Finding]:
    """What is written lies in STANDARD first."""
    zones, packs = volume.zones, volume.durability.packs
    homes = zones.homes_of(packs.homes_of(STANDARD))
    if len(homes) == 1 < len(zones.zones):
        sentence = f"STANDARD lies in one zone only, {homes[0].url}: what is lost there is lost"
        advice = "Add another zone of its kind, or have all zones of one kind (docs/zones.md)."
        yield Finding(Severity.WARNING, "zones", sentence, advice)


def _inspect_damage(volume: Volume) -> Iterator[Finding]:
    """What a scrub, or a reader, found in a zone and nothing could mend yet."""
    for zone in volume.zones.zones:
        damaged = volume.verified.damaged(zone.zone_id)
        # Of all packs, of which there may be very many, only where there is damage at all.
        packs = volume.metadata.pack_placements().keys() if damaged else set()
        pieces = sum(damaged[pack_id] for pack_id in damaged.keys() & packs)
        if pieces and zone.is_well:
            what = "1 piece in it is" if pieces == 1 else f"{pieces} pieces in it are"
            sentence = f"{what} damaged, and could not be mended"
            yield Finding(Severity.CRITICAL, f"zone {zone.url}", sentence, _DAMAGED)
    streams = sum(volume.verified.damaged(STREAMS).values())
    if streams:
        sentence = f"{streams} files of journal, ledger or checkpoints are damaged in a zone"
        yield Finding(Severity.CRITICAL, "zones", sentence, _DAMAGED)


def _inspect_scrub(volume: Volume) -> Iterator[Finding]:
    """Copies are read often enough to find damage while another one is whole."""
    interval_ns, read_ns = volume.settings.scrub_interval_ns, volume.verified.at_ns(STREAMS, 0)
    if not interval_ns or volume.verified.damaged(STREAMS):
        return
    ago_ns = volume.now_ns() - (read_ns or volume.inode(ROOT_INO).btime_ns)
    if ago_ns > SCRUBS_MISSED * interval_ns:
        ago, interval = _days_and_hours(ago_ns), format_duration(interval_ns)
        since = f"since {ago}" if read_ns else f"in all of its {ago}"
        sentence = f"not all copies were read {since}; scrub-interval asks for it every {interval}"
        advice = "Keep it mounted, where that is done by itself, or run `s3fs-local scrub STORE`."
        yield Finding(Severity.WARNING, "scrub", sentence, advice)


def _inspect_dead_mounts(store: Path) -> Iterator[Finding]:
    """We have the store open and do not serve a mount: whoever did is gone."""
    for mount in read_mounts():
        if mount.is_ours and mount.store == store:
            point = mount.mount_point.decode(errors="backslashreplace")
            sentence = f"its daemon is gone, and programs at {point} get errors"
            advice = f"`s3fs-local mount {store} {point}` mounts it again, and loses nothing."
            yield Finding(Severity.CRITICAL, "mount", sentence, advice)
