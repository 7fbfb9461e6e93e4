"""The lecture's pictures: the only place of it that knows matplotlib.

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

from mlr.analysis import palette
from mlr.analysis.formatting import display_name
from mlr.app.lab import Trained
from mlr.lecture import readme_picture
from mlr.lecture.answer import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN = palette.BLUE, palette.VERMILLION, palette.GREEN
PURPLE, ORANGE, SKY, GREY = palette.PURPLE, palette.ORANGE, palette.SKY, palette.GREY
INK, RULE, PAPER = "#010203", "#040506", "#070809"
"""The colours of the page itself: of text and axes, grid, background."""
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
PAIRS = readme_picture.PAIRS | {
    ("linear", "se"): (GREEN, "-."),
    ("clipped_linear", "bce"): (ORANGE, ":"),
    ("clipped_linear", "matching"): (SKY, "-"),
    ("softmax", "ce"): (PURPLE, "-"),
}
"""One colour and one line style a pair, in every picture; told apart in grey print too."""
HEADS = {
    "linear": (GREEN, "-."),
    "clipped_linear": (GREY, ":"),
    "sigmoid": (BLUE, "-"),
    "softmax": (PURPLE, "-"),
}
LOSSES = {"se": (VERMILLION, "--"), "bce": (BLUE, "-"), "ce": (BLUE, "-")}


class Size(TypedDict):
    """Inches of a picture; the page scales it to its place, type included."""

    width: float
    height: float


WHOLE: Size = {"width": 7.4, "height": 4.6}
HALF: Size = {"width": 5.8, "height": 4.4}
"""Of a picture that fills the page, and of one of two: their type is as large."""
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
    """An empty figure and its axes, in the lecture's style; draw and call `svg` while it is open.

    One picture a question is best. The page shows two side by side (`HALF`), and below each
    other on a phone, where more columns have to be scrolled.

    Args:
        width: of one column, in inches.
        height: in inches.
        columns: axes side by side; for more than one, an array of them is given.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(width * columns, height), layout="constrained")
        yield figure, figure.subplots(1, columns)


def svg(figure: Figure) -> str:
    """The figure as an <svg> element for the page: as wide as its place, in the page's colours."""
    import matplotlib as mpl

    text = StringIO()
    # names of clip paths and markers are hashes of what they draw and this salt: equal names
    # are then equal shapes, wherever on the page they are
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


def picture(title: str, figure: Figure, *of: Trained) -> Picture:
    """The figure as the page shows it.

    Args:
        title: what it shows.
        figure: of an open `canvas`.
        *of: the runs that are drawn, of a sweep one is enough; none if nothing was trained for it.
    """
    if not of:
        return Picture(title, svg(figure))
    commands = dict.fromkeys(run.command for run in of)
    return Picture(
        title, svg(figure), " && ".join(commands), Path(commonpath([run.whole for run in of]))
    )


def sketch(title: str, draw: Callable[[Any], None], *of: Trained, size: Size = WHOLE) -> Picture:
    """A picture of one axes, drawn by a function.

    Args:
        title: what it shows.
        draw: called with the empty axes.
        *of: the runs that are drawn, as of `picture`.
        size: WHOLE, or HALF where the slide has two pictures, which stand side by side.
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
) -> Picture:
    """A sketch of nothing but curves.

    Args:
        title: what it shows.
        lines: x, y and style of each, as of `line`, `of_pair`, `of_head` or `of_loss`.
        *of: the runs that are drawn, as of `picture`.
        points: x, y and text of what is to be seen on them.
        size: WHOLE, or HALF.
        legend: where it stands, as matplotlib names places; `above` the axes, in two columns.
        **settings: of the axes: xlabel, ylabel, xscale, yscale, xlim, ylim, ….
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
    """A point, and what is to be said of it, written so many points (1/72 inch) from it."""
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
    """A thin dashed line across the axes, at x or at y."""
    draw, at = (axes.axvline, x) if x is not None else (axes.axhline, y)
    draw(at, color=INK, linewidth=1.4, linestyle=(0, (4, 4)), zorder=1)


def line(colour: str, label: str | None = None, style: str = "-", **more: Any) -> dict[str, Any]:
    """The style of one curve; without a label it is left out of the legend."""
    named = {} if label is None else {"label": label}
    return {"color": colour, "linestyle": style, **named, **more}


def of_pair(head: str, loss: str) -> dict[str, Any]:
    """Colour, line style and label of a pair, for `axes.plot(…, **of_pair("sigmoid", "se"))`."""
    colour, style = PAIRS[head, loss]
    return line(colour, f"{display_name(head)} + {display_name(loss)}", style)


def of_head(head: str) -> dict[str, Any]:
    """Colour, line style and label of a head."""
    colour, style = HEADS[head]
    return line(colour, display_name(head), style)


def of_loss(loss: str) -> dict[str, Any]:
    """Colour, line style and label of a loss."""
    colour, style = LOSSES[loss]
    return line(colour, display_name(loss), style)
