"""Outputs y over the updates, and their targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlr.figures import canvas

if TYPE_CHECKING:
    from mlr.figures.seen import Array, Moment

CAPTION = (
    "Mean output y over the training batches, after so many updates; of a single example the "
    "output itself. Dashed: the target. A flat curve far from its target is a saturated output "
    "that does not learn."
)
NAMES = {
    "prediction/target_1": ("target 1", canvas.BLUE, 1.0),
    "prediction/target_0": ("target 0", canvas.VERMILLION, 0.0),
    "prediction/mean": ("all outputs", canvas.BLUE, None),
}
"""Tag → name of the curve, its colour, and the target."""


class OutputCurve(NamedTuple):
    """One series: tag, updates (P,) and outputs (P,)."""

    tag: str
    steps: Array
    outputs: Array


def collect(moment: Moment, final: Mapping[str, float]) -> list[OutputCurve]:
    """Collect the recorded curves with their final numbers; none if `probes.prediction` is off."""
    curves: list[OutputCurve] = []
    series = moment.series
    if series is None:
        return curves
    for tag in NAMES:
        rows, outputs = series.of(tag)
        steps = series.steps[rows]
        if tag in final:
            steps, outputs = np.append(steps, moment.step), np.append(outputs, final[tag])
        finite = np.isfinite(outputs)
        if finite.sum() > 1:
            curves.append(OutputCurve(tag, steps[finite], outputs[finite]))
    return curves


def draw(found: list[OutputCurve], title: str) -> canvas.Figure:
    """Draw the curves over the updates."""
    keys = [(f"— {NAMES[one.tag][0]}", NAMES[one.tag][1]) for one in found]
    figure = canvas.new_figure(title, [*keys, ("– – target", canvas.GREY)])
    targets = [NAMES[one.tag][2] for one in found]
    every = [value for one in found for value in (one.outputs.min(), one.outputs.max())]
    every += [target for target in targets if target is not None]
    axes = canvas.new_axes(
        figure,
        canvas.BODY,
        x=(0.0, float(max(one.steps.max() for one in found))),
        y=canvas.padded(float(min(every)), float(max(every))),
        labels=("updates", "output y"),
    )
    for one, target in zip(found, targets, strict=True):
        if target is not None:
            axes.axhline(target, color=canvas.GREY, linewidth=1, linestyle="--")
        axes.plot(one.steps, one.outputs, color=NAMES[one.tag][1], linewidth=2)
    return figure
