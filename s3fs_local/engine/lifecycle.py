"""Lifecycle rules at work: which keys are due, and what is done to them.

Every key that may have something due has a row in the metadata's agenda: the instant from which a
pass must look at it. Two things write rows. A pass, when it has looked at a key, writes when the
rules may next want something of it. And while rules are in force, each change of a key or file
writes "now" beside itself, in the same transaction (`Agenda`). So a pass costs what is due and what
has changed, not what there is; only new rules make it look at every key once, from a cursor that is
kept, so that this too goes on where it was cut off.

Whatever a pass does to one key is one step without a wait: it looks at locks, tags, replication and
at what is current, decides, acts and writes the next row, and the journal has all of that or none.
Nothing is lost or done twice when the process is killed in between. A key that was acted on is left
alone until the next day: one action a version a day (S3).
"""

import base64
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from s3fs_local.engine.classes import Classes
from s3fs_local.engine.lifecycle_keys import Key, Keys, KeyStack
from s3fs_local.engine.locks import Locks
from s3fs_local.engine.namespace import Namespace
from s3fs_local.engine.open_files import OpenFiles
from s3fs_local.engine.version_removal import forget_nameless, remove_versions
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import LockError
from s3fs_local.metadata.changes import (
    Change,
    PutSetting,
    RemoveEntry,
    RemoveSetting,
    ScheduleKey,
    UnscheduleKey,
)
from s3fs_local.rules.history import HistoryItem
from s3fs_local.rules.inode import SYSTEM
from s3fs_local.rules.lifecycle import (
    Action,
    Calendar,
    Circumstances,
    Held,
    Lifecycle,
    Pass,
    Verdict,
    evaluate,
)
from s3fs_local.rules.lifecycle_documents import LifecycleDocument, rules_in_force
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.retention import Operation

logger = logging.getLogger(__name__)

DOCUMENT_SETTING: Final = "fact.lifecycle"
"""The bucket's lifecycle document, as JSON."""
CURSOR_SETTING: Final = "fact.lifecycle-cursor"
"""The last key that a look at every key has done; gone when it is finished."""
KEYS_A_STEP: Final = 16


class InForce(Struct, frozen=True):
    """The bucket's lifecycle document, as it is stored."""

    put_ns: int  # when it was put
    document: LifecycleDocument


class Cursor(Struct, frozen=True):
    """Where a look at every key goes on: behind this one."""

    parent: int = 0
    name: str = ""  # base64


class Outcome(Struct, frozen=True):
    """What one pass over one key did, or (dry run) would do."""

    key: KeyStack
    done: tuple[Verdict, ...] = ()
    held: tuple[Held, ...] = ()
    postponed: bool = False  # a process has some of it open: looked at again tomorrow


