"""The charts: bytes by class over time, versions of a file, and when locks end."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from s3fs_local.charts.drawing import (
    Look,
    begun,
    saying,
    unit_of,
    with_dates,
    with_legend,
)
from s3fs_local.control.results import (
    ClassHistory,
    LifecycleCurvePoint,
    LockCalendar,
    VersionListing,
)
from s3fs_local.rules.storage_classes import StorageClass

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by people who see some colours alike.
_COLOURS: Final = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#8a8f94")
_CLASS_COLOURS: Final = {
    name.value: colour for name, colour in zip(StorageClass, _COLOURS, strict=True)
}
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
    return figure


def versions_chart(listing: VersionListing, look: Look) -> "Figure":
    """The size of a file over time, a dot for each version, and when it was deleted."""
    figure, axes = begun("Size of each version", look, low=True)
    versions = sorted(listing.versions, key=lambda row: row.last_modified)
    if not versions:
        saying(axes, "There are no versions", look)
        return figure
    name, unit = unit_of(max(row.size for row in versions))
    points = [(row.last_modified, row.size / unit, row.object_lock_mode) for row in versions]
    gone = [(row.last_modified, 0.0, None) for row in listing.delete_markers]
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
    every = max(len(calendar.dates) // (5 if look.narrow else 12), 1)
    axes.set_xticks(list(places)[::every], calendar.dates[::every])
    axes.locator_params(axis="y", integer=True)
    with_legend(figure, look, columns=2)
    axes.set_ylabel("versions", color=look.ink)
    return figure


def _moments(times: Sequence[str]) -> Any:  # noqa: ANN401  numpy's own type says less
    from numpy import array  # noqa: PLC0415  comes with matplotlib

    return array([time.removesuffix("Z") for time in times], dtype="datetime64[ms]")
