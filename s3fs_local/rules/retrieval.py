"""Retrieving archived versions for a while: S3's RestoreObject, without the waiting.

A version of GLACIER or DEEP_ARCHIVE is read only while a copy of it is retrieved. The class stays;
the copy counts as STANDARD and expires at a midnight.

    absent ──request──▶ ongoing ──ready, and the bytes are there──▶ retrieved ──expiry──▶ absent

A request while it is ongoing is refused, save one for a faster tier; a request while the copy is
there only moves its expiry. (S3 API, RestoreObject.)
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct, field

from s3fs_local.errors import InvalidArgument, NotArchived, RetrievalRunning
from s3fs_local.rules.instants import SECOND_NS, format_http_date
from s3fs_local.rules.storage_classes import StorageClass, needs_restore

DAY_NS: Final = 86400 * SECOND_NS
DAYS_MAX: Final = 36500


class RetrievalTier(StrEnum):
    """How fast, in S3's words; the fastest first."""

    EXPEDITED = "Expedited"
    STANDARD = "Standard"
    BULK = "Bulk"


_SPEED: Final = {tier: rank for rank, tier in enumerate(RetrievalTier)}


class Retrieval(Struct, frozen=True, array_like=True):
    """What was asked for, and how it stands."""

    tier: RetrievalTier
    days: int
    requested_ns: int
    ready_ns: int  # not before this instant
    expires_ns: int = 0  # when the copy goes; 0 = it is not there yet


def due_ns(start_ns: int, days: int) -> int:
    """The midnight (UTC) after `days` whole days, as S3 counts: always at least `days` away."""
    return start_ns - start_ns % DAY_NS + (days + 1) * DAY_NS


def plan_retrieval(
    storage_class: str,
    present: Retrieval | None,
    *,
    days: int,
    tier: RetrievalTier,
    now_ns: int,
    delays_ns: Mapping[RetrievalTier, int],
) -> Retrieval:
    """The state of the version after a request at `now_ns`.

    Raises:
        NotArchived: the class is readable at once (S3: InvalidObjectState).
        RetrievalRunning: it is ongoing, and this asks for nothing faster.
        InvalidArgument: days out of range, or a tier that the class does not have.
    """
    if not needs_restore(storage_class):
        raise NotArchived(f"InvalidObjectState: {storage_class} is readable as it is")
    if not 1 <= days <= DAYS_MAX:
        raise InvalidArgument(f"a retrieved copy stays 1 to {DAYS_MAX} days, not {days}")
    if storage_class == StorageClass.DEEP_ARCHIVE and tier is RetrievalTier.EXPEDITED:
        raise InvalidArgument("InvalidArgument: DEEP_ARCHIVE has the tiers Standard and Bulk only")
    ready_ns = now_ns + delays_ns[tier]
    if present is None or 0 < present.expires_ns <= now_ns:
        return Retrieval(tier, days, now_ns, ready_ns)
    if present.expires_ns:
        return msgspec.structs.replace(present, days=days, expires_ns=due_ns(now_ns, days))
    if _SPEED[tier] >= _SPEED[present.tier] or days != present.days:
        raise RetrievalRunning(
            "RestoreAlreadyInProgress: it is being retrieved"
            f" ({present.tier}, {present.days} days); only a faster tier, same days, is taken"
        )
    return msgspec.structs.replace(present, tier=tier, ready_ns=min(present.ready_ns, ready_ns))


def retrieved(retrieval: Retrieval, now_ns: int) -> Retrieval:
    """The copy is there; its days are counted from now."""
    return msgspec.structs.replace(retrieval, expires_ns=due_ns(now_ns, retrieval.days))


def format_retrieval(retrieval: Retrieval) -> str:
    """S3's header `x-amz-restore`."""
    if not retrieval.expires_ns:
        return 'ongoing-request="true"'
    return f'ongoing-request="false", expiry-date="{format_http_date(retrieval.expires_ns)}"'


class _Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    tier: RetrievalTier = field(name="Tier", default=RetrievalTier.STANDARD)


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    """S3's RestoreRequest in the JSON of `aws s3api restore-object`."""

    days: Annotated[int, Meta(ge=1, le=DAYS_MAX)] = field(name="Days")
    parameters: _Parameters = field(name="GlacierJobParameters", default=_Parameters())


_SHORT: Final = re.compile(r"(?P<days>[0-9]{1,5})(?: (?P<tier>[A-Za-z]+))?")


def parse_request(text: str) -> tuple[int, RetrievalTier]:
    """Days and tier of `3`, `3 Bulk`, or S3's JSON document.

    Raises:
        InvalidArgument: it is none of these.
    """
    match = _SHORT.fullmatch(text)
    if match is not None:
        return int(match["days"]), parse_tier(match["tier"] or RetrievalTier.STANDARD)
    try:
        document = msgspec.json.decode(text, type=_Document)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidArgument(
            f"MalformedXML: {error}; write the days and the tier (3 Bulk), or S3's RestoreRequest"
        ) from None
    return document.days, document.parameters.tier


def parse_tier(text: str) -> RetrievalTier:
    """The tier of that name, in S3's spelling or in lower case.

    Raises:
        InvalidArgument: there is no such tier.
    """
    for tier in RetrievalTier:
        if text in (tier.value, tier.value.lower()):
            return tier
    raise InvalidArgument(f"{text[:40]!r} is no retrieval tier: Expedited, Standard, Bulk")
