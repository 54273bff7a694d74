"""What directories ask of the files below them (`protect`), looked up along the tree."""

from collections.abc import Iterable
from typing import Final

import msgspec

from s3fs_local.engine.volume import Volume
from s3fs_local.metadata.changes import Change, PutInode, PutSetting
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.namespace import Ending
from s3fs_local.rules.policies import (
    check_policy,
    check_stricter,
    semantics_of,
    stricter,
    with_unsaid,
)
from s3fs_local.rules.retention import DirectoryPolicy, Semantics

POLICIES_SETTING: Final = "fact.directory-policies"
"""Set once any directory ever had a policy; until then no commit looks for one."""


class Policies:
    """Looks policies up and sets them, for one volume."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._exist = volume.metadata.setting(POLICIES_SETTING) is not None

    def of(self, inode: Inode) -> DirectoryPolicy | None:
        """What the policies of all directories above demand together, through every name."""
        if not self._exist:
            return None
        demanded = None
        for parent in self.parents(inode):
            demanded = stricter(demanded, self.at(parent))
        return demanded

    def at(self, directory: int) -> DirectoryPolicy | None:
        """What holds for new files in the directory: a weaker policy below lifts none above."""
        demanded = None
        while directory and self._exist:
            inode = self._volume.inode(directory)
            demanded = stricter(demanded, inode.policy)
            directory = inode.parent
        return demanded

    def semantics(self, inode: Inode) -> Semantics:
        """What a lock on the file means; for a directory, what it means in it."""
        default = self._volume.settings.lock_semantics
        if not self._exist:
            return default
        places = [inode.ino] if inode.is_directory else self.parents(inode)
        return semantics_of([self.at(place) for place in places], default)

    def parents(self, inode: Inode) -> Iterable[int]:
        """The directories of all its names; of a file that was removed, of its last name."""
        if inode.is_directory:
            return [inode.parent] if inode.parent else []
        entries = self._volume.metadata.entries_of(inode.ino)
        live = [entry.parent for entry in entries if entry.ending is Ending.LIVE]
        return live or [entry.parent for entry in entries[-1:]]

    def complete(self, directory: Inode, wanted: DirectoryPolicy) -> DirectoryPolicy:
        """The policy with what it does not say, once it may take the place of the present one.

        Raises:
            InvalidRetention: it is malformed.
            InvalidArgument: it is weaker than what holds there.
        """
        check_policy(wanted)
        holds = self.at(directory.ino)
        default = self._volume.settings.lock_semantics
        policy = with_unsaid(wanted, here=directory.policy, holds=holds, default=default)
        check_stricter(policy, holds)
        return policy

    def put_policy(self, directory: Inode, policy: DirectoryPolicy) -> None:
        """New files below the directory inherit the policy."""
        changes: list[Change] = [PutInode(msgspec.structs.replace(directory, policy=policy))]
        if not self._exist:
            changes.append(PutSetting(POLICIES_SETTING, "true"))
        self._volume.apply(changes)
        self._exist = True
