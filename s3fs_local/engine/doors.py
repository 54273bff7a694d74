"""Every door to bytes and facts that a lock may protect, and what is asked at each. Data only.

A door is a function that makes a change which could alter, hide or free what is protected (a
`Change` of `GUARDED_CHANGES`), or that calls one of `GUARDED_CALLS`. Each has one row here:

    asks               the operations that it, or a function of its module that it calls, asks of
                       the policy gate (`engine/locks.py`) before it acts
    asked_by_callers   every function that calls it is a door itself, so somebody has asked
    neither            nothing that a lock protects can get lost by it; `how` says why

`tests/architecture/test_every_door_asks.py` finds the doors in the source, and fails for one that
has no row, for a row whose question is not in the source, and for callers that are no doors. Who
adds a door adds its row, under the heading of its part.
"""

from typing import Final

from msgspec import Struct

from s3fs_local.rules.retention import Operation

GUARDED_CHANGES: Final = frozenset(
    {
        *("PutInode", "RemoveInode", "PutVersion", "RemoveVersion"),
        *("CloseEntry", "RemoveEntry"),
        *("OpenCell", "CloseCell", "RemoveCell", "ReopenCell", "PutCell"),
        *("CountBlock", "RemoveBlock", "MoveBlock", "PlaceBlock", "RemovePack"),
        *("PutKey", "RemoveKey", "PutSetting", "RemoveSetting"),
        "RemovePendingLock",
    }
)
"""Not `KeepAttributes`, `OpenEntry`, `AddBlock`, `PutPack`, `PutPendingLock`, `ShareBlocks`: they
only add. Nor `MarkUnsettled` and `MarkSettled`, which say what is still to be done."""

GUARDED_CALLS: Final = frozenset(
    {
        *("writing.write", "writing.resize", "writing.discard"),
        *(
            "zone.delete",
            "zones.delete",
            "changes.remove",
            "objects.delete",
            "store.delete",
            "blocks.remove_pack",
            "packs.remove",
            "packs.remove_copies",
            "packs.remove_shares",
        ),
        "ring.destroy_versions",
    }
)
"""Receiver and method, leading underscores aside: drafts, objects in zones, keys of the ring."""


class Door(Struct, frozen=True):
    """One row."""

    function: str  # module and qualified name, below the package
    how: str  # for people: why nothing protected passes
    asks: tuple[Operation, ...] = ()
    asked_by_callers: bool = False


_ATTRIBUTES: Final = (
    Door(
        "engine.attributes.Attributes.set",
        "chmod, chown, utimes; setting what is so already passes",
        asks=(Operation.SET_MODE, Operation.SET_OWNER, Operation.SET_TIMES),
    ),
    Door(
        "engine.attributes.Attributes.restore",
        "a restore brings attributes back",
        asks=(Operation.SET_MODE, Operation.SET_OWNER, Operation.SET_XATTR),
    ),
    Door(
        "engine.attributes.Attributes.set_xattr",
        "setxattr(2), ACLs included",
        asks=(Operation.SET_XATTR,),
    ),
    Door(
        "engine.attributes.Attributes.remove_xattr",
        "removexattr(2)",
        asks=(Operation.REMOVE_XATTR,),
    ),
    Door(
        "engine.attributes.Attributes._put_xattrs",
        "the end of the two above",
        asked_by_callers=True,
    ),
    Door(
        "engine.attributes.Attributes.resize",
        "truncate(2) and ftruncate(2) put it into the draft",
        asks=(Operation.TRUNCATE,),
    ),
    Door(
        "engine.lock_attributes.LockAttributes.set_tags",
        "tags of the current version",
        asks=(Operation.SET_TAGS,),
    ),
)

_CONTENT: Final = (
    Door(
        "engine.filesystem.FileSystem.write",
        "write(2) and every page of a mapping, through handles from before the lock, too",
        asks=(Operation.WRITE, Operation.APPEND),
    ),
    Door(
        "engine.filesystem.FileSystem.open",
        "opening for writing, and O_TRUNC, which empties the draft at once",
        asks=(Operation.OPEN_FOR_WRITE, Operation.OPEN_TRUNCATE),
    ),
    Door(
        "engine.closing.Closing._after_close",
        "drops the draft of a file without a name that nobody has open",
    ),
    Door(
        "engine.filesystem.FileSystem.restore_content",
        "an old content becomes the current one",
        asks=(Operation.RESTORE_OVER,),
    ),
    Door(
        "engine.writing.Writing.restore_version",
        "the end of `restore_content`",
        asked_by_callers=True,
    ),
    Door(
        "engine.writing.Writing._apply_commit",
        "the gate let every byte into the draft; a lock settles the draft before it falls",
    ),
    Door(
        "engine.writing.Writing._keep_times",
        "the times of a write that the gate let in and that changed nothing",
    ),
    Door("engine.writing.Writing._seal_early", "names the key of new blocks, nothing else"),
    Door(
        "engine.writing.CellChanges.lay_out",
        "opens and closes layouts; past ones stay",
        asked_by_callers=True,
    ),
    Door(
        "engine.writing.Writing._change_cells",
        "a part of the commit",
        asked_by_callers=True,
    ),
    Door(
        "engine.writing.Writing._remove_superseded",
        "the null version, or a provisional one, makes room for the next",
        asks=(Operation.REPLACE_VERSION,),
    ),
)

