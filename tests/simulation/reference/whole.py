"""The whole of it."""

import copy
from dataclasses import replace

from tests.simulation.reference import archives
from tests.simulation.reference.facts import Version
from tests.simulation.reference.lifecycle import Lifecycle
from tests.simulation.reference.refused import Refused


class Reference(Lifecycle):
    """The filesystem. Paths begin with `/`; handles are small numbers."""

    def set_date(self, days: int) -> None:
        """Somebody sets the machine's date, so many days from what it should be."""
        self.lock_clock.set_date(is_false=days != 0)

    def crash(self, *, power: bool, seconds_off: int = 0) -> None:
        """The daemon is killed, or the power cut, and the store is opened again.

        Without power the machine is off for a while, and then has the right date.
        """
        self.lock_clock.die()
        if power:
            self.now += seconds_off
            self.lock_clock.start_anew()
        facts, drafts = self.durable if power else self.journaled
        self.facts = facts.copy()
        self.drafts = {number: copy.copy(draft) for number, draft in drafts.items()}
        self.handles.clear()
        self.purged.clear()
        for number, draft in list(self.drafts.items()):
            node = self.facts.nodes[number]
            if not draft.is_written and draft.mtime != node.mtime:
                # Set since it was made: which of both lasts depends on what the journal repeated.
                node.mtime_is_known = node.past_mtimes_are_known = False
            if self.is_named(number):
                self._commit(self.facts.nodes[number])
        self.drafts.clear()
        for number in sorted(self.facts.closing):
            if number in self.facts.nodes and not self.is_named(number):
                self._destroy_nulls(self.facts.nodes[number])
        self.facts.closing.clear()
        for number in sorted(self.facts.waiting):
            if number in self.facts.nodes:
                self._lock_if_closed(self.facts.nodes[number])
        self.settle()

    def chmod(self, path: str, mode: int) -> None:
        """Permission bits, whose loss may lock a file. What is so already is no change."""
        node = self.at(path)
        if self.lock_by_habit(node, mode):
            return
        if node.mode != mode:
            self._check_attributes_free(node)
        node.mode = mode

    def utimes(self, path: str, mtime: int) -> None:
        """The mtime, in seconds. What is so already is no change."""
        node = self.at(path)
        if self.is_frozen(node) and node.mtime == mtime:
            return
        self._check_attributes_free(node)
        node.mtime = mtime
        if node.number in self.drafts:
            self.drafts[node.number].mtime = mtime

    def setxattr(self, path: str, name: str, value: bytes) -> None:
        """A user attribute. What is so already is no change."""
        node = self.at(path)
        if node.xattrs.get(name) != value:
            self._check_attributes_free(node)
        node.xattrs[name] = value

    def removexattr(self, path: str, name: str) -> None:
        """It is gone."""
        node = self.at(path)
        if name not in node.xattrs:
            raise Refused("NoSuchAttribute")
        self._check_free(node)
        del node.xattrs[name]

    def set_class(self, path: str, wanted: str) -> None:
        """The current version has the storage class; nothing else of it changes.

        What is archived is retrieved before it leaves the archive.
        """
        node = self.at(path)
        if not node.versions:
            raise Refused("InvalidArgument")
        version = node.versions[-1]
        if wanted not in archives.CLASSES and self.facts.is_archived(version):
            raise Refused("Archived")
        self._put_class(version, wanted)

    def retrieve(self, path: str, tier: str, days: int) -> None:
        """The current version will be readable for so many days."""
        node = self.at(path)
        if not node.versions:
            raise Refused("NoSuchVersion")
        key = node.versions[-1].key
        present = self.facts.retrievals.get(key)
        storage_class = self.facts.class_of(node.versions[-1])
        self.facts.retrievals[key] = archives.requested(
            storage_class, present, tier, days, self.now
        )

    def note_retrieval(self, version: Version, until: int | None) -> None:
        """The store did it by itself: a copy is there until then, or (None) is no more."""
        present = self.facts.retrievals[version.key]
        if until is None:
            assert 0 < present.until <= self.now, "a copy went before its time"
            del self.facts.retrievals[version.key]
        elif until != present.until:
            assert not present.until, "a copy stays for longer than somebody asked for"
            assert until == archives.midnight_after(self.now, present.days)
            self.facts.retrievals[version.key] = replace(present, until=until)

    def set_versioning(self, *, is_suspended: bool) -> None:
        """From now on versions are kept, or replace the one that is called null."""
        self.facts.is_suspended = is_suspended

    def set_tags(self, path: str, tag: str) -> None:
        """What is written so far is a version, and has this tag only; "" is none."""
        node = self.at(path)
        self._check_free(node)
        self._commit(node)
        if not node.versions:
            raise Refused("InvalidArgument")
        self.facts.tags[node.versions[-1].key] = tag
