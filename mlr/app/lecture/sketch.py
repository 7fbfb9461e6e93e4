"""A picture in one call, for slides that draw one thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlr.app.lecture import drawing
from mlr.app.lecture.answer import Picture
from mlr.app.lecture.lab import Trained

Draw = Callable[[Any], object]


def sketch(title: str, draw: Draw, **size: float) -> Picture:
    """What `draw` puts on empty axes, computed without training.

    Args:
        title: what it shows.
        draw: called with the axes.
        **size: of `drawing.canvas`.
    """
    return Picture(title, _drawn(draw, size))


def sketch_of_run(run: Trained, title: str, draw: Draw, **size: float) -> Picture:
    """The same of a run just made; of a sweep, any of its runs: its folder is linked."""
    swept = " -m " in run.command
    folder = run.folder.parent if swept else run.folder
    return Picture(title, _drawn(draw, size), run.command, folder)


def _drawn(draw: Draw, size: dict[str, float]) -> str:
    with drawing.canvas(**size) as (figure, axes):  # type: ignore[arg-type]
        draw(axes)
        return drawing.svg(figure)


def mark(axes: Any, x: float, y: float, text: str, at: tuple[float, float]) -> None:
    """A point, and what is to be said of it, written at an offset in points."""
    axes.plot([x], [y], "o", color=drawing.INK, zorder=5)
    axes.annotate(
        text,
        (x, y),
        xytext=at,
        textcoords="offset points",
        ha="left" if at[0] >= 0 else "right",
        va="center",
        zorder=6,
    )


def rule(axes: Any, *, x: float | None = None, y: float | None = None) -> None:
    """A thin line across the axes at x or y."""
    style = {"color": drawing.INK, "linewidth": 1.4, "linestyle": (0, (4, 4)), "zorder": 1}
    if x is not None:
        axes.axvline(x, **style)
    if y is not None:
        axes.axhline(y, **style)
