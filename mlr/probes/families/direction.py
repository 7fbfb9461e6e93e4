"""Cosine of successive gradients: near 1 the step may grow, below 0 it overshoots."""

from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject


class Direction(Probe):
    """`grad_cosine/total`: cos(g_s, g_{s−1}) of the gradients of this step and the one before.

    NaN at the first step, and where one of them is 0.
    """

    reads = frozenset({"cosine"})

    def __init__(self, subject: Subject, threshold: float) -> None:
        self.tags = ("grad_cosine/total",)

    def measure(self, values: StepValues) -> Tensor:
        """Return the cosines (P, R, 1)."""
        return values.network["cosine"].unsqueeze(-1)
