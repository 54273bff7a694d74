"""The lines of the scorecard, in the order of docs/reliability.md."""

import shutil
from typing import Final

import trio

from tests.campaigns import (
    admin_kills,
    bit_flips,
    endings,
    faults,
    flipped_bytes,
    fsck_kills,
    full_disk,
    full_quota,
    full_zone,
    fuzz,
    hostile_sizes,
    idle,
    kills,
    kills_at_work,
    power_cuts,
    replication,
    scripts,
    security,
    shares,
    simulation,
    soak,
)
from tests.campaigns.line import Failed, Figures, Line, Piece
from tests.campaigns.loop_disks import lacks_loop_disks
from tests.campaigns.zones import flip_bits, take_zones_away
from tests.zones.matrix import cells, run_cell

MATRIX_PIECE: Final = 16
"""Cells of the zone matrix at once. The n-th piece has a seed n greater, so its cells follow."""


def zone_flips(piece: Piece) -> Figures:
    """So many bits in all zones but one; a scrub finds and mends them."""
    done = flip_bits(piece.folder, seed=piece.seed, flips=piece.size, megabytes=2, say=unheard)
    return {"pieces mended": done.pieces, "wrong bytes": 0}


def zone_loss(piece: Piece) -> Figures:
    """So often a zone is taken away and put back."""
    done = take_zones_away(piece.folder, seed=piece.seed, times=piece.size, say=unheard)
    return {"files acknowledged": done.acknowledged, "lost": 0}


def zone_matrix(piece: Piece) -> Figures:
    """So many cells: the first, those after it, and so on; with the whole matrix each once."""
    everything = cells(piece.seed)
    for number in range(piece.size):
        cell = everything[(piece.seed * MATRIX_PIECE + number) % len(everything)]
        place = piece.folder / str(number)
        place.mkdir()
        try:
            trio.run(run_cell, place, cell)
        except Exception as error:
            raise Failed(f"{cell}: {error!r}") from error
        shutil.rmtree(place)
    return {"lost": 0}


def unheard(_words: str) -> None:
    """The figures are enough."""


