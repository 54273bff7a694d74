"""What a command may use while it runs."""

import os
import pwd
from collections.abc import Callable

from msgspec import Struct

from s3fs_local import errors
from s3fs_local.control.results.store import Status
from s3fs_local.control.server import Outlet
from s3fs_local.control.zone_access import Zoning
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.replication_following import Following
from s3fs_local.rules.inode import ROOT_INO, Caller
from s3fs_local.rules.ledger_notes import Actor
from s3fs_local.rules.retention import Bypass
from s3fs_local.system.processes import program_of


class Context(Struct, frozen=True):
    """The store, who asks, and where to send what comes before the result."""

    filesystem: FileSystem
    caller: Caller
    outlet: Outlet
    describe: Callable[[], Status]
    zoning: Zoning | None = None
    following: Following | None = None

    def check_may_administer(self) -> None:
        """The caller may change the store as a whole.

        Raises:
            NotPermitted: they are neither root nor the owner of its root directory.
        """
        if self.caller.uid not in {0, self.filesystem.volume.inode(ROOT_INO).uid}:
            raise errors.NotPermitted("only root and the store's owner may do this")

    def actor(self) -> Actor:
        """Who asks, for the ledger."""
        return Actor(self.caller.uid, self.caller.pid, program_of(self.caller.pid))

    def bypass(self, *, wanted: bool, reason: str) -> Bypass | None:
        """The override of GOVERNANCE that the caller asks for, if they do."""
        if not wanted:
            return None
        return Bypass(entitled=self._may_bypass(), reason=reason, who=self.actor())

    def _may_bypass(self) -> bool:
        group = self.filesystem.volume.settings.bypass_group
        if self.caller.uid == 0 or group is None:
            return self.caller.uid == 0
        try:
            name = pwd.getpwuid(self.caller.uid).pw_name
        except KeyError:
            return self.caller.gid == group
        return group in os.getgrouplist(name, self.caller.gid)
