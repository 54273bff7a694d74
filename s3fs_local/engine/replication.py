"""Replication at the source: the rules in force, and what has still to be told to whom.

Transactions leave tasks that no rule was asked about (`replication_outbox.py`). `decide` asks: it
makes one task for each destination that a rule names, and the version is PENDING. A task goes when
its destination has it durably; a version of which none is left is COMPLETED. What a destination
refuses for good stays as a task with its reason, and the version is FAILED.

A task says what to look at. What is told is read when it is sent; so tasks of files that are gone
vanish, and something that changed again while it was told stays to be told.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Struct, structs

from s3fs_local.engine.encryption_kinds import kind_of
from s3fs_local.engine.lifecycle_keys import Key, Keys
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import InvalidSetting
from s3fs_local.metadata.changes import (
    Change,
    PutSetting,
    PutTask,
    PutVersion,
    RemoveSetting,
    RemoveTask,
)
from s3fs_local.rules.encryption import Algorithm
from s3fs_local.rules.findings import Finding, Severity
from s3fs_local.rules.inode import ROOT_INO, Inode
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.replication import (
    ATTRIBUTES,
    UNDECIDED,
    Choice,
    Event,
    Rule,
    Status,
    Subject,
    Task,
    choose,
    combined,
    on_the_way,
)
from s3fs_local.rules.replication_documents import ReplicationDocument, rules_in_force
from s3fs_local.rules.versioning import Version, VersioningState

DOCUMENT_SETTING: Final = "fact.replication"
"""The bucket's replication document, as JSON, with the instants since when its rules hold."""
TASKS_A_STEP: Final = 64
"""Of millions: the loop is free after each step."""
INODES_A_STEP: Final = 256
_AWAY: Final = "See `s3fs-local replication status STORE`; it goes on by itself."
_REFUSED: Final = (
    "Mend what it says: it is asked again twice a minute, and nothing that waits is lost."
)
_FAILED: Final = "`s3fs-local replication status STORE` says why, `replication sync` tries again."
_UNVERSIONED: Final = (
    "InvalidRequest: Versioning must be 'Enabled' on the bucket to apply a replication"
    " configuration"
)


class InForce(Struct, frozen=True):
    """The replication document, as it is stored."""

    document: ReplicationDocument
    since_ns: dict[str, int]  # by rule id: when the rule was put, or enabled
    stores: dict[str, str] = {}  # by destination: the id of its store then, hexadecimal


class Progress(Struct):
    """How a destination is doing."""

    state: str = "idle"  # idle, telling, unreachable, refused
    message: str = ""
    failures: int = 0  # in a row
    operations: int = 0  # told since the store was opened
    bytes: int = 0  # that travelled
    late: int = 0  # that took longer than their rule's threshold
    last_ns: int = 0  # when something was last told