_NAMES: Final = (
    Door("engine.namespace.Namespace.make", "what is made is new"),
    Door("engine.namespace.Namespace.link", "link(2)", asks=(Operation.LINK,)),
    Door(
        "engine.namespace.Namespace.relink",
        "gives a name to what has none; takes nothing from it",
    ),
    Door(
        "engine.namespace.Namespace._link",
        "the end of the two above",
        asked_by_callers=True,
    ),
    Door("engine.namespace.Namespace.unlink", "unlink(2)", asks=(Operation.UNLINK,)),
    Door("engine.namespace.Namespace.take_back", "a file that was just made and holds nothing"),
    Door("engine.namespace.Namespace.rmdir", "the directory is empty"),
    Door(
        "engine.namespace.Namespace._remove",
        "the end of the three above",
        asked_by_callers=True,
    ),
    Door(
        "engine.renaming.Renaming.rename",
        "asked of what moves, of what loses the name, and of a directory for all below it",
        asks=(
            Operation.RENAME_FROM,
            Operation.RENAME_OVER,
            Operation.ROTATE,
            Operation.MOVE_ANCESTOR,
        ),
    ),
    Door("engine.renaming.Renaming._move", "the end of `rename`", asked_by_callers=True),
    Door(
        "engine.renaming.Renaming._exchange",
        "asked of both",
        asks=(Operation.RENAME_EXCHANGE,),
    ),
    Door(
        "engine.releasing.Releasing.release_name",
        "a part of the removal and of the move",
        asked_by_callers=True,
    ),
    Door(
        "engine.releasing.Releasing.destroy_unkept",
        "the null versions of a file that has no name any more",
        asks=(Operation.REPLACE_VERSION,),
    ),
    Door(
        "engine.releasing.Releasing._note_waiting",
        "which files wait for their last close to be asked for",
    ),
    Door(
        "engine.releasing.Releasing.forget_never_saved",
        "without a version there is nothing that a lock lies on",
    ),
    Door("engine.delete_markers.supersede_marker", "delete markers, which are never locked"),
    Door("engine.delete_markers.reopen_marker", "delete markers, which are never locked"),
    Door("engine.names.Names.touch", "the times of a directory"),
)

_REMOVAL: Final = (
    Door(
        "engine.purging.purge",
        "asked of the version; delete markers are never locked",
        asks=(Operation.PURGE_VERSION,),
    ),
    Door("engine.purging._uncover", "intervals of files that have no version any more"),
    Door("engine.purging._purge_version", "the end of `purge`", asked_by_callers=True),
    Door("engine.version_removal.remove_version", "of one", asked_by_callers=True),
    Door(
        "engine.version_removal.remove_versions",
        "the one way in which a version goes",
        asked_by_callers=True,
    ),
    Door("engine.version_removal._plan", "a part of it", asked_by_callers=True),
    Door(
        "engine.version_removal.destroy_keys",
        "keys that no block needs, of the version that goes",
        asked_by_callers=True,
    ),
    Door(
        "engine.version_removal.remove_older_nulls",
        "while versioning is Suspended, so without Object Lock",
        asks=(Operation.REPLACE_VERSION,),
    ),
    Door("engine.blocks.BlockStorage.remove_pack", "of a pack", asked_by_callers=True),
    Door(
        "packs.pack_store.PackStore.remove", "the end of `remove_pack`, which `gc` calls with care"
    ),
    Door("packs.pack_store.PackStore.remove_copies", "the end of `PackCoding`, as those below"),
    Door("packs.pack_store.PackStore.remove_shares", "of a pack that goes, or has copies again"),
    Door("packs.pack_store.PackStore._create", "a pack that could not be made"),
    Door("packs.journal.Journal.trim", "records that the facts and later records have"),
    Door("packs.journal.Journal._create", "a segment that could not be made"),
)

