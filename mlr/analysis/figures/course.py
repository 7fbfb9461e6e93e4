"""Course of a training on logarithmic axes, which show the first updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor
from typing import Any, NamedTuple

import numpy as np

from mlr.analysis.figures import canvas
from mlr.analysis.figures.seen import Array, Moment

CAPTION = (
    "Every logged update, on logarithmic axes: the first updates have as much room as the last. "
    "Loss; mean ‖dL/dz‖ of the examples that are predicted wrongly and rightly (of all, in a "
    "regression); the share of the batch that is predicted wrongly and gets no gradient (stuck), "
    "and accuracy. Where there is no such example there is no point; 0 is drawn at the bottom. "
    "A loss that falls below 0 has a linear axis."
)
_SHARE, _GRADIENT = "share", "‖dL/dz‖"
_PANELS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "loss": (("loss/train", "train", canvas.INK), ("loss/val", "val", canvas.GREEN)),
    _GRADIENT: (
        ("logit_grad/wrong", "wrong", canvas.WRONG),
        ("logit_grad/right", "right", canvas.RIGHT),
    ),
    _SHARE: (
        ("stuck/fraction", "stuck", canvas.WRONG),
        ("accuracy/train", "accuracy", canvas.GREY),
    ),
}
_OF_ALL = ("logit_grad/mean", "all examples", canvas.INK)
_ZERO = 0.7  # decades below the smallest number, where 0 is drawn
_LEAST = 0.5  # decades of an axis: numbers that hardly change stay flat
_TICKS = 3
_FEW = 40  # points that are marked one by one
_SIZE = 9.8  # of its type: TIME SERIES draws an image 200 pixels high
_PLACE = (0.165, 0.135, 0.785, 0.72)
_GAP, _EDGE = 0.45, 0.06  # between two bands, whose height is 1, and about each
_BAND = 1 + _GAP


class CourseLine(NamedTuple):
    """One quantity: updates (N,) and values (N,), NaN for one that is not finite."""

    name: str
    colour: str
    steps: Array
    values: Array


@dataclass(frozen=True)
class CoursePanel:
    """Lines of one axis: from 0 to 1 for shares, else logarithmic if no value is negative."""

    label: str
    lines: Sequence[CourseLine]

    @cached_property
    def logarithmic(self) -> bool:
        """True if heights are decimal logarithms."""
        return self.label != _SHARE and not any((line.values < 0).any() for line in self.lines)

    @cached_property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest height; never equal."""
        if self.label == _SHARE:
            return 0.0, 1.0
        every = np.concatenate([_height_of(line.values, self) for line in self.lines])
        low, high = float(np.nanmin(every)), float(np.nanmax(every))
        if not self.logarithmic:
            return (low, high) if low < high else canvas.padded(low, high)
        room = max(0.0, _LEAST - (high - low)) / 2
        return (low, high + 2 * room) if _has_zero(self) else (low - room, high + room)


@dataclass(frozen=True)
class Course:
    """All panels, and the last update."""

    panels: Sequence[CoursePanel]
    last: int


def collect(moment: Moment) -> Course | None:
    """Collect the series up to the moment; None for fewer than two points."""
    series = moment.series
    if series is None or len(series.steps) < 2 or series.steps[-1] < 1:
        return None
    panels = []
    for label, tags in _PANELS.items():
        if label == _GRADIENT and moment.experiment.data.classes is None:
            tags = (_OF_ALL,)
        lines = [
            CourseLine(
                name, colour, series.steps[rows], np.where(np.isfinite(values), values, np.nan)
            )
            for tag, name, colour in tags
            for rows, values in [series.of(tag)]
            if np.isfinite(values).any()
        ]
        if lines:
            panels.append(CoursePanel(label, lines))
    return Course(panels, int(series.steps[-1])) if panels else None


