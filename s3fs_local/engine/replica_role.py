"""Whether a store is the replica of another: then it takes changes from that one only.

A store becomes one when a source first speaks to it, if it is empty; or, after a failover, if the
source is a promoted replica of this very store. `promote` ends it. What the store does by itself
(tiers, lifecycle, scrubs) goes on in a replica; what people and programs ask for is refused.
"""

from typing import Final

import msgspec
from msgspec import Struct, structs

from s3fs_local.engine.replication_messages import PROTOCOL, Hello, Refusal, Welcome
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import NotAReplica, ReplicaReadOnly, SourceAlive
from s3fs_local.metadata.changes import PutSetting
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.instants import format_rfc3339
from s3fs_local.rules.replication import Reason
from s3fs_local.rules.versioning import Version, VersioningState

ROLE_SETTING: Final = "fact.replica"
"""Whose replica the store is or was, as JSON."""


class Role(Struct, frozen=True):
    """Whose replica a store is, or was until it was promoted."""

    source: str  # id of its store, hexadecimal
    path: str
    host: str
    since_ns: int
    promoted_ns: int = 0
    own_until_ns: int = 0  # what is older may have been changed by this store itself; 0 = nothing


class ReplicaRole:
    """The part that one open store has in replication as a destination."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.connections = 0  # sources that speak to it now
        stored = volume.metadata.setting(ROLE_SETTING)
        self.role = None if stored is None else msgspec.json.decode(stored, type=Role)

    @property
    def is_replica(self) -> bool:
        """Whether it takes changes from its source only."""
        return self.role is not None and not self.role.promoted_ns

    def check_writable(self) -> None:
        """Anybody may change the store.

        Raises:
            ReplicaReadOnly: only its source may.
        """
        if self.role is not None and self.is_replica:
            raise ReplicaReadOnly(
                f"this is a replica of {self.role.host}:{self.role.path}, which alone changes it"
            )

    def greet(self, hello: Hello, *, store_id: bytes, has_rules: bool) -> Welcome | Refusal:
        """Whether the store takes what this source tells; then it is its replica from now on."""
        refusal = self._refusal(hello, store_id=store_id, has_rules=has_rules)
        if refusal is not None:
            return refusal
        if not self.is_replica or self.role is None:
            now_ns = self._volume.now_ns()
            own_until_ns = 0 if self._is_empty() else now_ns
            source = (hello.source.hex(), hello.path, hello.host)
            self._put(Role(*source, since_ns=now_ns, own_until_ns=own_until_ns))
        elif (self.role.path, self.role.host) != (hello.path, hello.host):
            self._put(structs.replace(self.role, path=hello.path, host=hello.host))
        return Welcome(store_id, self._volume.settings.object_lock)

    def _refusal(self, hello: Hello, *, store_id: bytes, has_rules: bool) -> Refusal | None:
        if hello.protocol != PROTOCOL:
            return Refusal("", f"it speaks protocol {PROTOCOL}, the source {hello.protocol}")
        if hello.expects not in {"", store_id.hex()}:
            return Refusal(
                "",
                "it is another store than the one that was told before; if it is to take its place:"
                " `bucket replication put` once more, then `replication sync`",
            )
        if self._volume.settings.versioning is not VersioningState.ENABLED:
            return Refusal(
                str(Reason.DST_BUCKET_UNVERSIONED),
                "Destination bucket must have versioning enabled.",
            )
        if self.role is not None and self.is_replica and self.role.source != hello.source.hex():
            return Refusal(str(Reason.DST_NOT_PERMITTED), "it is a replica of another store")
        if hello.replica_of != store_id.hex():
            return self._refusal_of_stranger()
        rules = Refusal("", "it has replication rules of its own: delete them first")
        return rules if has_rules else None

    def _is_empty(self) -> bool:
        return not self._volume.metadata.inodes_after(ROOT_INO, 1)

    def _refusal_of_stranger(self) -> Refusal | None:
        role = self.role
        if role is None:
            refused = Refusal(str(Reason.DST_NOT_PERMITTED), "it holds files of its own")
            return None if self._is_empty() else refused
        if role.promoted_ns:
            at = format_rfc3339(role.promoted_ns)
            return Refusal(
                "",
                f"it was promoted at {at}, has a history of its own since, and takes nothing from"
                " here any more: `bucket replication delete` ends the rule; `resync` of the"
                " promoted store shows what either lacks",
            )
        return None

    def may_have_locked(self, version: Version) -> bool:
        """Whether the version's lock may be one that its source never heard of.

        A store that was written to by others before it became the replica of this source has such
        locks, and does not know which: so it keeps all that are on versions from before that.
        """
        return self.role is not None and version.stamp_ns <= self.role.own_until_ns

    def promotable(self, *, source_is_alive: str, force: bool) -> Role:
        """What the store is, if it may be promoted; nothing is changed.

        `source_is_alive` says how that is known; empty where nothing shows it.

        Raises:
            NotAReplica: it is none.
            SourceAlive: its source is in use, and `force` is not given.
        """
        if self.role is None or not self.is_replica:
            raise NotAReplica("the store is no replica, so there is nothing to promote")
        alive = "its source is connected to it" if self.connections else source_is_alive
        if alive and not force:
            raise SourceAlive(f"{alive}; promoting would make two stores out of one")
        return self.role

    def promote(self, *, source_is_alive: str, force: bool) -> Role:
        """The store is its own from now on: anybody may write, and its source may not any more.

        Raises as `promotable`.
        """
        role = self.promotable(source_is_alive=source_is_alive, force=force)
        self._put(structs.replace(role, promoted_ns=self._volume.now_ns()))
        assert self.role is not None
        return self.role

    def _put(self, role: Role) -> None:
        stored = msgspec.json.encode(role).decode()
        self._volume.apply([PutSetting(ROLE_SETTING, stored)])
        self.role = role