LINES: Final = {
    line.name: line
    for line in (
        Line(
            "posix",
            "programs cannot tell the mount from a disk: pjdfstest",
            "suites",
            *(1, 1, 1),
            scripts.posix,
            scripts.lacks_pjdfstest,
        ),
        Line(
            "random-io",
            "every byte is where a copy in memory has it, through every way to read and write",
            "operations",
            *(3000, 1_000_000, 20_000),
            scripts.random_io,
        ),
        Line(
            "model",
            "no sequence of system calls tells the mount from ext4, nor versions from a reference",
            "sequences",
            *(40, 10_000, 1000),
            scripts.model,
        ),
        Line(
            "simulation",
            "the engine does what its reference says, whatever the store does by itself meanwhile",
            "operations",
            *(6000, 1_000_000, 15_000),
            simulation.run,
        ),
        Line(
            "kills",
            "nothing acknowledged is lost when the daemon is killed; a mount is all it takes",
            "kills",
            *(5, 1000, 10),
            kills.run,
        ),
        Line(
            "kills-at-work",
            "nor when it is killed at work: moving, collecting, scrubbing, repairing, rewrapping",
            "kills",
            *(3, 1000, 20),
            kills_at_work.run,
        ),
        Line(
            "endings",
            "SIGTERM makes everything durable, whatever was not synced and whatever is going on",
            "MiB not synced",
            *(24, 8192, 1024),
            endings.run,
        ),
        Line(
            "fsck-kills",
            "fsck that is killed while it repairs or rebuilds is begun again, and loses nothing",
            "kills",
            *(5, 1000, 20),
            fsck_kills.run,
        ),
        Line(
            "admin-kills",
            "a command over keys, zones, settings or locks that is killed at any call is whole",
            "states at most",
            *(6, admin_kills.STATES_MAX * len(admin_kills.CELLS), admin_kills.STATES_MAX),
            admin_kills.run,
        ),
        Line(
            "replication",
            "another region gets every version, whoever is killed and whatever the link does",
            "operations",
            *(60, 10_000, 10_000),
            replication.run,
        ),
        Line(
            "power-cuts",
            "nothing acknowledged is lost when the power goes; a mount is all it takes",
            "states",
            *(20, 2000, 10),
            power_cuts.run_piece,
            lambda: lacks_loop_disks(*power_cuts.FILESYSTEMS),
        ),
        Line(
            "faults",
            "a system call that fails is told, loses nothing acknowledged and ends no daemon",
            "faults",
            *(8, 2000, 20),
            faults.run,
        ),
        Line(
            "full-disk",
            "a full disk refuses what does not fit, nothing else, and no longer than it is full",
            "cycles",
            *(12, 100, 20),
            full_disk.run,
            lambda: lacks_loop_disks("ext4"),
        ),
        Line(
            "full-quota",
            "a quota that is used up is told as one, refuses what does not fit and nothing else",
            "cycles",
            *(12, 100, 20),
            full_quota.run_cycles,
            full_quota.lacks_quotas,
        ),
        Line(
            "bit-flips",
            "a bit that changed on the disk is never served, and costs no more than an error",
            "flips",
            *(10, 10_000, 50),
            bit_flips.run,
        ),
        Line(
            "zone-flips",
            "a bit that changed in some zones is found and mended from another",
            "flips",
            *(200, 10_000, 5000),
            zone_flips,
        ),
        Line(
            "zone-loss",
            "a zone may go while files are written, and comes back whole",
            "times",
            *(5, 100, 10),
            zone_loss,
        ),
        Line(
            "zone-full",
            "the disk of one zone may fill up: nobody but status notices, and it comes back whole",
            "cycles",
            *(4, 100, 20),
            full_zone.run_cycles,
            lambda: lacks_loop_disks("ext4"),
        ),
        Line(
            "share-loss",
            "as many zones as shares may be lost, in any mixture of ways: every file reads",
            "rounds",
            *(5, 1000, 10),
            shares.run,
        ),
        Line(
            "failover",
            "a region is lost, another takes over, and on the way back nothing is missing",
            "rehearsals",
            *(1, 1, 1),
            scripts.failover,
        ),
        Line(
            "zone-matrix",
            "whatever happens to a zone, during whatever operation: nothing acknowledged is lost",
            "cells",
            *(32, len(cells(0)), MATRIX_PIECE),
            zone_matrix,
        ),
        Line(
            "move-kills",
            "a move between storage classes that is killed loses nothing and keeps nothing twice",
            "kills",
            *(2, 1000, 20),
            scripts.move_kills,
        ),
        Line(
            "lifecycle-kills",
            "a run of lifecycle that is killed ends as one that was left alone",
            "kills",
            *(1, 1000, 20),
            scripts.lifecycle_kills,
        ),
        Line(
            "attack",
            "no operation by anybody, in any order, gets the better of a lock",
            "steps",
            *(3000, 1_000_000, 20_000),
            scripts.attack,
        ),
        Line(
            "hostile-sizes",
            "a file of any size costs what was written to it",
            "files",
            *(50, 10_000, 200),
            hostile_sizes.run,
        ),
        Line(
            "fuzz",
            "what is parsed is understood or refused by a named error, within a second",
            "inputs each",
            *(10_000, 5_000_000, 50_000),
            fuzz.run,
        ),
        Line(
            "fuzz-guided",
            "the same, guided by coverage",
            "inputs each",
            *(20_000, 10_000_000, 100_000),
            fuzz.run_guided,
            fuzz.lacks_atheris,
        ),
        Line(
            "soak",
            "a mount that works for days needs no more memory, descriptors and disk than before",
            "seconds",
            *(10, 14_400, 14_400),
            soak.run,
        ),
        Line(
            "idle",
            "a mount that nobody uses lets the machine sleep",
            "seconds",
            *(20, 600, 600),
            idle.run,
        ),
        Line(
            "security",
            "no key and no content leaks, and others find every door closed",
            "messages of garbage",
            *(300, 20_000, 1000),
            security.run,
        ),
        Line(
            "flipped-bytes",
            "no stored byte can be changed, exchanged, cut off or put back and be read as content",
            "places",
            *(150, 10_000, 500),
            flipped_bytes.run,
        ),
    )
}
