"""Probe families, one per module: `logit_gradient.py` has the class `LogitGradient`.

To add a probe, write one file and one line:

1. `mlr/probes/families/<name>.py` with a class `<Name>(Probe)`: `tags` in its constructor,
   `measure` from `StepValues` to numbers, `reads` for the optional fields it needs.
2. A line in `FAMILIES` below.

The option `probes.<name>`, its place in --help and in `probes=full`, its schedules and the columns
of metrics.csv follow from that line. Tags of a new group get their own charts in TensorBoard.
Tests ask by name for twins of its numbers that share no code with it: in plain Python, in
`tests/probes/test_probes.py`, and by autograd, in `tests/training` and `tests/loop`.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mlr.probes.base import Probe


class Family(NamedTuple):
    """A family of numbers by its name, which is that of its module and of its option.

    summary: its description in --help.
    basic: whether `probes=basic`, the default, measures it.
    """

    name: str
    summary: str
    basic: bool = False


FAMILIES = (
    Family("performance", "loss and accuracy of the batch", basic=True),
    Family("prediction", "mean output y by target"),
    Family(
        "logit_gradient", "‖dL/dz‖: mean, quantiles, of wrong and of right predictions", basic=True
    ),
    Family(
        "saturation", "share of flat outputs, and of wrong examples without gradient", basic=True
    ),
    Family("confidence", "‖dL/dz‖ by confidence of the prediction"),
    Family("classes", "|dL/dz_k| over the examples of each class k"),
    Family("slopes", "dy/dz of the head and dL/dy of the loss, separately"),
    Family(
        "gradient_norm", "norm of the gradient of the parameters, in total and by layer", basic=True
    ),
    Family("nonfinite", "number of values that are not finite, and where", basic=True),
    Family("sample_gradient", "norm of each example's gradient, and signal-to-noise ratio"),
    Family("ratios", "gradient/weight and update/weight ratios, by layer"),
    Family("direction", "cosine between successive gradients"),
    Family("units", "share of dead and of saturated hidden units, by layer"),
)
"""In the order of the columns of metrics.csv; free of torch."""


def families_on(preset: str) -> dict[str, bool]:
    """Options of all families in the preset: off has none on, basic the basic ones, full all."""
    return {one.name: preset == "full" or (preset == "basic" and one.basic) for one in FAMILIES}


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
