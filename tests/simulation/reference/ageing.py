"""What S3's lifecycle rules want of the versions of one name: S3's documents, read once more.

After the User Guide: at midnight UTC; of several things that are due the removal for good comes
first, then the move to the cheapest class, then the delete marker; a version that is locked is not
removed, and what is below 128 KiB does not move unless the rule says a size. A version that another
region has still to be told of waits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.simulation.reference.clock import SECOND

DAY = 86_400 * SECOND
NEVER = 1 << 40  # days
SMALL = 128 << 10
REMOVE, MOVE, MARK = "remove", "move", "mark"
BELOW = {
    "STANDARD": {"STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"},
    "STANDARD_IA": {"INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"},
    "INTELLIGENT_TIERING": {"GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"},
    "GLACIER_IR": {"GLACIER", "DEEP_ARCHIVE"},
    "GLACIER": {"DEEP_ARCHIVE"},
    "DEEP_ARCHIVE": set[str](),
}
"""Down the waterfall, and never up."""
CHEAPEST = ("DEEP_ARCHIVE", "GLACIER", "INTELLIGENT_TIERING", "GLACIER_IR", "STANDARD_IA")

Rule = dict[str, Any]
"""As in the document that S3 takes."""


@dataclass(frozen=True)
class Item:
    """A version or delete marker that a name has, as far as rules look at it."""

    instant: int  # when it was made
    since: int  # when the name began to show it
    is_marker: bool = False
    size: int = 0
    tag: str = ""
    storage_class: str = "STANDARD"
    unnamed_since: int = 0  # its file has no name at all since then
    is_kept: bool = False  # a lock keeps the version
    name_is_kept: bool = False  # or the file in its place
    is_pending: bool = False  # another region has still to be told of it
    is_last_to_tell: bool = False  # or what became of its file, which would go with it


def due(instant: int, days: int) -> int:
    """So many days after, at the next midnight."""
    return instant - instant % DAY + (days + 1) * DAY


def wanted(
    rules: Sequence[Rule], path: str, items: Sequence[Item], left: int, position: int, now: int
) -> tuple[str, str] | None:
    """The one thing that happens to the item, and the class if it moves.

    `items` come newest first; `left` is since when the name shows none of them (0: the first).
    """
    item = items[position]
    if item.is_pending:
        return None
    found = []
    for rule in rules:
        if rule["Status"] != "Enabled" or not _fits(rule["Filter"], path, item):
            continue
        is_current = not position and not left
        found += list(
            _of_current(rule, item, now)
            if is_current
            else _of_noncurrent(rule, items, left, position, now)
        )
        if item.is_marker and len(items) == 1:
            found += list(_of_lone_marker(rule, item, now))
    moves = [(what, where) for what, where in found if what == MOVE]
    if (REMOVE, "") in found and not (item.is_kept or item.is_last_to_tell):
        return REMOVE, ""
    if moves:
        return min(moves, key=lambda move: CHEAPEST.index(move[1]))
    if (MARK, "") in found and not item.name_is_kept:
        return MARK, ""
    return None


def _fits(conditions: dict[str, Any], path: str, item: Item) -> bool:
    conditions = conditions.get("And", conditions)
    tags = [*conditions.get("Tags", ()), *([conditions["Tag"]] if "Tag" in conditions else [])]
    return (
        path.startswith(conditions.get("Prefix", ""))
        and all(item.tag == tag["Value"] for tag in tags)
        and item.size > conditions.get("ObjectSizeGreaterThan", -1)
        and item.size < conditions.get("ObjectSizeLessThan", 1 << 62)
    )


def _of_current(rule: Rule, item: Item, now: int) -> Iterator[tuple[str, str]]:
    days = rule.get("Expiration", {}).get("Days")
    if days is not None and not item.is_marker and now >= due(item.instant, days):
        yield MARK, ""
    for move in rule.get("Transitions", ()):
        if now >= due(item.instant, move["Days"]) and _may_move(rule, item, move):
            yield MOVE, move["StorageClass"]


def _of_noncurrent(
    rule: Rule, items: Sequence[Item], left: int, position: int, now: int
) -> Iterator[tuple[str, str]]:
    item = items[position]
    since = max(items[position - 1].since if position else left, item.unnamed_since)
    newer = position if left else position - 1  # noncurrent ones
    removal = rule.get("NoncurrentVersionExpiration", {"NoncurrentDays": NEVER})
    is_one_more = newer >= removal.get("NewerNoncurrentVersions", 0)
    if is_one_more and now >= due(since, removal["NoncurrentDays"]):
        yield REMOVE, ""
    for move in rule.get("NoncurrentVersionTransitions", ()):
        is_old = now >= due(since, move["NoncurrentDays"])
        is_one_more = newer >= move.get("NewerNoncurrentVersions", 0)
        if is_old and is_one_more and _may_move(rule, item, move):
            yield MOVE, move["StorageClass"]


def _of_lone_marker(rule: Rule, item: Item, now: int) -> Iterator[tuple[str, str]]:
    expiration = rule.get("Expiration", {})
    days = 0 if expiration.get("ExpiredObjectDeleteMarker") else expiration.get("Days")
    if days is not None and now >= due(item.instant, days):
        yield REMOVE, ""


def _may_move(rule: Rule, item: Item, move: dict[str, Any]) -> bool:
    conditions = rule["Filter"].get("And", rule["Filter"])
    says_size = "ObjectSizeGreaterThan" in conditions or "ObjectSizeLessThan" in conditions
    is_large_enough = item.size >= SMALL or says_size
    return (
        not item.is_marker and is_large_enough and move["StorageClass"] in BELOW[item.storage_class]
    )
