"""Course of a training on logarithmic axes, which show the first updates."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlr.figures import canvas

if TYPE_CHECKING:
    from mlr.figures.seen import Array, Moment

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


class CoursePanel(NamedTuple):
    """Lines of one axis: from 0 to 1 for shares, else logarithmic if no value is negative."""

    label: str
    lines: Sequence[CourseLine]


class Course(NamedTuple):
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
    scaled = [_scaled(panel) for panel in found.panels]
    ticks = {
        base + y: text
        for base, (_, texts) in zip(bases, scaled, strict=True)
        for y, text in texts.items()
    }
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
    left, bottom, width, height = _PLACE
    for base, panel, (heights, _) in zip(bases, found.panels, scaled, strict=True):
        for line, own in [*zip(panel.lines, heights, strict=True)][::-1]:  # the first is on top
            dots = "o-" if len(own) < _FEW else "-"
            across = np.log10(1 + line.steps)
            axes.plot(across, base + own, dots, color=line.colour, linewidth=1.5, markersize=3)
        # a white stripe between two bands has the label of the lower one, and its lines' names
        if base < bases[0]:
            axes.axhspan(base + 1 + _EDGE, base + _BAND - _EDGE, color="white", zorder=3)
            axes.axhline(base + _BAND - _EDGE, color=canvas.INK, linewidth=0.8, zorder=4)
        x, y = left + width, bottom + height * (base + 1 + 2 * _EDGE) / (bases[0] + 1 + 2 * _EDGE)
        settings = {"weight": "bold", "size": _SIZE}
        canvas.write(figure, left, y, panel.label, canvas.INK, ("left", "bottom"), **settings)
        for line in reversed(panel.lines):
            name = f"— {line.name}"
            canvas.write(figure, x, y, name, line.colour, ("right", "bottom"), size=_SIZE)
            x -= 0.03 + 0.0225 * len(name)
    return figure


def _scaled(panel: CoursePanel) -> tuple[list[Array], dict[float, str]]:
    """Convert lines to heights from 0 to 1, and choose heights of ticks with their texts."""
    heights = [line.values for line in panel.lines]
    every = np.concatenate(heights)
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    if panel.label == _SHARE:
        low, high, ticks = 0.0, 1.0, {0.0: "0", 0.5: "½", 1.0: "1"}
    elif low < 0:
        low, high = (low, high) if low < high else canvas.padded(low, high)
        ticks = {y: f"{y:g}" for y in canvas.round_numbers((low, high))}
    else:
        least = float(np.log10(float(every[every > 0].min()))) if high else 0.0
        zero, has_zero = least - _ZERO, low == 0
        with np.errstate(divide="ignore"):
            logs = [np.log10(own).astype(float) for own in heights]
        heights = [np.where(np.isneginf(own), zero, own) for own in logs]
        low, high = (edge(np.concatenate(heights)) for edge in (np.nanmin, np.nanmax))
        room = max(0.0, _LEAST - (high - low)) / 2
        low, high = (low, high + 2 * room) if has_zero else (low - room, high + room)
        start = least if has_zero else low
        powers = range(ceil(start), floor(high) + 1)
        if len(powers) > 1:
            each = -(-len(powers) // _TICKS)
            ticks = {float(power): _written(power) for power in powers if power % each == 0}
        else:
            ticks = _between_decades(start, high)
        ticks = ({zero: "0"} if has_zero else {}) | ticks
    size = high - low
    return [(own - low) / size for own in heights], {
        (y - low) / size: text for y, text in ticks.items()
    }


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
