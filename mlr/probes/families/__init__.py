"""Probe families, one per module: `logit_gradient.py` has the class `LogitGradient`.

To add a probe, write one file and one line:

1. `mlr/probes/families/<name>.py` with a class `<Name>(Probe)`: `tags` in its constructor,
   `measure` from `StepValues` to numbers, `reads` for the optional fields it needs.
2. A line in `FAMILIES` below.

The option `probes.<name>`, its schedules, the columns of metrics.csv and the presets of
`GradientProbe` follow from that line. `+probes.<name>=true` sets it, or `probes` of an experiment;
a family that stays in mlr has a line in each file of `configs/probes/` too (a test asks for it), so
that `probes=full` and --help have it, and it is set without the plus. Tags of a new group get their
own charts in TensorBoard.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mlr.probes.base import Probe


class Family(NamedTuple):
    """A family of numbers by its name, which is that of its module and of its option.

    basic: whether it is measured by default.
    """

    name: str
    summary: str
    basic: bool = False


FAMILIES = (
    Family("performance", "loss and accuracy of the batch", basic=True),
    Family("prediction", "mean output y by target"),
    Family("logit_gradient", "‖dL/dz‖: mean, quantiles, by wrong and right", basic=True),
    Family("saturation", "flat outputs, and wrong examples without gradient", basic=True),
    Family("confidence", "‖dL/dz‖ by confidence of the prediction"),
    Family("classes", "|dL/dz_k| over the examples of each class k"),
    Family("slopes", "dy/dz of the head and dL/dy of the loss, separately"),
    Family("gradient_norm", "norm of the parameters' gradient, by layer", basic=True),
    Family("nonfinite", "number of values that are not finite", basic=True),
    Family("sample_gradient", "norm of each example's gradient, and signal to noise"),
    Family("ratios", "gradient to weight and update to weight, by layer"),
    Family("direction", "cosine between successive gradients"),
    Family("units", "dead and saturated hidden units, by layer"),
)
"""In the order of the columns of metrics.csv; free of torch."""


def probe_class(family: str) -> type[Probe]:
    """Import the class that measures a family."""
    name = family.title().replace("_", "")
    kind: type[Probe] = getattr(import_module(f"{__name__}.{family}"), name)
    return kind


@lru_cache(maxsize=256)
def fields_read(due: frozenset[str]) -> frozenset[str]:
    """Optional fields of the step values that the due families read; other names read none."""
    known = due & {family.name for family in FAMILIES}
    return frozenset().union(*(probe_class(name).reads for name in known))
