"""What the kernel tells of other processes."""

from pathlib import Path


def supplementary_groups(process_id: int) -> frozenset[int]:
    """Groups of the process beside its own; none if it is gone."""
    try:
        lines = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    groups = next((line for line in lines if line.startswith("Groups:")), "Groups:")
    return frozenset(int(word) for word in groups.split()[1:])
