"""Drawing by matplotlib; this package is the only place that knows it.

A chart is drawn for a light or a dark page, and wide or narrow: a picture does not reflow.
"""

import importlib.util
import io
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from s3fs_local.errors import InvalidArgument, Unsupported

if TYPE_CHECKING:  # importing it takes half a second
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS: Final = (".png", ".svg")
UNITS: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("bytes", 1))


class Look(Struct, frozen=True):
    """Where a chart will be seen."""

    dark: bool = False
    narrow: bool = False

    @property
    def ink(self) -> str:
        """Of lines and letters."""
        return "#e7e9eb" if self.dark else "#1d2126"

    @property
    def quiet(self) -> str:
        """Of lines that only guide the eye."""
        return "#4a525a" if self.dark else "#d3d7db"

    @property
    def paper(self) -> str:
        """What it is drawn on."""
        return "#1b1f23" if self.dark else "#ffffff"


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def check_can_draw(path: Path) -> None:
    """A chart can be drawn into a file of that name.

    Raises:
        InvalidArgument: its name says no format that can be drawn.
        Unsupported: matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise InvalidArgument(f"{path} must end in {' or '.join(FORMATS)}")
    if not can_draw():
        raise Unsupported("charts need matplotlib: pip install 's3fs-local[charts]'")


def begun(title: str, look: Look, *, low: bool = False) -> "tuple[Figure, Axes]":
    """An empty chart with its title."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    size = (4.6, 3.4 if low else 4.2) if look.narrow else (10, 3 if low else 4.5)
    figure = Figure(figsize=size, layout="constrained", facecolor=look.paper)
    axes: Axes = figure.subplots()
    axes.set_facecolor(look.paper)
    axes.set_title(title, color=look.ink, loc="left", fontsize=11 if look.narrow else 12, wrap=True)
    axes.tick_params(colors=look.ink)
    axes.grid(visible=True, axis="y", color=look.quiet, linewidth=0.6)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name in {"left", "bottom"})
        spine.set_color(look.ink)
    return figure, axes


def described(figure: "Figure", words: str) -> None:
    """What the chart shows, in words: for those who cannot see it."""
    figure.set_label(words)


def with_legend(figure: "Figure", look: Look, *, columns: int) -> None:
    """What the colours mean, below the chart."""
    figure.legend(
        loc="outside lower left",
        ncols=2 if look.narrow else columns,
        frameon=False,
        labelcolor=look.ink,
        fontsize=9,
    )


def with_dates(axes: "Axes", look: Look) -> None:
    """As few dates as can be read, in the shortest form."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415

    # The two classes are untyped yet.
    locator = AutoDateLocator(minticks=3, maxticks=5 if look.narrow else 9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set_color(look.ink)


def saying(axes: "Axes", words: str, look: Look) -> None:
    """Where there is nothing to draw, the chart says so."""
    described(axes.figure.figure, f"{words}.")
    axes.text(0.5, 0.5, words, ha="center", va="center", color=look.ink, transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])


def unit_of(most: int) -> tuple[str, int]:
    """The unit in which so many bytes are a number people read."""
    return next((unit for unit in UNITS if most >= unit[1]), UNITS[-1])


def encoded(figure: "Figure", ending: str) -> bytes:
    """The chart as a file whose name ends so; the same chart gives the same bytes.

    What it shows is in it as words, too: an SVG has a title and a description that screen readers
    read, a PNG has them as its text.
    """
    from matplotlib import rc_context  # noqa: PLC0415

    title, words = figure.axes[0].get_title(loc="left"), str(figure.get_label())
    buffer = io.BytesIO()
    metadata: dict[str, str | None] = {"Title": title, "Description": words}
    if ending == ".svg":
        metadata = {"Date": None}
    with rc_context({"svg.hashsalt": "s3fs_local"}):
        figure.savefig(
            buffer, format=ending[1:], metadata=metadata, facecolor=figure.get_facecolor()
        )
    drawn = buffer.getvalue()
    return _with_words(drawn, title, words) if ending == ".svg" else drawn


def _with_words(svg: bytes, title: str, words: str) -> bytes:
    before, start, rest = svg.partition(b"<svg ")
    attributes, end, content = rest.partition(b">")
    told = f"<title id='title'>{escape(title)}</title><desc id='words'>{escape(words)}</desc>"
    labels = b"role='img' aria-labelledby='title words' "
    return b"".join((before, start, labels, attributes, end, told.encode(), content))


def save(figure: "Figure", path: Path) -> None:
    """The file is the chart.

    Raises:
        InvalidArgument: it cannot be written there.
    """
    try:
        path.write_bytes(encoded(figure, path.suffix.lower()))
    except OSError as error:
        raise InvalidArgument(f"{path} cannot be written: {error.strerror}") from error
