-- The facts of one store, as SQLite tables (schema version 1).
--
-- Columns have the names and the order of the fields of the values they hold (rules/*.py). Instants
-- are stamps of the trusted clock in nanoseconds. Intervals are half open, [from_ns, to_ns); one that
-- has not ended has to_ns = 9223372036854775807 (OPEN_NS). Sizes and offsets are bytes.
-- `blob` columns called msgpack hold the value in MessagePack, NULL where it is None or empty.

-- One row a file, directory, symlink or special file; it outlives its names.
CREATE TABLE inode (
    ino                INTEGER PRIMARY KEY, -- never used twice
    mode               INTEGER NOT NULL,    -- type and permission bits, as st_mode
    uid                INTEGER NOT NULL,
    gid                INTEGER NOT NULL,
    rdev               INTEGER NOT NULL,    -- device number of a device file
    nlink              INTEGER NOT NULL,    -- directories: 2 + subdirectories; 0 = no live name
    size               INTEGER NOT NULL,    -- of the current version; symlinks: length of the target
    allocated          INTEGER NOT NULL,    -- bytes that hold data, holes excluded
    atime_ns           INTEGER NOT NULL,
    mtime_ns           INTEGER NOT NULL,
    ctime_ns           INTEGER NOT NULL,
    btime_ns           INTEGER NOT NULL,
    parent             INTEGER NOT NULL,    -- directories: the directory that holds it; else 0
    version_ns         INTEGER NOT NULL,    -- stamp of the current version; 0 = nothing committed yet
    key_id             INTEGER NOT NULL,    -- data key for new blocks; 0 = none made yet
    append_only        INTEGER NOT NULL,    -- 0, 1 = APPENDABLE, 2 = SEALING
    lock               BLOB,                -- msgpack Lock of the current version
    policy             BLOB,                -- msgpack DirectoryPolicy: what files below inherit
    protected_until_ns INTEGER NOT NULL,    -- directories: nothing below is protected afterwards
    target             BLOB NOT NULL,       -- symlinks: where to; else empty
    xattrs             BLOB,                -- msgpack map, name to value
    storage_class      TEXT NOT NULL        -- files: of the current version; directories: of files
                                            -- made below; empty = STANDARD, or as above
) STRICT;

-- What attributes an inode had before they changed: one row a change.
CREATE TABLE kept_attributes (
    ino      INTEGER NOT NULL,
    to_ns    INTEGER NOT NULL, -- they held until this instant (exclusive)
    mode     INTEGER NOT NULL,
    uid      INTEGER NOT NULL,
    gid      INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    xattrs   BLOB,             -- msgpack map, name to value
    PRIMARY KEY (ino, to_ns)
) STRICT, WITHOUT ROWID;

-- Names over time: `name` in directory `parent` meant `ino` during [from_ns, to_ns).
CREATE TABLE entry (
    parent   INTEGER NOT NULL,
    name     BLOB NOT NULL,    -- 1 to 255 bytes
    from_ns  INTEGER NOT NULL,
    ino      INTEGER NOT NULL, -- 0 = delete marker
    to_ns    INTEGER NOT NULL,
    ending   INTEGER NOT NULL, -- why it ended (Ending); 0 while it is live
    salt     INTEGER NOT NULL, -- delete markers: the random half of their version id
    is_null  INTEGER NOT NULL, -- delete markers: 1 = S3's `null` marker
    uid      INTEGER NOT NULL, -- who made it
    ended_by INTEGER NOT NULL, -- uid of who ended it
    PRIMARY KEY (parent, name, from_ns)
) STRICT, WITHOUT ROWID;

-- readdir (to_ns = OPEN_NS, by from_ns) and a directory at an instant (to_ns after it). Without the
-- delete markers: a directory may hold a million of them, and neither question is about them.
CREATE INDEX entry_by_end ON entry (parent, to_ns, from_ns) WHERE ino <> 0;

-- Every name an inode ever had.
CREATE INDEX entry_by_ino ON entry (ino, from_ns) WHERE ino <> 0;

-- What began when in the whole store, and how many names were removed.
CREATE INDEX entry_by_start ON entry (from_ns, ino);

-- What ended when because somebody renamed or removed it (Ending MOVED, DELETED, EXPIRED, LAPSED).
CREATE INDEX entry_by_leaving ON entry (to_ns) WHERE ending IN (1, 2, 5, 6);

-- Committed contents of files.
CREATE TABLE version (
    ino           INTEGER NOT NULL,
    stamp_ns      INTEGER NOT NULL, -- when it was committed; unique in the store
    salt          INTEGER NOT NULL, -- 35 random bits: the second half of the version id
    size          INTEGER NOT NULL,
    is_null       INTEGER NOT NULL, -- 1 = S3's `null` version
    etag          BLOB NOT NULL,    -- 16 bytes; changes with content
    stored_bytes  INTEGER NOT NULL, -- sealed bytes that this version added
    storage_class TEXT NOT NULL,
    lock          BLOB,             -- msgpack Lock
    tags          BLOB,             -- msgpack map, key to value
    origin        INTEGER NOT NULL, -- what made it (Origin)
    uid           INTEGER NOT NULL, -- who committed it
    replication   TEXT NOT NULL,    -- S3's replication status; empty = not to be replicated
    key_ids       BLOB,             -- msgpack list: data keys its content may need, newest last
    tier          TEXT NOT NULL,    -- of INTELLIGENT_TIERING; empty for other classes
    accessed_ns   INTEGER NOT NULL, -- of INTELLIGENT_TIERING: last read, or the start of watching
    retrieval     BLOB,             -- msgpack Retrieval of an archived version
    PRIMARY KEY (ino, stamp_ns)
) STRICT, WITHOUT ROWID;

-- What was committed when in the whole store, and how much of it, without a look at the rows.
CREATE INDEX version_by_time ON version (stamp_ns, size, storage_class);

-- Versions that nobody read for long.
CREATE INDEX version_by_access ON version (tier, accessed_ns) WHERE tier <> '';

-- Versions that are being retrieved from an archive, or were for a while.
CREATE INDEX version_by_retrieval ON version (ino, stamp_ns) WHERE retrieval IS NOT NULL;

-- Versions with a lock.
CREATE INDEX version_by_lock ON version (ino, stamp_ns) WHERE lock IS NOT NULL;

-- Layouts over time: where the bytes of one cell (1 MiB) of a file were during [from_ns, to_ns).
-- The open layout of a cell is its newest row; a cell without a row at an instant is a hole.
CREATE TABLE cell (
    ino     INTEGER NOT NULL,
    cell    INTEGER NOT NULL, -- offset in the file / CELL_BYTES
    from_ns INTEGER NOT NULL,
    to_ns   INTEGER NOT NULL,
    extents BLOB NOT NULL,    -- encoded list of extents (rules/extents.py)
    PRIMARY KEY (ino, cell, from_ns)
) STRICT, WITHOUT ROWID;

-- Sealed runs of bytes and where they lie.
CREATE TABLE block (
    block_id      INTEGER PRIMARY KEY, -- never used twice
    key_id        INTEGER NOT NULL,    -- the data key that seals it
    offset        INTEGER NOT NULL,    -- position in the file where it was written; bound by the seal
    length        INTEGER NOT NULL,    -- plaintext bytes
    pack_id       INTEGER NOT NULL,
    pack_offset   INTEGER NOT NULL,
    sealed_length INTEGER NOT NULL,
    digest        BLOB NOT NULL,       -- BLAKE3-256 of the sealed bytes
    refs          INTEGER NOT NULL CHECK (refs >= 0), -- cell layouts that use it
    codec         INTEGER NOT NULL,    -- form of the sealed bytes: 0 = plain, else compressed
    plain_digest  BLOB NOT NULL        -- compressed: BLAKE3-256 of the plain form; else empty
) STRICT;

-- Inodes with a block that may lie elsewhere than the classes of their versions want.
CREATE TABLE unsettled (
    ino INTEGER PRIMARY KEY
) STRICT;

-- Whose layouts use blocks of which other inode (or did once).
CREATE TABLE sharing (
    ino    INTEGER NOT NULL,
    source INTEGER NOT NULL,
    PRIMARY KEY (ino, source)
) STRICT, WITHOUT ROWID;

CREATE INDEX sharing_by_source ON sharing (source, ino);

-- The blocks of a pack in the order of their bytes; sealed_length makes totals an index-only scan.
CREATE INDEX block_by_place ON block (pack_id, pack_offset, sealed_length);

-- Whether a data key still seals anything.
CREATE INDEX block_by_key ON block (key_id);

-- Data keys, wrapped by the key ring. A removed row is a destroyed key.
CREATE TABLE data_key (
    key_id  INTEGER PRIMARY KEY, -- never used twice
    wrapped BLOB NOT NULL
) STRICT;

-- Packs that exist in some zone.
CREATE TABLE pack (
    pack_id   INTEGER PRIMARY KEY, -- never used twice
    placement TEXT NOT NULL        -- the storage class it was written for
) STRICT;

-- Files that wait for the lock of their directory.
CREATE TABLE pending_lock (
    ino    INTEGER PRIMARY KEY,
    due_ns INTEGER NOT NULL -- OPEN_NS = when the last writer has closed it
) STRICT;

-- What is due, without looking at what is not.
CREATE INDEX pending_lock_by_due ON pending_lock (due_ns);

-- Settings that are not at their default.
CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL -- JSON
) STRICT, WITHOUT ROWID;

-- What lifecycle has to look at, and from when on. Without rules it is not kept.
CREATE TABLE agenda (
    place    INTEGER NOT NULL, -- a directory; an inode where `name` is empty
    name     BLOB NOT NULL,
    at_ns    INTEGER NOT NULL,
    acted_ns INTEGER NOT NULL, -- when lifecycle last changed something there; 0 = never
    PRIMARY KEY (place, name)
) STRICT, WITHOUT ROWID;

-- What is due, the longest first.
CREATE INDEX agenda_by_time ON agenda (at_ns, place, name);

-- What has to be told to destinations of replication, and what failed to be.
CREATE TABLE task (
    destination TEXT NOT NULL,    -- name of a remote; empty = no rule was asked yet
    ino         INTEGER NOT NULL,
    stamp_ns    INTEGER NOT NULL, -- of the version; 0 = names and attributes
    since_ns    INTEGER NOT NULL, -- the first change that was not told yet
    changed_ns  INTEGER NOT NULL, -- the last one
    size        INTEGER NOT NULL, -- sealed bytes that the version added
    rule        TEXT NOT NULL,
    reason      TEXT NOT NULL,    -- why it failed; empty = it is pending
    if_held     INTEGER NOT NULL, -- 1 = only if the destination has the version
    has_names   INTEGER NOT NULL, -- 1 = names changed, too
    PRIMARY KEY (destination, ino, stamp_ns)
) STRICT, WITHOUT ROWID;

-- What is next.
CREATE INDEX task_by_change ON task (destination, changed_ns, ino, stamp_ns) WHERE reason = '';

-- What failed.
CREATE INDEX task_failed ON task (destination, ino, stamp_ns) WHERE reason <> '';

-- How a file stands.
CREATE INDEX task_by_ino ON task (ino, destination, stamp_ns);

-- The oldest of each rule.
CREATE INDEX task_by_age ON task (destination, rule, since_ns) WHERE reason = '';

-- How much of it there is, in sums that every change of a task keeps: there may be millions.
CREATE TABLE backlog (
    destination TEXT NOT NULL,
    rule        TEXT NOT NULL,
    failed      INTEGER NOT NULL, -- 1 = those that failed
    operations  INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    PRIMARY KEY (destination, rule, failed)
) STRICT, WITHOUT ROWID;

-- Inodes and blocks that are copies of another store's.
CREATE TABLE replica (
    source BLOB NOT NULL,    -- id of the other store
    kind   INTEGER NOT NULL, -- 1 = inode, 2 = block
    there  INTEGER NOT NULL, -- its number in the other store
    here   INTEGER NOT NULL, -- and in this one
    PRIMARY KEY (source, kind, there)
) STRICT, WITHOUT ROWID;

-- What something is a copy of.
CREATE INDEX replica_by_copy ON replica (kind, here);

-- One row, written by every commit. The numbers are the highest ever used: rows may be removed, but
-- their numbers are not given out again.
CREATE TABLE state (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL, -- everything in the journal before this is in the tables
    ino      INTEGER NOT NULL,
    block_id INTEGER NOT NULL,
    key_id   INTEGER NOT NULL,
    pack_id  INTEGER NOT NULL,
    stamp_ns INTEGER NOT NULL
) STRICT;

INSERT INTO state VALUES (1, 0, 0, 0, 0, 0, 0);
