"""Style of figures for slides and papers: sizes, and one colour and line style a pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from mlr.core.palette import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Style(NamedTuple):
    """Colour and line style of a curve."""

    colour: str
    dash: str

    @property
    def line(self) -> dict[str, Any]:
        """Keywords of `axes.plot`."""
        return {"color": self.colour, "linestyle": self.dash}


PAIRS = {
    "clipped_linear+se": Style(GREY, ":"),
    "sigmoid+se": Style(VERMILLION, "--"),
    "sigmoid+bce": Style(BLUE, "-"),
    "linear+se": Style(GREEN, "-."),
    "clipped_linear+bce": Style(ORANGE, ":"),
    "clipped_linear+matching": Style(SKY, "-"),
    "softmax+ce": Style(PURPLE, "-"),
    "softmax+se": Style(GREEN, "--"),
    "softmax+bce": Style(ORANGE, "-."),
    "sigmoid+ce": Style(SKY, "--"),
    "clipped_linear+ce": Style(PURPLE, ":"),
}
"""One style per pair in all pictures, distinguishable in grey print too."""
STYLES = tuple(
    Style(colour, dash)
    for dash, colour in product(
        ("-", "--", "-.", ":"), (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, GREY)
    )
)
"""Every combination of dash and colour, those that are told apart best first."""
_OTHERS = tuple(style for style in STYLES if style not in PAIRS.values())
_ROWS_ABOVE = 2
WIDTH, HEIGHT = 6.4, 4.0
"""Inches of a figure of one panel, whose type is readable at the width of a slide or a column."""
LARGE, NORMAL = 14, 12
_SETTINGS: Any = {
    "font.size": NORMAL,
    "axes.titlesize": LARGE,
    "axes.labelsize": LARGE,
    "legend.fontsize": NORMAL,
    "legend.frameon": False,
    "lines.linewidth": 2.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#e4e4e4",
    "figure.facecolor": "white",
    "axes.facecolor": "white",
}


def pair_styles(pairs: Iterable[str]) -> dict[str, Style]:
    """Choose the style of each pair of a figure, all different.

    A pair of `PAIRS` has its own; any other has one that depends on its name, or the next free one.
    """
    found: dict[str, Style] = {}
    for pair in dict.fromkeys(pairs):
        if pair in PAIRS:
            found[pair] = PAIRS[pair]
            continue
        start = crc32(pair.encode()) % len(_OTHERS)
        free = [style for style in _OTHERS if style not in found.values()] or list(_OTHERS)
        preferred = _OTHERS[start]
        found[pair] = preferred if preferred in free else free[start % len(free)]
    return found


@contextmanager
def canvas(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (WIDTH, HEIGHT), **settings: Any
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Open a figure of panels in this style; draw inside the context.

    Args:
        rows: number of rows of panels.
        columns: number of columns.
        size: width and height of one panel in inches.
        **settings: of `Figure.subplots`.

    Yields:
        The figure, and its axes row by row.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS):
        width, height = size
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **settings)
        for one in axes.flat:
            # ticks are made when they are first drawn, with the settings of that moment
            one.tick_params(labelsize=NORMAL, colors=INK, which="both")
        yield figure, list(axes.flat)


def legend(figure: Figure, handles: Iterable[Any]) -> None:
    """Write a legend where it hides no curve: few names above the panels, many at their right."""
    handles = list(handles)
    longest = max((len(str(one.get_label())) for one in handles), default=0)
    if not longest:
        return
    name = (longest + 6) * NORMAL * 0.6 / 72  # inches
    width, height = figure.get_size_inches()
    columns = max(1, min(len(handles), int(width / name)))
    if len(handles) <= _ROWS_ABOVE * columns:
        columns = -(-len(handles) // -(-len(handles) // columns))
        figure.legend(handles=handles, loc="outside upper center", ncols=columns)
    else:
        figure.set_size_inches(width + name, height)
        figure.legend(handles=handles, loc="outside right upper")
