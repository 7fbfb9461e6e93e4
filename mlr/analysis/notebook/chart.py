"""Small line charts as SVG, in the colours of the text around them."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite, log10
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlr.analysis.formatting import number
from mlr.analysis.notebook.markup import text
from mlr.core.palette import BLUE, VERMILLION

WIDTH, HEIGHT = 400, 160
LEFT, RIGHT, TOP, BOTTOM = 88, 388, 26, 138
"""Edges of the plotted area."""
MOST = 300
"""Most points of a curve that are drawn, so that a chart has at most about 10 kB."""
INKS = (BLUE, VERMILLION)
"""Colours that stand out from white and from black."""
DECADES = 2.0
"""Range from which the axis of positive values is logarithmic."""


class SmallCurve(NamedTuple):
    """Values (N,) of a tag by update (N,)."""

    tag: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]


def chart(curves: Sequence[SmallCurve]) -> str:
    """Draw one or two curves, the second dashed; empty if no value is finite.

    The axis is logarithmic if all values are positive and span more than two decades, and else
    begins at 0, or below; values that are not finite leave a gap.
    """
    shown = [
        one._replace(values=np.where(np.isfinite(one.values), one.values, np.nan)) for one in curves
    ]
    known = np.concatenate([np.empty(0), *(one.values for one in shown)])
    known = known[~np.isnan(known)]
    if not len(known):
        return ""
    low, high = float(known.min()), float(known.max())
    logarithmic = low > 0 and log10(high / low) > DECADES
    if not logarithmic:
        low = min(low, 0.0)  # what hardly changes is flat
    last = max(int(one.steps[-1]) for one in shown if len(one.steps))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" fill="currentColor" font-size="12" '
        'style="max-width:100%;height:auto">',
        f"<title>{text(_described(shown, logarithmic))}</title>",
        _line(f"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}", 'stroke="currentColor" opacity=".5"'),
        _label(LEFT - 6, TOP + 8, number(high), "end"),
        _label(LEFT - 6, BOTTOM, number(low), "end"),
        _label(LEFT, BOTTOM + 16, "0", "start"),
        _label(RIGHT, BOTTOM + 16, f"{last} updates", "end"),
    ]
    if logarithmic:
        parts.append(_label(LEFT - 6, (TOP + BOTTOM) / 2, "log", "end"))
    for at, one in enumerate(shown):
        stroke = f'stroke="{INKS[at]}" stroke-width="2"' + ' stroke-dasharray="6 3"' * at
        x = LEFT + 150 * at
        parts.append(_line(f"M{x} {TOP - 14}h24", stroke))
        parts.append(_label(x + 30, TOP - 10, one.tag, "start"))
        path = _path(one, low, high, last, logarithmic)
        parts.append(_line(path, stroke))
    return "".join([*parts, "</svg>"])


def _described(curves: Sequence[SmallCurve], logarithmic: bool) -> str:
    """Write a sentence for those who do not see the picture."""
    ends = []
    for one in curves:
        known = one.values[~np.isnan(one.values)]
        if len(known):
            ends.append(f"{one.tag} from {number(float(known[0]))} to {number(float(known[-1]))}")
    return "; ".join(ends) + (", logarithmic" if logarithmic else "")


def _line(path: str, stroke: str) -> str:
    return f'<path d="{path}" fill="none" {stroke}/>'


def _label(x: float, y: float, value: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{text(value)}</text>'


def _path(curve: SmallCurve, low: float, high: float, last: int, logarithmic: bool) -> str:
    """Write the path of a curve, at most `MOST` points, evenly chosen, the last one included."""
    stride = max(1, ceil(len(curve.steps) / MOST))
    rows = np.arange(len(curve.steps))[::-1][::stride][::-1]
    heights = [_height(value, low, high, logarithmic) for value in curve.values[rows].tolist()]
    pen, parts = "M", []
    for step, height in zip(curve.steps[rows].tolist(), heights, strict=True):
        if not isfinite(height):
            pen = "M"
            continue
        x = LEFT + (RIGHT - LEFT) * step / max(last, 1)
        parts.append(f"{pen}{x:.1f} {BOTTOM - (BOTTOM - TOP) * height:.1f}")
        pen = "L"
    return "".join(parts)


def _height(value: float, low: float, high: float, logarithmic: bool) -> float:
    """Return the place of a value between the ends of the axis, 0 and 1."""
    if low == high:
        return 0.5 if value == value else value
    if logarithmic:
        return log10(value / low) / log10(high / low) if value == value else value
    return (value - low) / (high - low)
