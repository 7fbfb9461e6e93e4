"""A run from its first update on: the early spikes that linear axes and "ignore outliers" hide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlr.app.figures import canvas
from mlr.app.figures.seen import Array, Moment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Every logged update, on logarithmic axes: the first updates have as much room as the last. "
    "Loss; mean ‖dL/dz‖ of the examples that are predicted wrongly and rightly (of all, in a "
    "regression); the share of the batch that is predicted wrongly and gets no gradient (stuck), "
    "and accuracy. A line ends where there is no such example; ‖dL/dz‖ = 0 is drawn at the bottom."
)
_PANELS: tuple[tuple[str, bool, tuple[tuple[str, str, str], ...]], ...] = (
    ("loss", True, (("loss/train", "train", canvas.INK), ("loss/val", "val", canvas.GREEN))),
    (
        "‖dL/dz‖",
        True,
        (
            ("logit_grad/wrong", "wrong", canvas.WRONG),
            ("logit_grad/right", "right", canvas.RIGHT),
        ),
    ),
    (
        "share",
        False,
        (("stuck/fraction", "stuck", canvas.WRONG), ("accuracy/train", "accuracy", canvas.GREY)),
    ),
)
_OF_ALL = ("logit_grad/mean", "all examples", canvas.INK)
_ZERO = 0.7  # decades below the smallest number, where 0 is drawn
_LEAST = 0.5  # decades of an axis: numbers that hardly change stay flat
_TICKS = 3
_FEW = 40  # points that are marked one by one
_PLACE = (0.155, 0.125, 0.815, 0.74)
_GAP, _EDGE = 0.45, 0.06  # between two bands, whose height is 1, and about each
_BAND = 1 + _GAP


class Line(NamedTuple):
    """One quantity: updates (N,) and finite values (N,), NaN where there are none between."""

    name: str
    colour: str
    steps: Array
    values: Array


@dataclass(frozen=True)
class Panel:
    """Lines of one axis, which is logarithmic or from 0 to 1."""

    label: str
    logarithmic: bool
    lines: Sequence[Line]


@dataclass(frozen=True)
class Course:
    """What is drawn: panels, and the last update of all."""

    panels: Sequence[Panel]
    last: int


def shown(moment: Moment) -> Course | None:
    """What the run has recorded up to the moment; None before there are two points of it."""
    series = moment.series
    if series is None or len(series.steps) < 2 or series.steps[-1] < 1:
        return None
    panels = []
    for label, logarithmic, tags in _PANELS:
        if label == "‖dL/dz‖" and moment.experiment.data.classes is None:
            tags = (_OF_ALL,)
        lines = [
            Line(name, colour, series.steps[rows], np.where(np.isfinite(values), values, np.nan))
            for tag, name, colour in tags
            for rows, values in [series.of(tag)]
            if np.isfinite(values).any()
        ]
        if lines:
            panels.append(Panel(label, logarithmic, lines))
    return Course(panels, int(series.steps[-1])) if panels else None


def draw(found: Course, title: str) -> Figure:
    """Panels over one axis of updates, as bands of single axes: ticks are what takes longest."""
    figure = canvas.new_figure(title, height=3.5)
    steps = [0, *(10**power for power in range(_decades(found.last) + 1))]
    top = len(found.panels) * _BAND - _GAP
    ticks: dict[float, str] = {}
    drawn: list[tuple[Line, Array]] = []
    for place, panel in enumerate(found.panels):
        base, (low, high) = top - 1 - place * _BAND, _limits(panel)
        ticks |= {base + (y - low) / (high - low): t for y, t in _ticks(low, high, panel).items()}
        for line in reversed(panel.lines):  # the first stands over the others
            heights = _height_of(line.values, panel) if panel.logarithmic else line.values
            drawn.append((line, base + (heights - low) / (high - low)))
    axes = canvas.new_axes(
        figure,
        _PLACE,
        x=(0, float(_place_of(np.array([found.last]))[0])),
        y=(-_EDGE, top + _EDGE),
        labels=("updates", ""),
        ticks=(_place_of(np.array(steps)).tolist(), list(ticks)),
    )
    axes.set_xticklabels([f"{step:,}" for step in steps])
    axes.set_yticklabels(list(ticks.values()))
    for line, heights in drawn:
        dots = "o-" if len(heights) < _FEW else "-"
        axes.plot(_place_of(line.steps), heights, dots, color=line.colour, lw=1.5, markersize=3)
    _divide(figure, axes, found.panels)
    return figure


def _divide(figure: Figure, axes: Axes, panels: Sequence[Panel]) -> None:
    """White room between the bands, with each one's label and its lines' names in it."""
    height = len(panels) * _BAND - _GAP + 2 * _EDGE
    for place, panel in enumerate(panels):
        base = (len(panels) - 1 - place) * _BAND
        y = _PLACE[1] + _PLACE[3] * (base + 1 + 2 * _EDGE) / height
        if place:
            axes.axhspan(base + 1 + _EDGE, base + _BAND - _EDGE, color="white", zorder=3)
            axes.axhline(base + _BAND - _EDGE, color=canvas.INK, linewidth=0.8, zorder=4)
        canvas.write(figure, _PLACE[0], y, panel.label, anchor=("left", "bottom"), weight="bold")
        x = _PLACE[0] + _PLACE[2]
        for line in reversed(panel.lines):
            name = f"— {line.name}"
            canvas.write(figure, x, y, name, line.colour, ("right", "bottom"))
            x -= 0.035 + 0.0175 * len(name)


def _decades(last: int) -> int:
    """Of the largest power of ten that is at most `last`."""
    return len(str(last)) - 1


def _place_of(steps: Array) -> Array:
    """Where an update stands: 0 is the start, and decades have the same width from 10 on."""
    return np.log10(1 + steps)


def _smallest(panel: Panel) -> float:
    positive = [line.values[line.values > 0] for line in panel.lines]
    return float(min((one.min() for one in positive if len(one)), default=1.0))


def _height_of(values: Array, panel: Panel) -> Array:
    """Decimal logarithms; 0 stands a little below the smallest number."""
    logs = np.full(len(values), np.log10(_smallest(panel)) - _ZERO)
    logs[np.isnan(values)] = np.nan
    np.log10(values, out=logs, where=values > 0)
    return logs


def _limits(panel: Panel) -> tuple[float, float]:
    if not panel.logarithmic:
        return 0.0, 1.0
    every = np.concatenate([_height_of(line.values, panel) for line in panel.lines])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    room = max(0.0, _LEAST - (high - low)) / 2
    return (low, high + 2 * room) if _has_zero(panel) else (low - room, high + room)


def _has_zero(panel: Panel) -> bool:
    return any((line.values == 0).any() for line in panel.lines)


def _ticks(low: float, high: float, panel: Panel) -> dict[float, str]:
    """Some heights, and what is written there."""
    if not panel.logarithmic:
        return {0.0: "0", 0.5: "½", 1.0: "1"}
    smallest, zero = float(np.log10(_smallest(panel))), _has_zero(panel)
    start = smallest if zero else low
    powers = range(ceil(start), floor(high) + 1)
    if len(powers) > 1:
        each = -(-len(powers) // _TICKS)
        found = {float(power): _written(power) for power in powers if power % each == 0}
    else:
        found = _between_decades(start, high)
    return ({smallest - _ZERO: "0"} if zero else {}) | found


def _between_decades(low: float, high: float) -> dict[float, str]:
    """Round numbers in less than two decades."""
    found: dict[float, str] = {}
    for power in range(floor(low), ceil(high) + 1):
        heights = {power + float(np.log10(digit)): digit * 10.0**power for digit in (1, 2, 5)}
        found |= {y: f"{value:g}" for y, value in heights.items() if low <= y <= high}
    return dict(list(found.items())[:: -(-len(found) // _TICKS) or 1])


def _written(power: int) -> str:
    """A power of ten as it takes least room."""
    if -3 <= power <= 3:
        return f"{10.0**power:g}"
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
