"""Lifecycle at work: what a pass over one name does."""

from dataclasses import dataclass

from tests.simulation.reference import ageing
from tests.simulation.reference.ageing import DAY, MOVE, REMOVE, Item, Rule
from tests.simulation.reference.facts import ROOT, Holding, Name, Node, Version
from tests.simulation.reference.locks import is_protected
from tests.simulation.reference.restoring import Restoring


@dataclass(frozen=True)
class Held:
    """A version or delete marker that counts under a name, and through which holding."""

    holding: Holding
    since: int
    node: Node | None = None
    version: Version | None = None

    @property
    def instant(self) -> int:
        """When it was made."""
        return self.since if self.version is None else self.version.instant

    @property
    def is_current_of_file(self) -> bool:
        """Whether its file shows it."""
        return self.node is not None and self.node.versions[-1] is self.version


class Lifecycle(Restoring):
    """Rules, and what they do to the versions of a name: one thing a day."""

    def put_lifecycle(self, rules: tuple[Rule, ...]) -> None:
        """They are in force; none: nothing ages."""
        self.facts.rules = rules

    def home(self, number: int) -> Name | None:
        """The one name that the file counts under: its first, or the last that it had."""
        held = [
            (each, name)
            for name, holdings in self.facts.holdings.items()
            for each in holdings
            if each.number == number
        ]
        live = [(each.since, name) for each, name in held if not each.until]
        if live:
            return min(live)[1]
        return max((each.until, name) for each, name in held)[1] if held else None

    def stack(self, name: Name) -> list[Held]:
        """What counts under the name, newest first: by when the name began to show it."""
        holdings = self.facts.holdings.get(name, ())
        found = [Held(each, each.since) for each in holdings if not each.number]
        for number in {each.number for each in holdings if each.number}:
            if self.home(number) == name:
                node = self.facts.nodes[number]
                of_file = [each for each in holdings if each.number == number]
                found += _shown_through(node, of_file)
        return sorted(found, key=lambda each: (each.since, each.instant), reverse=True)

    def path_of(self, name: Name) -> str:
        """Where the name is, or was."""
        number, path = name
        while number != ROOT:
            directory = self.facts.nodes[number]
            path = f"{directory.last_name}/{path}"
            number = directory.last_parent
        return path

    def verdicts(self, name: Name, now: int) -> list[tuple[Held, str, str]]:
        """What is due for the name at the instant, the newest first."""
        if now - now % DAY <= self.facts.aged.get(name, 0):
            return []
        stack = self.stack(name)
        left = stack[0].holding.until if stack else 0
        items = [self._item(held, now) for held in stack]
        path = self.path_of(name)
        found = []
        for position, held in enumerate(stack):
            what = ageing.wanted(self.facts.rules, path, items, left, position, now)
            if what is not None:
                found.append((held, *what))
        return found

    def _item(self, held: Held, now: int) -> Item:
        node, version = held.node, held.version
        if node is None or version is None:
            return Item(held.instant, held.since, is_marker=True)
        facts = self.facts
        is_current = held.is_current_of_file
        is_locked = is_protected(facts.lock_of(version), now)
        means_file = is_locked and self._meaning(node) == "file"
        return Item(
            version.instant,
            held.since,
            size=len(version.content),
            tag=facts.tags.get(version.key, ""),
            storage_class=facts.class_of(version),
            unnamed_since=self._unnamed_since(node) if is_current else 0,
            is_kept=is_locked or (is_current and bool(node.append_only)),
            name_is_kept=means_file or bool(node.append_only),
            is_pending=version.key in self.pending,
            is_last_to_tell=is_current and node.number in self.untold,
        )

    def _unnamed_since(self, node: Node) -> int:
        if self.is_named(node.number):
            return 0
        held = [each for all_ in self.facts.holdings.values() for each in all_]
        return max(each.until for each in held if each.number == node.number)

    def age(self, name: Name, now: int) -> list[str] | None:
        """A pass over the name, as of the instant: what it did, the newest first. None: put off.

        What a program may write, or still reads after its name is gone, waits for the next day.
        """
        due = self.verdicts(name, now)
        verdicts = [each for each in due if each[1] == MOVE or not self._is_in_use(each[0])]
        if due and not verdicts:
            self.facts.put_off[name] = now
            return None
        if verdicts:
            self.facts.aged[name] = now
        for held, what, where in reversed(verdicts):
            if what == MOVE and held.version is not None:
                self._put_class(held.version, where)
            elif what == REMOVE:
                self._expire(name, held)
            elif held.node is not None:
                self._remove(self.facts.nodes[name[0]], name[1], held.node)
                self.facts.kept_elsewhere[name] = held.node.number
                home = self.home(held.node.number)
                assert home is not None
                self.facts.aged[home] = now
        return [what for _, what, _ in verdicts]

    def _is_in_use(self, held: Held) -> bool:
        if held.node is None or not held.is_current_of_file:
            return False
        number = held.node.number
        if number in self.drafts or self.has_writers(number):
            return True
        return not self.is_named(number) and self.is_open(number)

    def _expire(self, name: Name, held: Held) -> None:
        node, version = held.node, held.version
        if node is None or version is None:
            kept = [each for each in self.facts.holdings[name] if each != held.holding]
            self.facts.holdings[name] = tuple(kept)
            self._past_is_vague()
            return
        if version is node.versions[-1] and len(node.versions) > 1:
            node.mtime_is_known = node.past_mtimes_are_known = False
        node.versions.remove(version)
        self.removed.setdefault(node.number, set()).add(version.content)
        self._forget_nothing_left(node)

    def _forget_nothing_left(self, node: Node) -> None:
        number = node.number
        is_gone = not self.is_named(number) and not self.is_open(number)
        if is_gone and not node.versions and number in self.facts.nodes:
            self._forget(node)

    def _past_is_vague(self) -> None:
        for node in self.facts.nodes.values():
            node.past_mtimes_are_known = False

    def check_nothing_is_due(self, now: int) -> None:
        """After a whole run as of the instant, unless it was put off to the next day."""
        for name in self.facts.holdings:
            if now - now % DAY > self.facts.put_off.get(name, 0):
                due = self.verdicts(name, now)
                assert not due, f"a run left {name} alone: {due}"


def _shown_through(node: Node, holdings: list[Holding]) -> list[Held]:
    """The file's versions, each as the name came to show it, at last or first of all."""
    found: dict[int, Held] = {}
    for holding in holdings:
        seen = [v for v in node.versions if not holding.until or v.instant < holding.until]
        brought = [v for v in seen if v.instant <= holding.since][-1:]
        for version in seen:
            if version in brought:
                found[version.instant] = Held(holding, holding.since, node, version)
            else:
                found.setdefault(version.instant, Held(holding, version.instant, node, version))
    return list(found.values())
