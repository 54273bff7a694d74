"""A second opinion on lifecycle: each object by itself, day after day, from the S3 document.

Written from the S3 User Guide's text alone, over plain dicts and with no line of the program's, to
be compared with what the program does. Slow and simple: everything is looked at on every day.
"""

from typing import Any

DAY = 86_400 * 10**9
Json = dict[str, Any]

REACHABLE = {
    "STANDARD": "STANDARD_IA INTELLIGENT_TIERING ONEZONE_IA GLACIER_IR GLACIER DEEP_ARCHIVE",
    "STANDARD_IA": "INTELLIGENT_TIERING ONEZONE_IA GLACIER_IR GLACIER DEEP_ARCHIVE",
    "INTELLIGENT_TIERING": "ONEZONE_IA GLACIER_IR GLACIER DEEP_ARCHIVE",
    "ONEZONE_IA": "GLACIER DEEP_ARCHIVE",
    "GLACIER_IR": "GLACIER DEEP_ARCHIVE",
    "GLACIER": "DEEP_ARCHIVE",
    "DEEP_ARCHIVE": "",
}
CHEAPEST_FIRST = [
    *("DEEP_ARCHIVE", "GLACIER", "INTELLIGENT_TIERING"),
    *("GLACIER_IR", "ONEZONE_IA", "STANDARD_IA"),
]


class Thing:
    """A version or a delete marker, as mutable as can be."""

    def __init__(self, made: int, *, marker: bool = False, **fields: Any) -> None:  # noqa: ANN401
        self.made = made
        self.marker = marker
        self.size: int = fields.get("size", 0)
        self.tags: dict[str, str] = fields.get("tags", {})
        self.storage_class: str = fields.get("storage_class", "STANDARD")
        self.locked_until: int = fields.get("locked_until", 0)
        self.null: bool = fields.get("null", False)
        self.replication: str = fields.get("replication", "")


def midnight_after(made: int, days: int) -> int:
    """S3: "adding the number of days and rounding up to the next day at midnight UTC"."""
    return (made // DAY + days + 1) * DAY


def fits(rule: Json, key: str, thing: Thing) -> bool:
    """Whether the rule is about the thing."""
    given = rule["Filter"]
    given = given.get("And", given)
    tags = given.get("Tags", []) + ([given["Tag"]] if "Tag" in given else [])
    return (
        key.startswith(given.get("Prefix", ""))
        and all(thing.tags.get(tag["Key"]) == tag["Value"] for tag in tags)
        and thing.size > given.get("ObjectSizeGreaterThan", -1)
        and thing.size < given.get("ObjectSizeLessThan", 1 << 62)
    )


def asks_for_size(rule: Json) -> bool:
    """Whether its filter has a size."""
    given = rule["Filter"].get("And", rule["Filter"])
    return "ObjectSizeGreaterThan" in given or "ObjectSizeLessThan" in given


def one_day(key: str, things: list[Thing], rules: list[Json], now: int, state: str) -> list[str]:
    """The day's actions are done to `things` (newest first); what they were, for comparison."""
    plan: list[tuple[Thing, str]] = []
    for place, thing in enumerate(list(things)):
        fitting = [r for r in rules if r["Status"] == "Enabled" and fits(r, key, thing)]
        if place == 0:
            plan += [(thing, what) for what in current(thing, fitting, len(things), now, state)]
        else:
            successor = things[place - 1].made
            plan += [(thing, what) for what in noncurrent(thing, fitting, place, successor, now)]
    for thing, what in plan:
        carry_out(things, thing, what, now, state)
    return [f"{thing.made} {what}" for thing, what in plan]


def current(thing: Thing, fitting: list[Json], count: int, now: int, state: str) -> list[str]:
    """The one action on the newest thing, if any."""
    expired = any(past(r["Expiration"], thing, now) for r in fitting if "Expiration" in r)
    if thing.marker:
        asked = any(r.get("Expiration", {}).get("ExpiredObjectDeleteMarker") for r in fitting)
        lone = count == 1 and (expired or (asked and now >= midnight_after(thing.made, 0)))
        return ["unmark"] if lone else []
    dies = state == "" or (state == "Suspended" and thing.null)
    if expired and dies and thing.replication != "PENDING" and thing.locked_until <= now:
        return ["remove"]
    targets: list[tuple[str, bool]] = []
    for rule in fitting:
        due = [step for step in rule.get("Transitions", []) if past(step, thing, now)]
        targets += [(step["StorageClass"], asks_for_size(rule)) for step in due]
    moved = best(thing, targets)
    if moved:
        return [moved]
    return ["mark"] if expired and not dies and thing.replication != "PENDING" else []


def past(moment: Json, thing: Thing, now: int) -> bool:
    """Whether an action by age or date on a current thing is due."""
    if "Days" in moment:
        return now >= midnight_after(thing.made, moment["Days"])
    return "Date" in moment and now >= max(moment["Date"], midnight_after(thing.made, 0))


def noncurrent(
    thing: Thing, fitting: list[Json], place: int, successor: int, now: int
) -> list[str]:
    """The one action on an older thing, if any; `place - 1` newer noncurrent ones exist."""

    def is_due(step: Json) -> bool:
        old = now >= midnight_after(successor, step["NoncurrentDays"])
        return old and place - 1 >= step.get("NewerNoncurrentVersions", 0)

    ends = [r["NoncurrentVersionExpiration"] for r in fitting if "NoncurrentVersionExpiration" in r]
    if any(map(is_due, ends)) and thing.locked_until <= now and thing.replication != "PENDING":
        return ["remove"]
    if thing.marker:
        return []
    targets: list[tuple[str, bool]] = []
    for rule in fitting:
        due = filter(is_due, rule.get("NoncurrentVersionTransitions", []))
        targets += [(step["StorageClass"], asks_for_size(rule)) for step in due]
    moved = best(thing, targets)
    return [moved] if moved else []


def best(thing: Thing, targets: list[tuple[str, bool]]) -> str:
    """The class that wins."""
    if thing.replication in ("PENDING", "FAILED"):
        return ""
    allowed = [
        name
        for name, by_size in targets
        if name in REACHABLE[thing.storage_class].split() and (thing.size >= 131_072 or by_size)
    ]
    return min(allowed, key=CHEAPEST_FIRST.index, default="")


def carry_out(things: list[Thing], thing: Thing, what: str, now: int, state: str) -> None:
    """The action is done."""
    if what in ("remove", "unmark"):
        was_current = things[0] is thing
        things.remove(thing)
        if what == "remove" and was_current and state == "Suspended":
            things.insert(0, Thing(now, marker=True, null=True))
    elif what == "mark":
        if state == "Suspended":
            things[:] = [other for other in things if not other.null]
        things.insert(0, Thing(now, marker=True, null=state == "Suspended"))
    else:
        thing.storage_class = what
