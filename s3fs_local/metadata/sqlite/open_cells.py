"""The layouts that hold now, of cells that were asked for lately."""

from collections import OrderedDict
from typing import Final


class OpenCells:
    """Encoded open layouts, b"" for a hole; those that were asked for first go first.

    Each read asks for one, and a write at a place that holds data for three.
    """

    def __init__(self, at_most: int) -> None:
        self._at_most: Final = at_most
        self._layouts: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self.get: Final = self._layouts.get
        self.clear: Final = self._layouts.clear

    def remember(self, ino: int, cell: int, layout: bytes) -> None:
        """The cell is laid out so."""
        layouts = self._layouts
        layouts[ino, cell] = layout
        if len(layouts) > self._at_most:
            layouts.popitem(last=False)

    def forget(self, ino: int, cell: int) -> None:
        """The layout has changed."""
        self._layouts.pop((ino, cell), None)