_LIFECYCLE: Final = (
    Door("engine.lifecycle.LifecycleRules.put", "which rules there are; they ask when they act"),
    Door("engine.lifecycle.LifecycleRules.delete", "likewise"),
    Door("engine.lifecycle.LifecycleRules.look_at_all", "where a look at every key goes on"),
    Door("engine.lifecycle.LifecycleRules.note_looked_at", "likewise"),
    Door("engine.lifecycle_runs.LifecycleRuns.run", "what the last run did"),
    Door("engine.lifecycle.LifecycleRules._act", "delete markers, which are never locked"),
    Door(
        "engine.lifecycle.LifecycleRules._act_on",
        "old versions are asked for; the current one loses its name by `unlink`, which asks",
        asks=(Operation.PURGE_VERSION,),
    ),
    Door("engine.lifecycle.LifecycleRules._remove", "the end of it", asked_by_callers=True),
    Door(
        "engine.version_removal.forget_nameless",
        "without a version there is nothing that a lock lies on",
    ),
)

_CLASSES: Final = (
    Door(
        "engine.classes.Classes.transition",
        "a lock does not forbid it: no byte of the version changes",
        asks=(Operation.CHANGE_CLASS,),
    ),
    Door("engine.classes.Classes._put", "class, tier and retrieval: not a byte of the version"),
    Door("engine.classes.Classes.apply_reads", "when it was read"),
    Door("engine.classes.Classes.move_tiers", "the tier, of which nobody sees anything"),
    Door("engine.classes.Classes.set_of_new_files", "the class of what is made from now on"),
    Door("engine.volume.Volume.note_classes", "whether there is any class but STANDARD"),
    Door(
        "engine.retrieving.Retrieving.advance",
        "how a retrieval stands",
    ),
    Door(
        "engine.settling.Mover.finish",
        "the same content in another place, synced and read back before its row changes",
    ),
    Door(
        "engine.compaction.collect_garbage",
        "asked of the root for all below; packs that go have no block that anything uses",
        asks=(Operation.COMPACT,),
    ),
    Door("engine.compaction._Collection.empty_all", "a part of it", asked_by_callers=True),
    Door("engine.compaction._Collection.remove_empty", "a part of it", asked_by_callers=True),
    Door("engine.compaction._Collection._remove", "a part of it", asked_by_callers=True),
    Door(
        "engine.pack_coding.PackCoding.run",
        "asked of the root for all below; the same bytes in another form, read back before",
        asks=(Operation.COMPACT,),
    ),
    Door("engine.pack_coding.PackCoding._bring", "a part of it", asked_by_callers=True),
    Door("engine.pack_coding.PackCoding._code", "a part of it", asked_by_callers=True),
    Door("engine.pack_coding.PackCoding._restore", "a part of it", asked_by_callers=True),
    Door("engine.pack_coding._delete", "shares that an earlier attempt left, with copies there"),
)

_LOCKS: Final = (
    Door(
        "engine.locks.Locks.set_retention",
        "retention only grows; clearing it asks",
        asks=(Operation.SET_RETENTION, Operation.CLEAR_RETENTION),
    ),
    Door(
        "engine.locks.Locks.set_legal_hold",
        "one more hold",
        asks=(Operation.SET_LEGAL_HOLD,),
    ),
    Door(
        "engine.locks.Locks.clear_legal_hold",
        "by who placed it, or root",
        asks=(Operation.CLEAR_LEGAL_HOLD,),
    ),
    Door(
        "engine.locks.Locks.set_append_only",
        "never taken back",
        asks=(Operation.SET_APPEND_ONLY,),
    ),
    Door("engine.locks.Locks._put_lock", "the end of the three above", asked_by_callers=True),
    Door(
        "engine.lock_facts.changes_of_lock",
        "the facts of a lock",
        asked_by_callers=True,
    ),
    Door(
        "engine.pending_locks.PendingLocks._changes_when_closed",
        "with the lock, or where no lock waits for the file any more",
    ),
    Door(
        "engine.pending_locks.PendingLocks._changes_when_due",
        "with the lock, or where no lock waits for the file any more",
    ),
    Door(
        "engine.pending_locks.PendingLocks._changes_of_lock",
        "a default is added where the later date counts; append-only ends in a retention",
    ),
    Door(
        "engine.habit.Habit.extend",
        "the access time of a file whose retention has just grown",
    ),
    Door("engine.policies.Policies.put_policy", "only ever stricter", asked_by_callers=True),
    Door(
        "engine.locks.Locks.set_policy",
        "`check_stricter`; from file to s3 it is asked of all below",
        asks=(Operation.WEAKEN_SEMANTICS,),
    ),
    Door("engine.protection_marks.ProtectionMarks.note", "marks above only grow"),
    Door("engine.protection_marks.ProtectionMarks._note_unminded", "to what is found below"),
)

_KEYS: Final = (
    Door("engine.new_keys.NewKeys._complete", "under a number that no key ever had"),
    Door("engine.new_keys.NewKeys._bucket_key_nowait", "under a number that no key ever had"),
    Door(
        "engine.key_administration.KeyAdministration.rewrap",
        "versions of a ring key that no data key needs; one of a locked version is asked about",
        asks=(Operation.DESTROY_KEY,),
    ),
    Door("engine.key_administration._destroy", "the end of `rewrap`", asked_by_callers=True),
    Door(
        "engine.key_administration.KeyAdministration._rewrap_one",
        "the same data key, wrapped anew",
    ),
    Door("engine.key_administration._noted", "which key ring is the latest"),
)