def draw(found: Course, title: str) -> canvas.Figure:
    """Draw the panels as bands of one pair of axes, since ticks take the longest."""
    figure = canvas.new_figure(title, height=3.5)
    bases = [place * _BAND for place in reversed(range(len(found.panels)))]
    ticks: dict[float, str] = {}
    for base, panel in zip(bases, found.panels, strict=True):
        ticks |= {_in_band(y, base, panel): text for y, text in _ticks(panel).items()}
    steps = [0, *(10**power for power in range(len(str(found.last))))]
    axes = canvas.new_axes(
        figure,
        _PLACE,
        x=(0, float(np.log10(1 + found.last))),
        y=(-_EDGE, bases[0] + 1 + _EDGE),
        labels=("updates", ""),
        ticks=(np.log10(1 + np.array(steps)).tolist(), list(ticks)),
    )
    axes.set_xticklabels([f"{step:,}" for step in steps])
    axes.set_yticklabels(list(ticks.values()))
    axes.tick_params(labelsize=_SIZE)
    axes.xaxis.label.set_fontsize(_SIZE)
    for base, panel in zip(bases, found.panels, strict=True):
        for line in reversed(panel.lines):  # the first is on top
            x, y = np.log10(1 + line.steps), _in_band(_height_of(line.values, panel), base, panel)
            dots = "o-" if len(x) < _FEW else "-"
            axes.plot(x, y, dots, color=line.colour, linewidth=1.5, markersize=3)
    _divide(figure, axes, found.panels)
    return figure


def _in_band(heights: Any, base: float, panel: CoursePanel) -> Any:
    """Convert heights of a panel to the axes: its band begins at `base` and is 1 high."""
    low, high = panel.limits
    return base + (heights - low) / (high - low)


def _divide(figure: canvas.Figure, axes: canvas.Axes, panels: Sequence[CoursePanel]) -> None:
    """Separate the bands by white stripes with their labels and the names of their lines."""
    height = len(panels) * _BAND - _GAP + 2 * _EDGE
    for place, panel in enumerate(panels):
        base = (len(panels) - 1 - place) * _BAND
        y = _PLACE[1] + _PLACE[3] * (base + 1 + 2 * _EDGE) / height
        if place:
            axes.axhspan(base + 1 + _EDGE, base + _BAND - _EDGE, color="white", zorder=3)
            axes.axhline(base + _BAND - _EDGE, color=canvas.INK, linewidth=0.8, zorder=4)
        settings = {"weight": "bold", "size": _SIZE}
        canvas.write(figure, _PLACE[0], y, panel.label, canvas.INK, ("left", "bottom"), **settings)
        x = _PLACE[0] + _PLACE[2]
        for line in reversed(panel.lines):
            name = f"— {line.name}"
            canvas.write(figure, x, y, name, line.colour, ("right", "bottom"), size=_SIZE)
            x -= 0.03 + 0.0225 * len(name)


def _smallest(panel: CoursePanel) -> float:
    positive = [line.values[line.values > 0] for line in panel.lines]
    return float(min((one.min() for one in positive if len(one)), default=1.0))


def _height_of(values: Array, panel: CoursePanel) -> Array:
    """Convert values to heights: unchanged, or logarithms with 0 a little below the smallest."""
    if not panel.logarithmic:
        return values
    logs = np.full(len(values), np.log10(_smallest(panel)) - _ZERO)
    logs[np.isnan(values)] = np.nan
    np.log10(values, out=logs, where=values > 0)
    return logs


def _has_zero(panel: CoursePanel) -> bool:
    return any((line.values == 0).any() for line in panel.lines)


def _ticks(panel: CoursePanel) -> dict[float, str]:
    """Choose heights of ticks and their labels."""
    low, high = panel.limits
    if panel.label == _SHARE:
        return {0.0: "0", 0.5: "½", 1.0: "1"}
    if not panel.logarithmic:
        return {y: f"{y:g}" for y in canvas.round_numbers((low, high))}
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
    """Choose round numbers within less than two decades."""
    found: dict[float, str] = {}
    for power in range(floor(low), ceil(high) + 1):
        heights = {power + float(np.log10(digit)): digit * 10.0**power for digit in (1, 2, 5)}
        found |= {y: f"{value:g}" for y, value in heights.items() if low <= y <= high}
    return dict(list(found.items())[:: -(-len(found) // _TICKS) or 1])


def _written(power: int) -> str:
    """Write a power of ten in the least room."""
    if -3 <= power <= 3:
        return f"{10.0**power:g}"
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
