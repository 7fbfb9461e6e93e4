"""Reliability diagram: accuracy by confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlr.core.domains import UNIT
from mlr.figures import canvas

if TYPE_CHECKING:
    from mlr.figures.seen import Array, Moment

CAPTION = (
    "Validation examples in bins of confidence, which is the prediction for the predicted class. "
    "Bars: the share that is right. On the diagonal a run is right as often as it says; where it "
    "is right less often it is too sure, else too unsure. Bars below count the examples. ECE, the "
    "expected calibration error, is the mean distance from the diagonal (Guo et al., On "
    "calibration of modern neural networks, ICML 2017)."
)


@dataclass(frozen=True)
class Reliability:
    """Statistics of B bins of confidence; NaN for an empty one."""

    counts: NDArray[np.int64]  # examples (B,)
    accuracy: Array  # share of right examples (B,)
    confidence: Array  # mean confidence (B,)
    error: float  # expected calibration error


def in_bins(confidence: Array, right: NDArray[np.bool_]) -> Reliability:
    """Sort predictions (N,) into bins ((b − 1)/B, b/B]; a confidence of 0 is in the first."""
    # not above: the process that draws unpickles from this module, and does without torch
    from mlr.training.calibration import equal_width

    bins = equal_width(confidence.astype(np.float64)[None], right.astype(np.float64)[None])
    counts = bins.counts[0]
    with np.errstate(invalid="ignore"):  # 0/0 of empty bins
        accuracy, mean = bins.right[0] / counts, bins.confidence[0] / counts
    return Reliability(counts, accuracy, mean, float(bins.error[0]))


def collect(moment: Moment) -> Reliability | None:
    """Sort the validation examples; None unless predictions are shares of classes."""
    head, seen = moment.experiment.objective.head, moment.val
    if seen is None or seen.decided is None or seen.right is None or not UNIT.contains(head.range):
        return None
    confidence = np.take_along_axis(seen.class_scores, seen.decided[:, None], 1)[:, 0]
    return in_bins(confidence, seen.right)


def draw(found: Reliability, title: str) -> canvas.Figure:
    """Draw bars of accuracy above bars of counts."""
    parts = ("■ right", "■ right, too unsure", "■ too sure")
    keys = list(zip(parts, (canvas.BLUE, canvas.SKY, canvas.WRONG), strict=True))
    figure = canvas.new_figure(f"{title}: ECE {found.error:.1%}", keys)
    bins = len(found.counts)
    left = np.arange(bins) / bins
    axes = canvas.new_axes(
        figure,
        (0.155, 0.34, 0.815, 0.51),
        x=(0, 1),
        y=(0, 1),
        labels=("", "share right"),
        ticks=([0, 0.5, 1], [0, 0.5, 1]),
    )
    filled = found.counts > 0
    accuracy, confidence = found.accuracy[filled], found.confidence[filled]
    both = np.minimum(accuracy, confidence)
    for low, high, colour in (
        (np.zeros_like(both), both, canvas.BLUE),
        (both, accuracy, canvas.SKY),
        (both, confidence, canvas.WRONG),
    ):
        _bars(axes, left[filled], low, high, colour, 1 / bins)
    axes.plot([0, 1], [0, 1], "--", color=canvas.INK, linewidth=1)
    below = canvas.new_axes(
        figure,
        (0.155, 0.135, 0.815, 0.13),
        x=(0, 1),
        y=(0, 1.08 * float(found.counts.max())),
        labels=("confidence", "count"),
        ticks=([0, 0.5, 1], [0, int(found.counts.max())]),
    )
    _bars(below, left, np.zeros_like(left), found.counts.astype(float), canvas.GREY, 1 / bins)
    return figure


def _bars(
    axes: canvas.Axes, left: Array, low: Array, high: Array, colour: str, width: float
) -> None:
    """Draw bars from `low` to `high` as one artist, in a fifth of the time of matplotlib's bars."""
    from matplotlib.collections import PolyCollection

    x = np.stack([left, left, left + width, left + width], 1)
    y = np.stack([low, high, high, low], 1)
    corners = np.stack([x, y], 2)
    axes.add_collection(
        PolyCollection(corners, facecolor=colour, edgecolor="white"),  # type: ignore[arg-type]
        autolim=False,
    )
