"""A picture of one axes, drawn by a function, and what is written into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlr.app.lecture.answer import Picture
from mlr.app.lecture.drawing import INK, WHOLE, Size, canvas, picture
from mlr.app.lecture.lab import Trained


def sketch(
    title: str, draw: Callable[[Any], None], of: Trained | None = None, size: Size = WHOLE
) -> Picture:
    """What `draw` puts on empty axes.

    Args:
        title: what it shows.
        draw: called with the axes.
        of: the run that is drawn, or one of the sweep.
        size: WHOLE, or HALF where the slide has two pictures.
    """
    with canvas(**size) as (figure, axes):
        draw(axes)
        return picture(title, figure, of)


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