_STORE: Final = (
    Door(
        "control.administration.change_settings",
        "Object Lock and versioning stay on; weaker semantics are asked of all that is locked",
        asks=(Operation.WEAKEN_SEMANTICS,),
    ),
    Door(
        "engine.former_placements.FormerPlacements.superseded",
        "the note of what a change of classes took the place of",
    ),
    Door(
        "engine.former_placements.FormerPlacements.made",
        "the same note, when a scrub found every copy that is wanted",
    ),
    Door("engine.opening.make_root", "a store that is being made"),
    Door(
        "engine.recovery.commit_recovered", "drops the draft of a file without a name after a crash"
    ),
    Door(
        "daemon.assembly._tidy_up",
        "drops the draft of a file without a name when the store is closed",
    ),
    Door(
        "daemon.journal_loss.go_on_without_journal",
        "where a journal that cannot be read is followed by a new one: what only it had is lost"
        " before, and the ledger notes who went on",
    ),
    Door(
        "daemon.journal_loss._make_database",
        "all the changes in the ledger, from the first, in an empty database",
    ),
    Door(
        "engine.ledger.LedgerKeeper.write",
        "the database's note of the last record of the ledger; says nothing of the data",
    ),
    Door("engine.durability.Durability._leave_segment", "where the journal begins"),
)

_ZONES: Final = (
    Door("daemon.zones.make_zone", "the mark of a zone that never became one, and has nothing yet"),
    Door(
        "control.zoning.remove_zone",
        "a zone and every copy in it; enough other zones have the bytes first",
        asks=(Operation.REMOVE_ZONE,),
    ),
    Door(
        "engine.healing.Healing._replace",
        "a pack that was removed while a copy of it was written",
    ),
    Door("engine.share_care._delete", "a share of a pack that was removed while it was made"),
    Door(
        "engine.zone_care._delete",
        "objects that no zone which is well has, in one that comes back",
    ),
    Door("packs.checkpoints.Checkpoints.write", "copies of the metadata that a newer one replaces"),
)

_REPLICATION: Final = (
    Door("engine.replication.Replication.put", "the rules, and what they hold since"),
    Door("engine.replication.Replication.delete", "the rules"),
    Door("engine.replication._with_status", "the status of a version, nothing else of it"),
    Door(
        "engine.replica_versions.ReplicaVersions._update",
        "tags and lock of a replica follow the source; a weaker lock is asked about here, too",
        asks=(Operation.CLEAR_RETENTION, Operation.CLEAR_LEGAL_HOLD),
    ),
    Door(
        "engine.replica_versions.ReplicaVersions._insert",
        "a version more, between those that are there; none of them changes",
    ),
    Door(
        "engine.replica_versions.ReplicaVersions._inode_with",
        "the file shows the version that was added, with that version's lock",
    ),
    Door(
        "engine.replica_receiving.Receiver._take_file",
        "attributes of a replica follow the source, where the gate was asked; append-only stays",
        asks=(Operation.CLEAR_APPEND_ONLY,),
    ),
    Door(
        "engine.replica_layouts._plan_cell",
        "intervals are cut at the new version's instant, and read as before on both sides",
    ),
    Door(
        "engine.replica_receiving.Receiver._keep",
        "a file without a version, and the key for its next blocks",
    ),
    Door(
        "engine.replica_arrivals.Arrivals.release",
        "that blocks had arrived for a file",
    ),
    Door(
        "engine.replica_arrivals.Arrivals._release",
        "layouts of no version; blocks that one uses stay",
    ),
    Door("engine.replica_arrivals._arrived", "a layout before every version"),
    Door("engine.replica_arrivals._put", "for which files blocks arrived"),
    Door("engine.replica_layouts.plan_layouts", "blocks count one use more, never less"),
    Door(
        "engine.replica_names.ReplicaNames._change",
        "names of replicas follow the source, where the gate was asked; versions stay",
    ),
    Door("engine.replica_role.ReplicaRole._put", "whose replica the store is"),
    Door("engine.replica_names.ReplicaNames._links_above", "links of a directory, as `_change`"),
    Door("engine.replica_names.ReplicaNames._count_links", "as many links as there are names"),
    Door("engine.replica_names.ReplicaNames._note", "times of a directory"),
)

DOORS: Final = (
    *(*_ATTRIBUTES, *_CONTENT, *_NAMES, *_REMOVAL, *_LIFECYCLE, *_CLASSES, *_LOCKS, *_KEYS),
    *(*_STORE, *_ZONES, *_REPLICATION),
)
