"""Removing versions for good: which layouts, blocks and keys nothing needs any more.

A layout row [from, to) is needed while some remaining version's stamp lies in it. Rows are removed with
the last version that needs them, blocks with the last row, the data key with the last block.
"""

from collections import Counter

from s3fs_local.metadata.changes import (
    Change,
    CountBlock,
    RemoveBlock,
    RemoveCell,
    RemoveVersion,
    ReopenCell,
)
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.extents import blocks_of, decode_layout
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.versioning import Version


def plan_version_removal(metadata: Metadata, version: Version) -> list[Change]:
    """What removes the version and all that only it needed. Asks no policy gate: the caller did."""
    remaining = [
        other.stamp_ns
        for other in metadata.versions(version.ino)
        if other.stamp_ns != version.stamp_ns
    ]
    newest = max(remaining, default=0)
    changes: list[Change] = [RemoveVersion(version.ino, version.stamp_ns)]
    unused: Counter[int] = Counter()
    for cell, from_ns, to_ns, layout in metadata.cell_rows(version.ino):
        if not any(from_ns <= stamp < to_ns for stamp in remaining):
            changes.append(RemoveCell(version.ino, cell, from_ns))
            unused.update(blocks_of(decode_layout(layout)))
        elif from_ns <= newest < to_ns != OPEN_NS:
            changes.append(ReopenCell(version.ino, cell, from_ns))
    for block_id, count in unused.items():
        block = metadata.block(block_id)
        if block is not None and block.refs > count:
            changes.append(CountBlock(block_id, -count))
        else:
            changes.append(RemoveBlock(block_id))
    return changes
