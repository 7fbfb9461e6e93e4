"""Settings of the probes, and their schedules: checked before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mlr.core.checks import positive, whole
from mlr.probes.schedules import Schedule

FAMILIES = (
    *("performance", "prediction", "logit_gradient", "saturation", "confidence", "classes"),
    *("slopes", "gradient_norm", "nonfinite", "sample_gradient", "ratios", "direction", "units"),
)
"""In the order of the columns of metrics.csv."""
HISTOGRAMS = "histograms"


@dataclass(frozen=True)
class ProbeSettings:
    """What is measured, when, and from which threshold on.

    A family is true (as often as `points` says), false, or has a schedule of its own. A
    schedule is a number of points, every:n or log_spaced:n, see `Schedule`. A step on which
    nothing is due costs nothing.

    Args:
        points: the schedule of all families that are true.
        performance: loss and accuracy of the batch.
        prediction: mean output y, by its target.
        logit_gradient: ‖dL/dz‖: mean, quantiles, of wrong and of right predictions.
        saturation: shares of flat outputs, and of wrong examples without gradient.
        confidence: ‖dL/dz‖ of wrong and right predictions by their confidence.
        classes: |dL/dz_k| of the examples of each class k.
        slopes: the head's dy/dz and the loss's dL/dy apart.
        gradient_norm: norm of the parameters' gradient, in all and by layer.
        nonfinite: how many numbers are not finite, and where.
        sample_gradient: norms of single examples' gradients, and signal to noise.
        ratios: gradient to weight and update to weight, by layer.
        direction: cosine between the gradients of successive steps.
        units: dead and saturated hidden units, by layer.
        histograms: of logits and dL/dz.
        figures: moments of a run that have figures, the end among them.
        threshold: slopes and gradients below it count as saturated, as stuck.

    Raises:
        InputError: a schedule that is none, or a number out of range.
    """

    points: int | str = 200
    performance: bool | int | str = True
    prediction: bool | int | str = False
    logit_gradient: bool | int | str = True
    saturation: bool | int | str = True
    confidence: bool | int | str = False
    classes: bool | int | str = False
    slopes: bool | int | str = False
    gradient_norm: bool | int | str = True
    nonfinite: bool | int | str = True
    sample_gradient: bool | int | str = False
    ratios: bool | int | str = False
    direction: bool | int | str = False
    units: bool | int | str = False
    histograms: bool | int | str = 50
    figures: int = 1
    threshold: float = 0.01

    def __post_init__(self) -> None:
        Schedule.of("probes.points", self.points)
        assert self.schedules  # each of them is read, and so judged
        whole("probes.figures", self.figures, at_least=0)
        positive("probes.threshold", self.threshold)

    @cached_property
    def schedules(self) -> dict[str, Schedule]:
        """Of each family, and of the histograms."""
        found = {}
        for name in (*FAMILIES, HISTOGRAMS):
            value = getattr(self, name)
            if isinstance(value, bool):
                value = self.points if value else 0
            found[name] = Schedule.of(f"probes.{name}", value)
        return found

    @property
    def families(self) -> tuple[str, ...]:
        """Those that are measured at all."""
        return tuple(name for name in FAMILIES if self.schedules[name].number)

    def due(self, total_steps: int) -> dict[int, frozenset[str]]:
        """What is due on which of the steps 0 … total_steps − 1, in order; others are left out.

        Histograms stand at steps that have numbers too, where there are any.
        """
        numbers: dict[int, set[str]] = {}
        for name in self.families:
            for step in self.schedules[name].steps(total_steps):
                numbers.setdefault(step, set()).add(name)
        found = {step: numbers[step] for step in sorted(numbers)}
        bars = self.schedules[HISTOGRAMS]
        if bars.kind == "evenly" and bars.number and found:
            chosen = list(found)[:: -(-len(found) // bars.number)]
        else:
            chosen = bars.steps(total_steps)
        for step in chosen:
            found.setdefault(step, set()).add(HISTOGRAMS)
        return {step: frozenset(found[step]) for step in sorted(found)}

    def most_steps(self, total_steps: int) -> int:
        """About how many of the steps are measured, at most."""
        numbers = [
            total_steps // schedule.number if schedule.kind == "every" else schedule.number
            for schedule in self.schedules.values()
            if schedule.number
        ]
        return min(total_steps, max(numbers, default=0))
