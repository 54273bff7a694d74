"""The charts: bytes by class over time, versions of a file, and when locks end."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from s3fs_local.charts.drawing import (
    Look,
    begun,
    described,
    saying,
    unit_of,
    with_dates,
    with_legend,
)
from s3fs_local.control.results.classes import ClassHistory
from s3fs_local.control.results.lifecycle import LifecycleCurvePoint
from s3fs_local.control.results.locks import LockCalendar
from s3fs_local.control.results.versions import VersionListing, VersionRow
from s3fs_local.rules.printing import human_size
from s3fs_local.rules.storage_classes import StorageClass

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by people who see some colours alike.
_COLOURS: Final = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#8a8f94")
_CLASS_COLOURS: Final = {
    name.value: colour for name, colour in zip(StorageClass, _COLOURS, strict=True)
}
DOTS_MAX: Final = 1000
"""More would be a blot, and a picture of many megabytes."""
_MODE_COLOURS: Final = {"COMPLIANCE": "#0072B2", "GOVERNANCE": "#E69F00"}


def class_history_chart(history: ClassHistory, look: Look) -> "Figure":
    """How many bytes each class held, one above the other."""
    held = [{one.storage_class: one.bytes for one in point.classes} for point in history.points]
    times = [point.time for point in history.points]
    whose = "all versions" if history.purged_too else "versions of now"
    # A point tells the end of its step.
    return _stacked(times, held, f"What each storage class held, {whose}", look, step="pre")


def plan_chart(curve: Sequence[LifecycleCurvePoint], look: Look) -> "Figure":
    """How many bytes each class will hold, day by day, one above the other."""
    held = [{found.storage_class: found.bytes for found in point.classes} for point in curve]
    title = "What each storage class will hold, by today's lifecycle rules"
    return _stacked([point.date for point in curve], held, title, look, step="post")


def _stacked(
    times: Sequence[str],
    held: Sequence[Mapping[str, int]],
    title: str,
    look: Look,
    *,
    step: Literal["pre", "post"],
) -> "Figure":
    figure, axes = begun(title, look)
    names = [name.value for name in StorageClass if any(one.get(name.value) for one in held)]
    if not names:
        saying(axes, "Nothing is stored", look)
        return figure
    name, unit = unit_of(max(sum(one.values()) for one in held))
    rows = [[one.get(kind, 0) / unit for one in held] for kind in names]
    colours = [_CLASS_COLOURS[kind] for kind in names]
    axes.stackplot(_moments(times), rows, labels=names, colors=colours, step=step)
    with_legend(figure, look, columns=4)
    with_dates(axes, look)
    axes.set_ylabel(name, color=look.ink)
    axes.margins(x=0)
    axes.set_ylim(bottom=0)
    described(figure, f"{_held_then(times[0], held[0])}; {_held_then(times[-1], held[-1])}.")
    return figure


def _held_then(time: str, held: Mapping[str, int]) -> str:
    each = [f"{name} {human_size(size)}" for name, size in sorted(held.items()) if size]
    return f"On {time[:10]} {', '.join(each) or 'nothing'}"


def versions_chart(listing: VersionListing, look: Look) -> "Figure":
    """The size of a file over time, a dot for each version, and when it was deleted."""
    every = sorted(listing.versions, key=lambda row: row.last_modified)
    versions = _thinned(every)
    title = "Size of each version"
    if len(versions) < len(every):
        title = f"Size of {len(versions)} of {len(every)} versions, the largest and smallest"
    figure, axes = begun(title, look, low=True)
    if not versions:
        saying(axes, "There are no versions", look)
        return figure
    described(figure, _in_words(every, len(listing.delete_markers)))
    name, unit = unit_of(max(row.size for row in versions))
    points = [(row.last_modified, row.size / unit, row.object_lock_mode) for row in versions]
    markers = listing.delete_markers
    gone = [(row.last_modified, 0.0, None) for row in markers[:: len(markers) // DOTS_MAX + 1]]
    line = sorted([*points, *gone])
    moments = _moments([moment for moment, _, _ in line])
    axes.step(moments, [size for _, size, _ in line], where="post", color="#56B4E9", linewidth=1.5)
    locked = [point for point in points if point[2]]
    free = [point for point in points if not point[2]]
    for chosen, colour, mark, label in (
        (free, "#0072B2", "o", "version"),
        (locked, "#E69F00", "s", "version under a lock"),
        (gone, "#D55E00", "X", "deleted"),
    ):
        if chosen:
            axes.scatter(
                _moments([moment for moment, _, _ in chosen]),
                [size for _, size, _ in chosen],
                color=colour,
                marker=mark,
                label=label,
                zorder=3,
            )
    with_legend(figure, look, columns=3)
    with_dates(axes, look)
    axes.set_ylabel(name, color=look.ink)
    axes.set_ylim(0, max(size for _, size, _ in line) * 1.12 or 1)
    return figure


def _thinned(versions: Sequence[VersionRow]) -> Sequence[VersionRow]:
    """So many that a picture can show them: of every so many, the smallest and the largest."""
    if len(versions) <= DOTS_MAX:
        return versions
    run = 2 * len(versions) // DOTS_MAX + 1
    chosen = []
    for start in range(0, len(versions), run):
        some = versions[start : start + run]
        ends = {min(some, key=_size).version_id, max(some, key=_size).version_id}
        chosen += [row for row in some if row.version_id in ends]
    return chosen


def _size(row: VersionRow) -> int:
    return row.size


def _in_words(versions: Sequence[VersionRow], deleted: int) -> str:
    sizes = [row.size for row in versions]
    locked = sum(row.object_lock_mode is not None for row in versions)
    return (
        f"{len(versions)} versions from {versions[0].last_modified[:10]} to "
        f"{versions[-1].last_modified[:10]}, of {human_size(min(sizes))} to "
        f"{human_size(max(sizes))}, the last of {human_size(sizes[-1])}; {locked} under a lock; "
        f"deleted {deleted} times."
    )


def lock_chart(calendar: LockCalendar, look: Look) -> "Figure":
    """In how many versions a lock ends, day by day, month by month or year by year."""
    figure, axes = begun(f"Locks that end, by {calendar.unit}", look)
    if not calendar.dates:
        saying(axes, "No lock has a date at which it ends", look)
        return figure
    below = [0] * len(calendar.dates)
    places = range(len(calendar.dates))
    for mode, colour in _MODE_COLOURS.items():
        counts = [
            sum(row.versions for row in calendar.ends if (row.date, row.mode) == (date, mode))
            for date in calendar.dates
        ]
        if any(counts):
            axes.bar(places, counts, bottom=below, color=colour, label=mode, width=0.8)
        below = [low + count for low, count in zip(below, counts, strict=True)]
    described(figure, "; ".join(_ends_in_words(calendar)) + ".")
    every = max(len(calendar.dates) // (5 if look.narrow else 12), 1)
    axes.set_xticks(list(places)[::every], calendar.dates[::every])
    axes.locator_params(axis="y", integer=True)
    with_legend(figure, look, columns=2)
    axes.set_ylabel("versions", color=look.ink)
    return figure


def _ends_in_words(calendar: LockCalendar) -> list[str]:
    words = []
    for mode in _MODE_COLOURS:
        ends = [row for row in calendar.ends if row.mode == mode]
        if ends:
            count = sum(row.versions for row in ends)
            dates = [row.date for row in ends]
            words.append(f"{mode}: {count} versions, from {min(dates)} to {max(dates)}")
    return words


def _moments(times: Sequence[str]) -> Any:  # noqa: ANN401  numpy's own type says less
    from numpy import array  # noqa: PLC0415  comes with matplotlib

    return array([time.removesuffix("Z") for time in times], dtype="datetime64[ms]")