class Replication:
    """The rules of one store, and its tasks."""

    def __init__(self, volume: Volume, keys: Keys) -> None:
        self._volume = volume
        self._metadata = volume.metadata
        self._keys = keys
        self.in_force: InForce | None = None
        self.rules: tuple[Rule, ...] = ()
        self.progress: dict[str, Progress] = {}  # by destination
        self.missed: set[tuple[str, str]] = set()  # (destination, rule) beyond their thresholds
        volume.inspections.add("replication", self._inspect)
        stored = self._metadata.setting(DOCUMENT_SETTING)
        if stored is not None:
            self._enforce(msgspec.json.decode(stored, type=InForce))

    def _inspect(self) -> Iterator[Finding]:
        """What `status` says where another region does not get what it should."""
        if self.in_force is None:
            return
        for name, progress in self.progress.items():
            if progress.failures:
                sentence = f"{name} is {progress.state}: {progress.message}"
                advice = _REFUSED if progress.state == "refused" else _AWAY
                yield Finding(Severity.WARNING, "replication", sentence, advice)
        for destination, rule in sorted(self.missed):
            sentence = f"rule {rule} is later at {destination} than it allows"
            yield Finding(Severity.WARNING, "replication", sentence, _AWAY)
        failed = sum(row.operations for row in self._metadata.backlog() if row.failed)
        if failed:
            sentence = f"{failed} changes could not be replicated"
            yield Finding(Severity.WARNING, "replication", sentence, _FAILED)

    def _enforce(self, in_force: InForce | None) -> None:
        self.in_force = in_force
        self.rules = (
            () if in_force is None else rules_in_force(in_force.document, in_force.since_ns)
        )
        self._volume.outbox.is_kept = in_force is not None

    def put(
        self, document: ReplicationDocument, stores: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """The document is in force, for what is committed from now on.

        `stores` are the ids of the destinations' stores; others will not be told.

        Where much is undecided the caller calls `decide` before, step by step.

        A rule that stays as it was, for the same destination, holds since it was first put.

        Raises:
            InvalidSetting: versioning is not Enabled.
        """
        if self._volume.settings.versioning is not VersioningState.ENABLED:
            raise InvalidSetting(_UNVERSIONED)
        while self.decide():
            pass  # by the rules that were in force then
        now_ns = self._volume.now_ns()
        before = {rule.rule_id: rule.destination for rule in self.rules}
        since_ns = {rule.rule_id: rule.since_ns for rule in self.rules}
        since = {
            str(rule.rule_id): since_ns[str(rule.rule_id)]
            if before.get(str(rule.rule_id)) == (remote := rule.destination.remote)
            and self.store_of(remote) in {"", stores.get(remote, "")}
            else now_ns
            for rule in document.rules
        }
        in_force = InForce(document, since, dict(stores))
        stored = msgspec.json.encode(in_force).decode()
        self._volume.apply([PutSetting(DOCUMENT_SETTING, stored)])
        self._enforce(in_force)
        self._volume.outbox.on_task()

    def delete(self) -> None:
        """No rule is in force, and nothing is told any more; `abandon` removes what was to be."""
        self._volume.apply([RemoveSetting(DOCUMENT_SETTING)])
        self._enforce(None)
        self._volume.outbox.on_task()

    def store_of(self, destination: str) -> str:
        """The id of the store that is told there; empty where nobody said."""
        return "" if self.in_force is None else self.in_force.stores.get(destination, "")

    def rule(self, rule_id: str) -> Rule | None:
        """The rule of that id, if it is in force."""
        return next((rule for rule in self.rules if rule.rule_id == rule_id), None)

    @property
    def destinations(self) -> tuple[str, ...]:
        """The remotes that rules name."""
        return tuple(dict.fromkeys(rule.destination for rule in self.rules))

    # Deciding

    def decide(self) -> int:
        """Rules were asked about some tasks; how many. One step, one transaction."""
        undecided = self._metadata.tasks(UNDECIDED, TASKS_A_STEP)
        changes: list[Change] = []
        for task in undecided:
            changes.append(RemoveTask(UNDECIDED, task.ino, task.stamp_ns))
            changes += self._decided(task)
        if changes:
            self._volume.apply(changes)
        return len(undecided)

    def _decided(self, task: Task, *, on_demand: bool = False) -> list[Change]:
        inode = self._metadata.inode(task.ino)
        if inode is None or not self.rules:
            return []
        version = None
        if task.stamp_ns != ATTRIBUTES:
            version = self._metadata.version(task.ino, task.stamp_ns)
            if version is None:
                return []  # purged: that is never told
        elif inode.is_file and not inode.version_ns and inode.nlink:
            return []  # its first version tells it
        asked = self._event(task, on_demand=on_demand)
        choices = self._choices(inode, version, asked)
        changes: list[Change] = [PutTask(self._task_for(task, choice)) for choice in choices]
        if version is not None and choices and version.replication != Status.REPLICA:
            changes.append(_with_status(version, Status.PENDING))
        return changes

    def _task_for(self, task: Task, choice: Choice) -> Task:
        before = self._metadata.task(choice.destination, task.ino, task.stamp_ns)
        since_ns = task.since_ns
        if before is not None and not before.reason:
            since_ns = min(since_ns, before.since_ns)
        return structs.replace(
            task,
            destination=choice.destination,
            since_ns=since_ns,
            rule=choice.rule.rule_id,
            reason="",
            if_held=choice.if_held and (before is None or before.if_held),
            has_names=task.has_names or (before is not None and before.has_names),
        )

    @staticmethod
    def _event(task: Task, *, on_demand: bool = False) -> Event:
        if on_demand:
            return Event.ON_DEMAND
        return Event.NAME if task.has_names else Event.METADATA

    def _choices(self, inode: Inode, version: Version | None, event: Event) -> tuple[Choice, ...]:
        """Of a file with several names each name may have rules of its own (S3: keys)."""
        found: dict[str, Choice] = {}
        for key in self.keys_of(inode, with_past=version is None):
            choices = self.chosen(inode, version, key, event)
            if inode.is_directory and event is Event.NAME:
                choices += on_the_way(self.rules, key)
            for choice in choices:
                present = found.get(choice.destination)
                if present is None or (present.if_held and not choice.if_held):
                    found[choice.destination] = choice
        return tuple(found.values())

    def keys_of(self, inode: Inode, *, with_past: bool) -> list[bytes]:
        """The paths of the names that the inode has, and had; at least the last one."""
        entries = self._metadata.entries_of(inode.ino)
        live = [entry for entry in entries if entry.to_ns == OPEN_NS]
        wanted = entries if with_past else live
        if not wanted:
            home = self._keys.home_of(inode.ino)
            return [] if home is None else [self._keys.path_of(home)]
        places = dict.fromkeys((entry.parent, entry.name) for entry in wanted)
        return [self.path_of(*place) for place in places]

    def path_of(self, parent: int, name: bytes) -> bytes:
        """The key of a name, as filters see it."""
        return self._keys.path_of(Key(parent, name))

    def chosen(
        self, inode: Inode, version: Version | None, key: bytes, event: Event
    ) -> tuple[Choice, ...]:
        """What rules say of the inode under the key; `version` None: of its attributes or names."""
        if version is None and inode.is_file:
            version = self._metadata.version(inode.ino, inode.version_ns)
        elif version is not None and not version.replication and event is not Event.ON_DEMAND:
            event = Event.NEW_VERSION
        if version is None:  # S3 has neither directories nor links; they go where files go
            made = Subject(key=key, committed_ns=inode.btime_ns)
            choices = choose(self.rules, made, Event.ON_DEMAND)
            if inode.is_file:  # all of it was purged; where there is a replica its name ends still
                return tuple(structs.replace(c, if_held=True) for c in choices)
            if event is Event.ON_DEMAND:
                return choices
            return tuple(
                structs.replace(c, if_held=not _is_newer(c, inode.btime_ns)) for c in choices
            )
        return choose(self.rules, self._subject(version, key), event)

    def _subject(self, version: Version, key: bytes) -> Subject:
        return Subject(
            key=key,
            tags=version.tags,
            committed_ns=version.stamp_ns,
            status=version.replication,
            storage_class=version.storage_class,
            has_kms_key=self._has_kms_key(version),
        )

    def _has_kms_key(self, version: Version) -> bool:
        wrapped = self._metadata.key(version.key_ids[-1]) if version.key_ids else None
        if wrapped is None:
            return False
        return kind_of(wrapped, self._metadata.key).algorithm is not Algorithm.AES256

    # Telling

    def complete(self, task: Task) -> None:
        """The destination has it; what changed meanwhile stays to be told."""
        present = self._metadata.task(task.destination, task.ino, task.stamp_ns)
        if present is None or present.changed_ns != task.changed_ns:
            return
        changes: list[Change] = [RemoveTask(task.destination, task.ino, task.stamp_ns)]
        changes += self._status_after(task, Status.COMPLETED)
        self._volume.apply(changes)

    def fail(self, task: Task, reason: str) -> None:
        """The destination does not take it, nor will it by itself."""
        present = self._metadata.task(task.destination, task.ino, task.stamp_ns)
        if present is None or present.changed_ns != task.changed_ns:
            return
        failed = structs.replace(present, reason=reason)
        self._volume.apply([PutTask(failed), *self._status_after(task, Status.FAILED)])

    def reconsider(self, task: Task) -> None:
        """The rule that wanted it is not in force any more: others are asked."""
        again = structs.replace(task, destination=UNDECIDED, rule="", if_held=False)
        self._volume.apply(
            [RemoveTask(task.destination, task.ino, task.stamp_ns), *self._decided(again)]
        )

    def drop(self, task: Task) -> None:
        """There is nothing to tell after all."""
        changes: list[Change] = [RemoveTask(task.destination, task.ino, task.stamp_ns)]
        self._volume.apply([*changes, *self._status_after(task, Status.NONE)])

    def _status_after(self, task: Task, outcome: Status) -> list[Change]:
        """S3 shows one status for all destinations."""
        version = self._metadata.version(task.ino, task.stamp_ns)
        if version is None or version.replication == Status.REPLICA:
            return []
        others = [
            Status.FAILED if other.reason else Status.PENDING
            for other in self._metadata.tasks_of(task.ino)
            if other.stamp_ns == task.stamp_ns
            and other.destination not in (UNDECIDED, task.destination)
        ]
        status = combined([*others, outcome])
        return [] if status == version.replication else [_with_status(version, status)]

    def status_of(self, version: Version) -> str:
        """As the attribute `s3.replication-status` shows it: also what no rule was asked yet."""
        if self.in_force is None or version.replication == Status.REPLICA:
            return version.replication
        task = self._metadata.task(UNDECIDED, version.ino, version.stamp_ns)
        if task is None:
            return version.replication
        inode = self._volume.inode(version.ino)
        return Status.PENDING if self._choices(inode, version, Event.METADATA) else ""

    def abandon(self) -> int:
        """Some tasks for destinations that no rule names any more are gone; how many."""
        wanted = {UNDECIDED, *self.destinations} if self.rules else set()
        for row in self._metadata.backlog():
            if row.destination in wanted or row.failed:
                continue
            tasks = self._metadata.tasks(row.destination, TASKS_A_STEP)
            for task in tasks:
                self.drop(task)
            return len(tasks)
        return 0

    # On demand

    def request_all(self, after_ino: int) -> tuple[int, int]:
        """What rules want of the next inodes is to be told, as S3's Batch Replication does.

        Also what was there before the rules, replicas, and what failed. The last inode that was
        looked at (0: there are no more), and how many versions were added.
        """
        inodes = self._metadata.inodes_after(after_ino, INODES_A_STEP)
        changes: list[Change] = []
        now_ns = self._volume.now_ns()
        versions = 0
        for inode in inodes:
            if inode.ino == ROOT_INO:
                continue
            for stamp_ns, size in self._requested(inode):
                task = Task(UNDECIDED, inode.ino, stamp_ns, now_ns, now_ns, size)
                decided = self._decided(task, on_demand=True)
                versions += bool(decided) and stamp_ns != ATTRIBUTES
                changes += decided
        if changes:
            self._volume.apply(changes)
            self._volume.outbox.on_task()
        return (inodes[-1].ino if inodes else 0), versions

    def _requested(self, inode: Inode) -> Iterator[tuple[int, int]]:
        """COMPLETED ones too: the destination may be a new one. What it has is not sent again."""
        for version in reversed(self._metadata.versions(inode.ino)):
            yield version.stamp_ns, version.stored_bytes
        yield ATTRIBUTES, 0


def _is_newer(choice: Choice, made_ns: int) -> bool:
    return made_ns >= choice.rule.since_ns


def _with_status(version: Version, status: Status) -> Change:
    return PutVersion(structs.replace(version, replication=str(status)))
