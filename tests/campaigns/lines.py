"""The lines of the scorecard, in the order of docs/reliability.md."""

from typing import Final

from tests.campaigns import (
    bit_flips,
    faults,
    flipped_bytes,
    full_disk,
    fuzz,
    hostile_sizes,
    kills,
    power_cuts,
    scripts,
    security,
    simulation,
    soak,
)
from tests.campaigns.line import Line
from tests.campaigns.loop_disks import lacks_loop_disks

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
            "the engine does what its reference says, crashes and power cuts included",
            "histories",
            *(300, 40_000, 1000),
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
            "bit-flips",
            "a bit that changed on the disk is never served, and costs no more than an error",
            "flips",
            *(10, 10_000, 50),
            bit_flips.run,
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
            "a mount that works for days needs no more memory and descriptors than after an hour",
            "steps",
            *(1000, 1_000_000, 20_000),
            soak.run,
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
