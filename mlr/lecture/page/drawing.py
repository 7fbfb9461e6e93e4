"""Drawing of the lecture's pictures with matplotlib.

Colours go into the SVG as variables of the page (`var(--blue)`), text and axes as its text's
colour, so that one drawing suits light and dark. Text stays text, in the page's own font.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from os.path import commonpath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from mlr.analysis.formatting import display_name, display_pair
from mlr.analysis.plots.style import PAIRS
from mlr.core import palette
from mlr.lecture.lab import Trained
from mlr.lecture.page.answer import Illustration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN = palette.BLUE, palette.VERMILLION, palette.GREEN
PURPLE, ORANGE, SKY, GREY = palette.PURPLE, palette.ORANGE, palette.SKY, palette.GREY
INK, RULE, PAPER = "#010203", "#040506", "#070809"
"""Colours of the page itself: text and axes, grid, background."""
VARIABLES = {
    BLUE: "var(--blue)",
    VERMILLION: "var(--vermillion)",
    GREEN: "var(--green)",
    PURPLE: "var(--purple)",
    ORANGE: "var(--orange)",
    SKY: "var(--sky)",
    GREY: "var(--grey)",
    INK: "currentColor",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
}
HEADS = {
    "linear": (GREEN, "-."),
    "clipped_linear": (GREY, ":"),
    "sigmoid": (BLUE, "-"),
    "softmax": (PURPLE, "-"),
}
LOSSES = {"se": (VERMILLION, "--"), "bce": (BLUE, "-"), "ce": (BLUE, "-")}


class Size(TypedDict):
    """Size of a picture in inches; the page scales it, type included, to the column."""

    width: float
    height: float


WHOLE: Size = {"width": 7.4, "height": 4.6}
HALF: Size = {"width": 5.8, "height": 4.4}
"""Sizes of a picture that fills the page, and of one of two, with type of equal size."""
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "font.size": 17,
    "axes.titlesize": 18,
    "axes.labelsize": 18,
    "legend.fontsize": 16,
    "legend.facecolor": PAPER,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "lines.linewidth": 3.5,
    "lines.markersize": 10,
    "axes.linewidth": 1.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.linewidth": 1.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": RULE,
    "legend.labelcolor": INK,
}


@contextmanager
def canvas(
    width: float = WHOLE["width"], height: float = WHOLE["height"], columns: int = 1
) -> Iterator[tuple[Figure, Any]]:
    """Open an empty figure in the lecture's style; draw and call `svg` inside the context.

    One picture per question is best. The page shows two side by side (`HALF`), and one below the
    other on a phone.

    Args:
        width: width of one column in inches.
        height: height in inches.
        columns: axes side by side; an array of axes is yielded for more than one.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(width * columns, height), layout="constrained")
        yield figure, figure.subplots(1, columns)


def svg(figure: Figure) -> str:
    """Convert a figure to an <svg> element without a width, in the colours of the page."""
    import matplotlib as mpl

    text = StringIO()
    # ids of clip paths and markers are hashes of their shape and this salt: with one salt,
    # equal ids on the page are equal shapes
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": "mlr"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    whole = text.getvalue()
    drawing = whole[whole.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>\s*", "", drawing, count=1, flags=re.DOTALL)
    drawing = re.sub(r'(<svg [^>]*?)\bwidth="[^"]*" height="[^"]*"', r"\1", drawing, count=1)
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)  # numbered alike in every figure
    for colour, variable in VARIABLES.items():
        drawing = drawing.replace(colour, variable)
    return drawing


def picture(title: str, figure: Figure, *of: Trained) -> Illustration:
    """Convert a figure to a picture of an answer.

    Args:
        title: caption.
        figure: figure of an open `canvas`.
        *of: runs that are drawn, one of each sweep; none if nothing was trained for it.
    """
    if not of:
        return Illustration(title, svg(figure))
    commands = dict.fromkeys(run.command for run in of)
    return Illustration(
        title, svg(figure), " && ".join(commands), Path(commonpath([run.whole for run in of]))
    )


def sketch(
    title: str, draw: Callable[[Any], None], *of: Trained, size: Size = WHOLE
) -> Illustration:
    """Draw a picture of one axes by a function.

    Args:
        title: caption.
        draw: called with the empty axes.
        *of: runs that are drawn, as in `picture`.
        size: WHOLE, or HALF if the slide has two pictures.
    """
    with canvas(**size) as (figure, axes):
        draw(axes)
        return picture(title, figure, *of)


def curves(
    title: str,
    lines: Sequence[tuple[Any, Any, dict[str, Any]]],
    *of: Trained,
    points: Sequence[tuple[float, float, str]] = (),
    size: Size = WHOLE,
    legend: str = "best",
    **settings: Any,
) -> Illustration:
    """Draw a picture of curves.

    Args:
        title: caption.
        lines: x, y and style of each, the style from `line`, `of_pair`, `of_head` or `of_loss`.
        *of: runs that are drawn, as in `picture`.
        points: x, y and text of marked points.
        size: WHOLE, or HALF if the slide has two pictures.
        legend: a location of matplotlib, or `above` the axes, in two columns.
        **settings: properties of the axes: xlabel, ylabel, xscale, yscale, xlim, ylim, ….
    """

    def draw(axes: Any) -> None:
        for x, y, style in lines:
            axes.plot(x, y, **style)
        axes.set(**settings)
        for x, y, text in points:
            mark(axes, x, y, text, (12, 14))
        if legend == "above":
            axes.figure.legend(loc="outside upper center", ncols=2)
        elif any("label" in style for _, _, style in lines):
            axes.legend(loc=legend)

    return sketch(title, draw, *of, size=size)


def mark(axes: Any, x: float, y: float, text: str, offset: tuple[float, float]) -> None:
    """Mark a point with a text at an offset in points (1/72 inch)."""
    axes.plot([x], [y], "o", color=INK, zorder=5)
    axes.annotate(
        text,
        (x, y),
        xytext=offset,
        textcoords="offset points",
        ha="left" if offset[0] > 0 else "right" if offset[0] < 0 else "center",
        va="center",
        zorder=6,
    )


def rule(axes: Any, *, x: float | None = None, y: float | None = None) -> None:
    """Draw a thin dashed line across the axes, at x or at y."""
    draw, at = (axes.axvline, x) if x is not None else (axes.axhline, y)
    draw(at, color=INK, linewidth=1.4, linestyle=(0, (4, 4)), zorder=1)


def line(colour: str, label: str | None = None, style: str = "-", **more: Any) -> dict[str, Any]:
    """Build the style of a curve; without a label it is not in the legend."""
    named = {} if label is None else {"label": label}
    return {"color": colour, "linestyle": style, **named, **more}


def of_pair(head: str, loss: str) -> dict[str, Any]:
    """Return colour, line style and label of a pair, as keywords of `axes.plot`."""
    colour, style = PAIRS[f"{head}+{loss}"]
    return line(colour, display_pair(f"{head}+{loss}"), style)


def of_head(head: str) -> dict[str, Any]:
    """Return colour, line style and label of a head."""
    colour, style = HEADS[head]
    return line(colour, display_name(head), style)


def of_loss(loss: str) -> dict[str, Any]:
    """Return colour, line style and label of a loss."""
    colour, style = LOSSES[loss]
    return line(colour, display_name(loss), style)