class LifecycleRules:
    """The rules of one store, and what they do to one key at a time."""

    def __init__(
        self,
        volume: Volume,
        *,
        locks: Locks,
        namespace: Namespace,
        classes: Classes,
        open_files: OpenFiles,
        calendar: Calendar | None = None,
    ) -> None:
        self._volume = volume
        self._metadata = volume.metadata
        self._locks = locks
        self._namespace = namespace
        self._classes = classes
        self._open_files = open_files
        self.keys: Final = Keys(volume, locks)
        self.calendar: Final = calendar or Calendar()
        self.in_force: InForce | None = None
        self.rules = Lifecycle()
        stored = self._metadata.setting(DOCUMENT_SETTING)
        if stored is not None:
            self._enforce(msgspec.json.decode(stored, type=InForce))

    def _enforce(self, in_force: InForce | None) -> None:
        self.in_force = in_force
        self.rules = Lifecycle() if in_force is None else rules_in_force(in_force.document)
        self._volume.agenda.is_kept = in_force is not None

    def put(self, document: LifecycleDocument) -> None:
        """The document is in force; the next pass looks at every key."""
        in_force = InForce(self._volume.now_ns(), document)
        stored = msgspec.json.encode(in_force).decode()
        cursor = msgspec.json.encode(Cursor()).decode()
        self._volume.apply(
            [PutSetting(DOCUMENT_SETTING, stored), PutSetting(CURSOR_SETTING, cursor)]
        )
        self._enforce(in_force)

    def delete(self) -> None:
        """No rule is in force. What the agenda held is worked out anew if there are rules again."""
        self._volume.apply([RemoveSetting(DOCUMENT_SETTING), RemoveSetting(CURSOR_SETTING)])
        self._enforce(None)

    def look_at_all(self) -> None:
        """The next pass looks at every key: something that decides about all of them changed."""
        if self.in_force is not None:
            cursor = msgspec.json.encode(Cursor()).decode()
            self._volume.apply([PutSetting(CURSOR_SETTING, cursor)])

    @property
    def circumstances(self) -> Circumstances:
        """What beside rules and stacks decides."""
        return Circumstances(self._volume.settings.versioning, self.calendar)

    def cursor(self) -> tuple[int, bytes] | None:
        """The key behind which a look at every key goes on; None: it is finished."""
        stored = self._metadata.setting(CURSOR_SETTING)
        if stored is None:
            return None
        cursor = msgspec.json.decode(stored, type=Cursor)
        return cursor.parent, base64.b64decode(cursor.name)

    def next_of_all(self) -> list[Key]:
        """The next keys of a look at every key; none: it is finished, or there is none."""
        cursor = self.cursor()
        if cursor is None or self.in_force is None:
            return []
        return [Key(*found) for found in self._metadata.names_after(*cursor, KEYS_A_STEP)]

    def note_looked_at(self, last: Key | None) -> None:
        """A look at every key came as far as this one; None: it is finished."""
        if last is None:
            self._volume.apply([RemoveSetting(CURSOR_SETTING)])
            return
        cursor = Cursor(last.parent, base64.b64encode(last.name).decode())
        self._volume.apply([PutSetting(CURSOR_SETTING, msgspec.json.encode(cursor).decode())])

    def due(self, until_ns: int, limit: int) -> list[tuple[int, bytes]]:
        """The places that a pass must look at by then, the longest due first.

        A place is a key, or (with an empty name) an inode: a file, for the key that it counts
        under, or a directory, for all keys in it.
        """
        if self.in_force is None:
            return []
        return self._metadata.agenda(until_ns, limit)

    def keys_at(self, place: int, name: bytes) -> Iterator[Key]:
        """The keys that the place stands for."""
        if name:
            yield Key(place, name)
            return
        inode = self._metadata.inode(place)
        if inode is None:
            return
        if not inode.is_directory:
            home = self.keys.home_of(place)
            if home is not None:
                yield home
            return
        waiting = [place]
        while waiting:
            directory = waiting.pop()
            for child in self._names_in(directory):
                yield Key(directory, child)
                waiting += self._directories_at(directory, child)

    def _directories_at(self, directory: int, name: bytes) -> set[int]:
        """Those that are there, or were last: what ever was in them has its keys below it."""
        meant = {
            interval.ino
            for interval in self._metadata.name_history(directory, name)
            if not interval.is_marker
        }
        return {ino for ino in meant if self._is_last_at(ino, directory, name)}

    def _is_last_at(self, ino: int, directory: int, name: bytes) -> bool:
        inode = self._metadata.inode(ino)
        if inode is None or not inode.is_directory:
            return False
        last = self._metadata.entries_of(ino)[-1]
        return (last.parent, last.name) == (directory, name)

    def _names_in(self, directory: int) -> Iterator[bytes]:
        """Every name that there ever was in the directory."""
        last = b""
        while found := self._metadata.names_after(directory, last, KEYS_A_STEP):
            for parent, child in found:
                if parent != directory:
                    return
                yield child
                last = child

    def looked_at(self, place: int, name: bytes, now_ns: int) -> None:
        """The place of an inode was looked at: its keys have rows of their own.

        It stays in the agenda if it was changed again in the meantime.
        """
        row = None if name else self._metadata.agenda_row(place, name)
        if row is not None and row[0] <= now_ns:
            self._volume.apply([UnscheduleKey(place, name)])

    def look_at_overtaken(self, rows: Iterable[ScheduleKey]) -> None:
        """The next pass looks at the places of those rows that a crash took the clock back behind.

        It may stand still there, for as long as the date is in doubt.
        """
        now_ns = self._volume.expiry_ns()
        late = {(row.place, row.name) for row in rows if row.at_ns > now_ns}
        present = {place: self._metadata.agenda_row(*place) for place in sorted(late)}
        overtaken = [place for place, row in present.items() if row is not None and row[0] > now_ns]
        if self.in_force is not None and overtaken:
            self._volume.apply([ScheduleKey(*place, now_ns, 0) for place in overtaken])

    def look(self, key: Key, now_ns: int) -> tuple[KeyStack, Pass]:
        """What is due for the key; nothing where it was acted on today."""
        found = self.keys.stack_of(key)
        if self.acted_today(key, now_ns):
            return found, Pass(next_ns=self._tomorrow_ns(now_ns))
        return found, evaluate(found.stack, self.rules, self.circumstances, now_ns)

    def acted_today(self, key: Key, now_ns: int) -> bool:
        """Whether a pass changed something of the key on the day that holds `now_ns`."""
        row = self._metadata.agenda_row(key.parent, key.name)
        return row is not None and row[1] >= self.calendar.midnight_ns(now_ns)

    def _tomorrow_ns(self, now_ns: int) -> int:
        return self.calendar.midnight_ns(now_ns) + self.calendar.day_ns

    def carry_out(self, key: Key, now_ns: int) -> Outcome:
        """What was due for the key is done, and the agenda knows when to look at it again.

        One step without a wait; the journal gets all of it or nothing.

        Raises:
            StoreFull, StoreReadOnly: what was not done stays due.
        """
        found, decided = self.look(key, now_ns)
        free = tuple(each for each in decided.verdicts if not self._is_in_use(found, each))
        waits = len(free) < len(decided.verdicts)
        with self._volume.agenda.resting(), self._volume.outbox.resting():
            refused = self._act_on(found, free, now_ns)
            if waits and not free:
                self.put_off(key, now_ns)
            else:
                self._volume.apply(self._next_row(key, decided, now_ns, acted=bool(free)))
        done = tuple(verdict for verdict in free if verdict not in refused)
        held = [Held(verdict, OPEN_NS) for verdict in refused]
        return Outcome(found, done, (*decided.held, *held), postponed=waits)

    def _act_on(self, found: KeyStack, verdicts: Iterable[Verdict], now_ns: int) -> list[Verdict]:
        """What was decided is done; those that a lock refused of which the rules do not know.

        Old versions go first: a null marker destroys the null version, wherever it is (S3).
        """
        refused: list[Verdict] = []
        gone: defaultdict[int, set[int]] = defaultdict(set)
        left: list[tuple[HistoryItem, Verdict]] = []
        for verdict in verdicts:
            item = found.items[verdict.item.stamp_ns]
            if item.version is None or item.is_latest or verdict.action is not Action.EXPIRE:
                left.append((item, verdict))
                continue
            try:
                self._locks.check_version(Operation.PURGE_VERSION, item.version)
            except LockError as error:
                self._note_refusal(found, verdict, error, refused)
            else:
                gone[item.version.ino].add(item.stamp_ns)
        for ino, stamps in gone.items():
            self._remove(ino, stamps)
        for item, verdict in reversed(left):
            try:
                self._act(item, verdict, now_ns)
            except LockError as error:
                self._note_refusal(found, verdict, error, refused)
        return refused

    def _note_refusal(
        self, found: KeyStack, verdict: Verdict, error: LockError, refused: list[Verdict]
    ) -> None:
        logger.warning("lifecycle leaves %r alone: %s", found.stack.key, error)
        refused.append(verdict)

    def put_off(self, key: Key, now_ns: int) -> None:
        """The key is looked at again tomorrow."""
        self._volume.apply([ScheduleKey(key.parent, key.name, self._tomorrow_ns(now_ns), 0)])

    def _next_row(self, key: Key, decided: Pass, now_ns: int, *, acted: bool) -> list[Change]:
        if acted:
            next_ns = self._tomorrow_ns(now_ns)
            return [ScheduleKey(key.parent, key.name, next_ns, now_ns)]
        if decided.next_ns == OPEN_NS:
            return [UnscheduleKey(key.parent, key.name)]
        return [ScheduleKey(key.parent, key.name, decided.next_ns, 0)]

    def _is_in_use(self, found: KeyStack, verdict: Verdict) -> bool:
        """Whether a process may still change, or reads, what would go."""
        version = found.items[verdict.item.stamp_ns].version
        if version is None or verdict.action is Action.TRANSITION:
            return False
        ino = version.ino
        if verdict.action is Action.EXPIRE and self._open_files.is_shown(ino, version.stamp_ns):
            return True
        inode = self._volume.inode(ino)
        if inode.version_ns != version.stamp_ns:
            return False
        if ino in self._volume.drafts or self._open_files.is_written(ino):
            return True
        return not inode.nlink and self._open_files.is_open(ino)

    def _act(self, item: HistoryItem, verdict: Verdict, now_ns: int) -> None:
        if verdict.action is Action.TRANSITION:
            self._move(item, verdict.storage_class)
        elif item.version is None:
            entry = item.entry
            self._volume.apply([RemoveEntry(entry.parent, entry.name, entry.from_ns)])
        else:
            self._take_name(item, now_ns)

    def _move(self, item: HistoryItem, storage_class: str) -> None:
        version = item.version
        assert version is not None
        self._classes.transition(
            version.ino, version.stamp_ns, storage_class, present=version.storage_class
        )

    def _take_name(self, item: HistoryItem, now_ns: int) -> None:
        """As unlink(2): a marker where versioning keeps versions, else the version is gone."""
        entry = item.entry
        self._namespace.unlink(entry.parent, entry.name, SYSTEM, by_rule=True)
        self._volume.invalidation.entry(entry.parent, entry.name)
        self._volume.invalidation.inode(entry.ino)
        if not self._open_files.is_open(entry.ino):
            forget_nameless(self._volume, entry.ino)
        home = self.keys.home_of(entry.ino)
        if home is not None and home != Key(entry.parent, entry.name):
            # It counts under another of its names from now on, but had its action of today.
            next_ns = self._tomorrow_ns(now_ns)
            self._volume.apply([ScheduleKey(home.parent, home.name, next_ns, now_ns)])

    def _remove(self, ino: int, stamps: set[int]) -> None:
        remove_versions(self._volume, ino, stamps)
        self._volume.invalidation.inode(ino)
        if not self._open_files.is_open(ino):
            forget_nameless(self._volume, ino)
