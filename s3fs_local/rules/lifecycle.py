"""What S3's lifecycle rules do to the versions of one key: pure, for `plan` and `run` alike.

A key's *stack* is all its versions and delete markers, newest first. A *pass* looks at a stack at
one instant and decides on what it sees there: at most one action a version, several versions at
once. S3 makes one pass a day, at midnight UTC; whoever asks for passes keeps to that.

Which action wins where several are due (S3 User Guide, "Lifecycle conflicts"): a permanent removal,
then a transition, then a delete marker; of transitions the one to the class that `PREFERENCE` has
first. No choice depends on the order of the rules.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.storage_classes import (
    ARCHIVE_CLASSES,
    TIERED_BYTES_MIN,
    StorageClass,
    Tier,
    initial_tier,
    may_transition,
)
from s3fs_local.rules.versioning import VersioningState

DAY_NS: Final = 86_400 * 1_000_000_000
SMALL_BYTES: Final = TIERED_BYTES_MIN
"""Versions below this size move only where a rule says so by a size of its own (S3: 128 KB)."""

_C = StorageClass
PREFERENCE: Final = (
    *(_C.DEEP_ARCHIVE, _C.GLACIER, _C.INTELLIGENT_TIERING),
    *(_C.GLACIER_IR, _C.ONEZONE_IA, _C.STANDARD_IA),
)
"""Of several classes that are due the first here wins: the cheapest, but for INTELLIGENT_TIERING,
which S3 puts before all that are readable at once."""
_PENDING: Final = "PENDING"
_FAILED: Final = "FAILED"


class Calendar(Struct, frozen=True):
    """How days are counted; another one lets years be rehearsed."""

    day_ns: int = DAY_NS
    rounds_up: bool = True  # to the next midnight UTC, as S3 does

    def due_ns(self, since_ns: int, days: int) -> int:
        """When something is due `days` after `since_ns`.

        S3 adds the days and rounds up to the next midnight; an exact midnight counts as begun.
        """
        if not self.rounds_up:
            return since_ns + days * self.day_ns
        return self.midnight_ns(since_ns) + (days + 1) * self.day_ns

    def midnight_ns(self, instant_ns: int) -> int:
        """The beginning of the day that holds the instant."""
        return instant_ns - instant_ns % self.day_ns

    def next_pass_ns(self, instant_ns: int) -> int:
        """The first midnight at or after the instant; the instant itself where none is rounded."""
        return -(-instant_ns // self.day_ns) * self.day_ns if self.rounds_up else instant_ns


class Filter(Struct, frozen=True):
    """Which objects a rule is about; all conditions hold together, none means every object."""

    prefix: bytes = b""  # of the key: bytes, not a directory
    tags: tuple[tuple[str, str], ...] = ()
    larger_than: int | None = None  # bytes, exclusive
    smaller_than: int | None = None  # bytes, exclusive

    @property
    def has_size(self) -> bool:
        """Whether it asks for a size, which overrides the least size of transitions."""
        return self.larger_than is not None or self.smaller_than is not None

    def fits(self, key: bytes, item: "Item") -> bool:
        """Whether the version or marker of the key fulfils all conditions."""
        return (
            key.startswith(self.prefix)
            and all(item.tags.get(name) == value for name, value in self.tags)
            and (self.larger_than is None or item.size > self.larger_than)
            and (self.smaller_than is None or item.size < self.smaller_than)
        )


class Moment(Struct, frozen=True):
    """When an action on a current version is due: so many days of age, or a date."""

    days: int | None = None
    date_ns: int = 0

    def due_ns(self, since_ns: int, calendar: Calendar) -> int:
        """When it is due for a version of this age; one made after the date waits for a pass."""
        if self.days is not None:
            return calendar.due_ns(since_ns, self.days)
        return max(self.date_ns, calendar.due_ns(since_ns, 0))


class Transition(Struct, frozen=True):
    """A current version moves to a class."""

    storage_class: StorageClass
    moment: Moment


class NoncurrentTransition(Struct, frozen=True):
    """A noncurrent version moves to a class."""

    storage_class: StorageClass
    days: int  # since it became noncurrent
    kept: int = 0  # so many of the newest noncurrent ones stay out of it


class NoncurrentExpiration(Struct, frozen=True):
    """A noncurrent version is removed for good."""

    days: int  # since it became noncurrent
    kept: int = 0  # so many of the newest noncurrent ones stay out of it


class Rule(Struct, frozen=True):
    """An enabled rule; a disabled one does not exist."""

    rule_id: str
    filter: Filter = Filter()
    expiration: Moment | None = None
    removes_lone_markers: bool = False  # ExpiredObjectDeleteMarker
    transitions: tuple[Transition, ...] = ()
    noncurrent_transitions: tuple[NoncurrentTransition, ...] = ()
    noncurrent_expiration: NoncurrentExpiration | None = None


class Lifecycle(Struct, frozen=True):
    """The rules in force."""

    rules: tuple[Rule, ...] = ()
    archives_small: bool = False  # varies_by_storage_class: GLACIER and DEEP_ARCHIVE take any size


class Item(Struct, frozen=True):
    """A version or delete marker, as far as rules look at it."""

    stamp_ns: int  # when it was made; its age counts from here, and it names the item
    since_ns: int  # when the key began to show it, so what was below became noncurrent
    is_marker: bool = False
    is_null: bool = False
    size: int = 0
    tags: dict[str, str] = {}
    storage_class: str = StorageClass.STANDARD
    tier: Tier = Tier.NONE
    replication: str = ""
    is_last_to_tell: bool = False  # news of its file, for another region, would go with it
    named_until_ns: int = 0  # its file had a name, this or another, until then; 0: says nothing
    file: int = 0  # whose content it is, where files are told apart
    has_other_names: bool = False  # its file, now: what takes this name leaves the content
    kept_until_ns: int = 0  # a lock forbids removing it for good until then
    name_kept_until_ns: int = 0  # a lock forbids taking the name from it until then


class Stack(Struct, frozen=True):
    """What one key has, newest first."""

    key: bytes  # path below the root
    items: tuple[Item, ...]
    left_ns: int = 0  # the name means nothing since then: no item is current; 0: the first is


class Action(StrEnum):
    """What happens to an item, in the words of `lifecycle plan`."""

    EXPIRE = "Expire"  # removed for good; of Suspended's null version a null marker takes the place
    TRANSITION = "Transition"
    ADD_MARKER = "DeleteMarker"  # a delete marker is put over it, or it loses one of its names
    REMOVE_MARKER = "RemoveMarker"  # a marker with nothing below is removed


_ORDER: Final = {
    Action.EXPIRE: 0,
    Action.REMOVE_MARKER: 0,
    Action.TRANSITION: 1,
    Action.ADD_MARKER: 2,
}


class Verdict(Struct, frozen=True):
    """One action on one item."""

    item: Item
    action: Action
    rule_id: str
    due_ns: int
    storage_class: str = ""  # of a transition


class Held(Struct, frozen=True):
    """What would happen to an item, were it not locked."""

    verdict: Verdict
    until_ns: int  # OPEN_NS: until somebody lifts it


class Pass(Struct, frozen=True):
    """What one look at a stack found."""

    verdicts: tuple[Verdict, ...] = ()  # in the order of the items
    held: tuple[Held, ...] = ()
    next_ns: int = OPEN_NS  # nothing else is due before then, if the stack and the rules stay so


class Circumstances(Struct, frozen=True):
    """What beside rules and stack decides."""

    state: VersioningState = VersioningState.ENABLED
    calendar: Calendar = Calendar()


def evaluate(stack: Stack, lifecycle: Lifecycle, circumstances: Circumstances, now_ns: int) -> Pass:
    """What is due for the items of the stack at `now_ns`."""
    verdicts: list[Verdict] = []
    held: list[Held] = []
    next_ns = OPEN_NS
    for position in range(len(stack.items)):
        due: list[Verdict] = []
        locked: list[Held] = []
        for chance in _chances(stack, position, lifecycle, circumstances):
            until_ns = _kept_until_ns(chance)
            if chance.due_ns > now_ns:
                next_ns = min(next_ns, chance.due_ns)
            elif until_ns > now_ns:
                next_ns = min(next_ns, until_ns)
                locked.append(Held(chance, until_ns))
            else:
                due.append(chance)
        verdicts += [min(due, key=_precedence)] if due else []
        held += [min(locked, key=lambda found: _precedence(found.verdict))] if locked else []
    return Pass(tuple(verdicts), tuple(held), next_ns)


def after(
    stack: Stack, verdicts: tuple[Verdict, ...], circumstances: Circumstances, now_ns: int
) -> Stack:
    """The stack once the verdicts of a pass at `now_ns` were carried out.

    A file that loses one of its names counts under another from then on, with all its versions.
    """
    moved = {
        verdict.item.file
        for verdict in verdicts
        if verdict.action is Action.ADD_MARKER and verdict.item.has_other_names
    }
    if moved:
        verdicts = tuple(verdict for verdict in verdicts if verdict.item.file not in moved)
        stack = _without(moved, stack)
    is_suspended = circumstances.state is VersioningState.SUSPENDED
    by_stamp = {verdict.item.stamp_ns: verdict for verdict in verdicts}
    items: list[Item] = []
    for item in stack.items:
        verdict = by_stamp.get(item.stamp_ns)
        if verdict is None:
            items.append(item)
        elif verdict.action is Action.TRANSITION:
            items.append(_moved(item, verdict.storage_class))
        elif verdict.action is Action.ADD_MARKER:
            items += [_marker(circumstances, now_ns), item]
        elif is_suspended and verdict.action is Action.EXPIRE and _is_current(stack, item):
            items.append(_marker(circumstances, now_ns))
    if is_suspended and items and items[0].is_null:
        items = items[:1] + [item for item in items[1:] if not item.is_null]
    return structs.replace(stack, items=tuple(items))


def _without(files: set[int], stack: Stack) -> Stack:
    """The name shows none of the files any more; what was below them is as old as it was."""
    left = [n for n, item in enumerate(stack.items) if item.file not in files]
    items = tuple(stack.items[n] for n in left)
    return Stack(stack.key, items, stack.items[left[0] - 1].since_ns if left else stack.left_ns)


def _chances(
    stack: Stack, position: int, lifecycle: Lifecycle, circumstances: Circumstances
) -> Iterator[Verdict]:
    """Whatever rules may do to the item, sooner or later, while the stack stays as it is."""
    item = stack.items[position]
    for rule in lifecycle.rules:
        if not rule.filter.fits(stack.key, item):
            continue
        if position or stack.left_ns:
            yield from _noncurrent_removals(rule, stack, position, circumstances)
            transitions = _noncurrent_transitions(rule, stack, position, circumstances)
        else:
            yield from _removals(rule, item, circumstances)
            transitions = _transitions(rule, item, circumstances)
        if item.is_marker and len(stack.items) == 1:
            yield from _marker_removals(rule, item, circumstances)
        for chance in transitions:
            if _may_move(chance, rule, lifecycle):
                yield chance


def _removals(rule: Rule, item: Item, circumstances: Circumstances) -> Iterator[Verdict]:
    """Expiration of the current version; with a current marker the key has expired already."""
    if rule.expiration is None or item.is_marker or item.replication == _PENDING:
        return
    due_ns = rule.expiration.due_ns(item.stamp_ns, circumstances.calendar)
    state = circumstances.state
    is_lost = not item.has_other_names and (
        state is VersioningState.UNVERSIONED
        or (state is VersioningState.SUSPENDED and item.is_null)
    )
    if is_lost and item.is_last_to_tell:
        return
    action = Action.EXPIRE if is_lost else Action.ADD_MARKER
    yield Verdict(item, action, rule.rule_id, due_ns)


def _marker_removals(rule: Rule, marker: Item, circumstances: Circumstances) -> Iterator[Verdict]:
    """Expiration of a marker with nothing below it."""
    calendar = circumstances.calendar
    if rule.removes_lone_markers:
        due_ns = calendar.due_ns(marker.stamp_ns, 0)
        yield Verdict(marker, Action.REMOVE_MARKER, rule.rule_id, due_ns)
    if rule.expiration is not None:
        due_ns = rule.expiration.due_ns(marker.stamp_ns, calendar)
        yield Verdict(marker, Action.REMOVE_MARKER, rule.rule_id, due_ns)


def _transitions(rule: Rule, item: Item, circumstances: Circumstances) -> Iterator[Verdict]:
    for transition in rule.transitions:
        due_ns = transition.moment.due_ns(item.stamp_ns, circumstances.calendar)
        yield Verdict(item, Action.TRANSITION, rule.rule_id, due_ns, transition.storage_class)


def _noncurrent_removals(
    rule: Rule, stack: Stack, position: int, circumstances: Circumstances
) -> Iterator[Verdict]:
    expiration = rule.noncurrent_expiration
    item = stack.items[position]
    if (
        expiration is None
        or circumstances.state is VersioningState.UNVERSIONED
        or item.replication == _PENDING
        or item.is_last_to_tell
        or _newer_noncurrent(stack, position) < expiration.kept
    ):
        return
    due_ns = circumstances.calendar.due_ns(_noncurrent_since_ns(stack, position), expiration.days)
    yield Verdict(item, Action.EXPIRE, rule.rule_id, due_ns)


def _noncurrent_transitions(
    rule: Rule, stack: Stack, position: int, circumstances: Circumstances
) -> Iterator[Verdict]:
    since_ns = _noncurrent_since_ns(stack, position)
    for transition in rule.noncurrent_transitions:
        if _newer_noncurrent(stack, position) >= transition.kept:
            due_ns = circumstances.calendar.due_ns(since_ns, transition.days)
            yield Verdict(
                stack.items[position],
                Action.TRANSITION,
                rule.rule_id,
                due_ns,
                transition.storage_class,
            )


def _may_move(chance: Verdict, rule: Rule, lifecycle: Lifecycle) -> bool:
    """Whether the version is one that the transition is for: its size, its class, its replicas."""
    item = chance.item
    if item.is_marker or item.replication in (_PENDING, _FAILED):
        return False
    archives = lifecycle.archives_small and chance.storage_class in ARCHIVE_CLASSES
    if item.size < SMALL_BYTES and not rule.filter.has_size and not archives:
        return False
    return may_transition(item.storage_class, chance.storage_class, tier=item.tier)


def _noncurrent_since_ns(stack: Stack, position: int) -> int:
    """When the next newer item came (S3: "successor"), or the name was given up."""
    since_ns = stack.items[position - 1].since_ns if position else stack.left_ns
    return max(since_ns, stack.items[position].named_until_ns)


def _newer_noncurrent(stack: Stack, position: int) -> int:
    return position if stack.left_ns else position - 1


def _kept_until_ns(chance: Verdict) -> int:
    """Until when a lock forbids it; 0 where none does. Transitions keep the version: never."""
    item = chance.item
    if chance.action is Action.ADD_MARKER:
        return item.name_kept_until_ns
    return item.kept_until_ns if chance.action is Action.EXPIRE else 0


def _precedence(chance: Verdict) -> tuple[int, int, int, str]:
    rank = PREFERENCE.index(_C(chance.storage_class)) if chance.storage_class else 0
    return _ORDER[chance.action], rank, chance.due_ns, chance.rule_id


def _moved(item: Item, storage_class: str) -> Item:
    return structs.replace(item, storage_class=storage_class, tier=initial_tier(storage_class))


def _is_current(stack: Stack, item: Item) -> bool:
    return not stack.left_ns and stack.items[0].stamp_ns == item.stamp_ns


def _marker(circumstances: Circumstances, now_ns: int) -> Item:
    is_null = circumstances.state is not VersioningState.ENABLED
    return Item(now_ns, now_ns, is_marker=True, is_null=is_null)
