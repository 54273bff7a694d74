"""Charts, drawn by matplotlib; the only module that knows it."""

import importlib.util
from pathlib import Path
from typing import Final

from s3fs_local.control.results import LifecycleCurvePoint
from s3fs_local.errors import InvalidArgument, Unsupported
from s3fs_local.rules.storage_classes import StorageClass

FORMATS: Final = (".png", ".svg")
GB_BYTES: Final = 1 << 30


def check_can_draw(path: Path) -> None:
    """A chart can be drawn into a file of that name.

    Raises:
        InvalidArgument: its name says no format that can be drawn.
        Unsupported: matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise InvalidArgument(f"{path} must end in {' or '.join(FORMATS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise Unsupported("charts need matplotlib: pip install 's3fs-local[charts]'")


def draw_curve(curve: list[LifecycleCurvePoint], path: Path) -> None:
    """The file shows how many bytes each class holds, day by day, one above the other."""
    from matplotlib.figure import Figure  # noqa: PLC0415
    from numpy import array  # noqa: PLC0415

    days = array([point.date for point in curve], dtype="datetime64[D]")
    held = [{found.storage_class: found.bytes for found in point.classes} for point in curve]
    names = [name.value for name in StorageClass if any(day.get(name.value) for day in held)]
    most = max((sum(day.values()) for day in held), default=0)
    unit = GB_BYTES if most >= GB_BYTES else GB_BYTES >> 10
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    if names:
        rows = [[day.get(name, 0) / unit for day in held] for name in names]
        axes.stackplot(days, rows, labels=names, step="post")
        figure.legend(loc="outside right upper", reverse=True)
    axes.set_ylabel("GiB" if unit == GB_BYTES else "MiB")
    axes.set_title("What each storage class will hold, by today's lifecycle rules")
    axes.margins(x=0)
    axes.set_ylim(bottom=0)
    figure.savefig(path)
