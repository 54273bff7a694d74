"""The zones of a store: what their URLs mean, and how they are made, opened and described.

Beside `assembly` the only module that names concrete object stores.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import Struct, structs

from s3fs_local import errors
from s3fs_local.daemon.begun_zones import BEGUN_NAMES_MAX, is_begun
from s3fs_local.daemon.layout import KEY_RING_NAME
from s3fs_local.daemon.store_file import (
    S3_SCHEME,
    STORE_FILE_NAME,
    StoreRecord,
    ZoneRecord,
    directory_of,
    encode_store_file,
)
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.local_directory import LocalDirectory
from s3fs_local.objects.membership import TIMEOUT_SECONDS
from s3fs_local.objects.overlay import Overlay
from s3fs_local.objects.reading import answers, gather
from s3fs_local.objects.zone import Zone, ZoneState
from s3fs_local.objects.zone_mark import MARK_NAME, ZoneMark, check_zone, mark_zone
from s3fs_local.objects.zone_record import RECORD_NAME, ZonesRecord, is_everywhere, newest_record
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.rules.quorum import enough_to_know, quorum_of
from s3fs_local.rules.storage_classes import ARCHIVE_CLASSES, ZoneKind
from s3fs_local.system import durable_files
from s3fs_local.system.held_directories import HeldDirectories

if TYPE_CHECKING:
    from s3fs_local.objects.s3 import S3Place

_KIND: Final = re.compile(r"(?P<place>.+)\?kind=(?P<kind>[a-z]+)")
_S3_PARAMETERS: Final = {
    "endpoint": "endpoint",
    "region": "region",
    "profile": "profile",
    "credentials": "credentials_file",
    "storage-class": "storage_class",
}
_RECORD_BYTES_MAX: Final = 1 << 20


def parse_zone(text: str) -> tuple[str, ZoneKind]:
    """The URL of a zone, as it is kept, and its kind.

    `/mnt/b`, `file:///mnt/b?kind=cold`, `s3://bucket/prefix?endpoint=https://host&kind=archive`.

    Raises:
        InvalidArgument: it names no zone.
    """
    if text.startswith(S3_SCHEME):
        place, kind = _s3_place(text)
        del place
        return text, kind
    match = _KIND.fullmatch(text)
    where = text if match is None else match["place"]
    kind = ZoneKind.HOT if match is None else _kind(match["kind"], text)
    if "://" not in where:
        return _directory(where), kind
    parts = _parts(where)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not parts.path:
        raise errors.InvalidArgument(
            f"zone {text!r} is neither a directory nor a file:// or s3:// URL"
        )
    return _directory(unquote(parts.path)), kind


def _directory(path: str) -> str:
    if "\0" in path:
        raise errors.InvalidArgument(f"{path!r} cannot be the path of a zone")
    return str(Path(path).resolve())


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise errors.InvalidArgument(f"zone {url!r} is no URL: {error}") from None


def _kind(text: str, url: str) -> ZoneKind:
    try:
        return ZoneKind(text)
    except ValueError:
        raise errors.InvalidArgument(
            f"{url!r}: there are zones of kind hot, cold and archive"
        ) from None


def _s3_place(url: str) -> "tuple[S3Place, ZoneKind]":
    """Where an s3:// URL points, and the kind of zone that it is.

    Raises:
        InvalidArgument: it has no bucket, or a parameter that means nothing.
    """
    from s3fs_local.objects.s3 import S3Place  # noqa: PLC0415  boto3 is half of a start

    parts = _parts(url)
    values = dict(parse_qsl(parts.query))
    kind = _kind(values.pop("kind", "hot"), url)
    unknown = set(values) - set(_S3_PARAMETERS)
    if not parts.netloc or unknown:
        raise errors.InvalidArgument(
            f"{url!r}: write s3://bucket/prefix?endpoint=URL; known are "
            f"{', '.join([*_S3_PARAMETERS, 'kind'])}"
        )
    if values.get("storage-class") in ARCHIVE_CLASSES:
        raise errors.InvalidArgument(
            f"{url!r}: packs must be readable at once, or nothing could be verified, mended or"
            " rebuilt from them; choose GLACIER_IR"
        )
    given = {_S3_PARAMETERS[name]: value for name, value in values.items()}
    return S3Place(bucket=parts.netloc, prefix=parts.path.strip("/"), **given), kind


def connect(path: Path, zone: ZoneRecord) -> ObjectStore:
    """The objects of the zone, whoever they belong to.

    Raises:
        ZoneUnavailable: it does not answer.
    """
    if zone.url.startswith(S3_SCHEME):
        from s3fs_local.objects.s3 import S3Objects  # noqa: PLC0415  boto3 is half of a start

        return S3Objects(_s3_place(zone.url)[0])
    return LocalDirectory(path / zone.url)


def open_zone(path: Path, store_id: str, zone: ZoneRecord, held: HeldDirectories) -> ObjectStore:
    """The objects of the zone, which is the one that it should be, and `held` where it can be.

    Raises:
        ZoneUnavailable: it does not answer, or is another one.
        ZoneInUse: another process has it.
    """
    objects = connect(path, zone)
    mark = check_zone(objects, store_id=store_id)
    if mark.zone_id != zone.zone_id:
        raise errors.ZoneUnavailable(f"{zone.url} is another zone of this store than expected")
    directory = directory_of(path, zone)
    if directory is not None:
        held.hold(directory, of=zone.zone_id)
    return objects


def zone_for(
    record: ZoneRecord,
    store: ObjectStore | None = None,
    *,
    reason: str = "",
    has_threads: bool = False,
) -> Zone:
    """The zone of the record; see `Zone`."""
    is_far = record.url.startswith(S3_SCHEME)
    zone = Zone(
        store,
        zone_id=record.zone_id,
        url=record.url,
        kind=record.kind,
        reason=reason,
        has_threads=has_threads or is_far,
    )
    zone.is_far = is_far
    return zone


def check_vacant(path: Path, record: StoreRecord, zone: ZoneRecord) -> None:
    """Nothing lies where the zone is to be made, save what was left when its making was broken off.

    Raises:
        StoreExists: something does.
        PathUnusable: the directory above is not there.
    """
    directory = directory_of(path, zone)
    if directory is not None and not directory.is_dir():
        if directory.exists() or directory.is_symlink():
            raise errors.StoreExists(f"{directory} is a file")
        if not directory.parent.is_dir():
            raise errors.PathUnusable(f"there is no directory {directory.parent} for a zone in it")
        return
    objects = connect(path, zone)
    names = _names_in(objects, directory)
    if names and not is_begun(objects, names, record):
        raise errors.StoreExists(f"{zone.url if directory is None else directory} is not empty")


def _names_in(objects: ObjectStore, directory: Path | None) -> set[str]:
    """What lies there, in a directory under whatever name; of many, enough to see that."""
    if directory is None:
        return set(islice(objects.list(""), BEGUN_NAMES_MAX + 1))
    with _told_in_words(directory):
        return {entry.name for entry in directory.iterdir()} - {"lost+found"}


@contextmanager
def _told_in_words(directory: Path) -> Iterator[None]:
    """What its disk refuses leaves the block as an error of the zone."""
    try:
        yield
    except OSError as error:
        raise durable_files.storage_error(error, directory) from error


def is_same_place(path: Path, zone: ZoneRecord, former: ObjectStore | None) -> bool:
    """Whether the very directory that was the zone is there, whatever happened to its content."""
    directory = directory_of(path, zone)
    if directory is None or not isinstance(former, LocalDirectory):
        return False
    return former.is_at(directory)


def make_zone(path: Path, record: StoreRecord, zone: ZoneRecord, *, key_ring: bytes) -> ObjectStore:
    """The zone belongs to the store, durably, and holds what opens a store from it alone.

    Raises:
        StoreExists: it belongs to a store already.
        ZoneUnavailable, StoreFull: of the place.
    """
    directory = directory_of(path, zone)
    if directory is not None:
        with _told_in_words(directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable_files.fsync_directory(directory.parent)
    objects = connect(path, zone)
    names = _names_in(objects, directory)
    if MARK_NAME in names:
        if not is_begun(objects, names, record):
            raise errors.StoreExists(f"{zone.url} already belongs to a store")
        objects.delete(MARK_NAME)
    objects.put(STORE_FILE_NAME, encode_store_file(record))  # first: it says whose the rest is
    objects.put(KEY_RING_NAME, key_ring)
    mark_zone(objects, ZoneMark(store_id=record.store_id, zone_id=zone.zone_id))
    return objects


def open_zones(path: Path, record: StoreRecord, *, aside: Path | None = None) -> ZoneSet:
    """The zones of the store, those that cannot be opened now marked as behind.

    With `aside` none of them is ever written to; what is known of them lies there.

    Raises:
        ZoneUnavailable: the only zone cannot be opened.
        TooFewZones: those that can do not know all that was acknowledged.
        ZoneInUse: another process has the only zone.
        FormatTooNew: of a zone.
    """
    held = HeldDirectories()
    try:
        zones = _opened(path, record, held, aside)
    except BaseException:
        held.release()
        raise
    zones.members.held = held
    return zones


def _opened(path: Path, record: StoreRecord, held: HeldDirectories, aside: Path | None) -> ZoneSet:
    own = path if aside is None else aside
    if len(record.zones) == 1:
        only = record.zones[0]
        store = open_zone(path, record.store_id, only, held)
        shown = store if aside is None else Overlay(store)
        zone = zone_for(only, shown)
        return known_set([zone], _copies(own, [zone]), keep_record=_keeper(own))
    zones = [zone_for(zone, has_threads=True) for zone in record.zones]
    _open_each(path, record, zones, held)
    if aside is not None:
        for zone in zones:
            zone.store = None if zone.store is None else Overlay(zone.store)
    return known_set(zones, _copies(own, zones), keep_record=_keeper(own))


class RecordCopies(Struct, frozen=True):
    """Those of `zones.json`; empty where there is none that can be read."""

    own: bytes
    in_zones: dict[str, bytes]


def known_set(
    zones: list[Zone], copies: RecordCopies, *, keep_record: Callable[[bytes], None]
) -> ZoneSet:
    """The set of these zones, as the newest of the copies says how they are.

    Raises:
        TooFewZones: those that are there do not know all that was acknowledged.
        FormatTooNew: of a zone.
    """
    newest = newest_record([copies.own, *copies.in_zones.values()])
    if len(zones) == 1:
        alone = structs.replace(newest, behind=())  # whoever is alone lacks nothing that is left
        return ZoneSet(zones, record=alone, keep_record=keep_record)
    check_they_know(zones, newest)
    return ZoneSet(
        zones,
        wanted_quorum=newest.wanted_quorum,
        record=newest,
        is_record_partial=not is_everywhere(newest, copies.in_zones, copies.own),
        keep_record=keep_record,
    )


def _keeper(path: Path) -> Callable[[bytes], None]:
    return partial(durable_files.replace, path / RECORD_NAME)


def _open_each(path: Path, record: StoreRecord, zones: list[Zone], held: HeldDirectories) -> None:
    """Each zone is opened by a thread of its own: one that hangs keeps us from nothing."""
    opening = {
        zone: partial(open_zone, path, record.store_id, each, held)
        for zone, each in zip(zones, record.zones, strict=True)
    }
    for zone in zones:
        zone.reason = f"no answer for {TIMEOUT_SECONDS:g} s"
    for zone, found in gather(opening, TIMEOUT_SECONDS).items():
        if isinstance(found, Exception):
            zone.reason = str(found)
        else:
            zone.store, zone.state, zone.reason = found, ZoneState.WELL, ""


def _copies(own: Path, zones: list[Zone]) -> RecordCopies:
    there = [zone for zone in zones if zone.store is not None]
    found = answers(
        there, lambda store: store.read(RECORD_NAME, 0, _RECORD_BYTES_MAX), TIMEOUT_SECONDS
    )
    here = b""
    with suppress(OSError):
        here = durable_files.read_small(own / RECORD_NAME)
    in_zones = {
        zone.zone_id: copy if isinstance(copy, bytes) else b"" for zone, copy in found.items()
    }
    return RecordCopies(here, in_zones)


def check_they_know(zones: list[Zone], record: ZonesRecord) -> None:
    """Whatever was acknowledged is in one zone at least of those that are there.

    Raises:
        TooFewZones: it may not be.
    """
    behind = {zone.zone_id for zone in record.behind}
    in_sync = [zone for zone in zones if zone.zone_id not in behind]
    there = [zone for zone in in_sync if zone.store is not None]
    quorum = quorum_of(record.counted or len(zones), wanted=record.wanted_quorum)
    if len(there) < enough_to_know(len(in_sync), quorum):
        missing = "; ".join(f"{zone.url}: {zone.reason}" for zone in in_sync if zone not in there)
        raise errors.TooFewZones(
            f"the zones that can be opened may lack what was acknowledged last ({missing})"
        )
