"""Is the output saturated, and who is stuck there."""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, below


class Saturation(Probe):
    """Shares of flat outputs and of wrong examples without gradient.

    `saturation/fraction`: outputs with |dy_k/dz_k| < threshold, over all B·K of the batch.
    `stuck/fraction`: examples predicted wrongly with ‖dL/dz‖₂ < threshold, over all B.
    """

    def __init__(self, classification: bool, threshold: float) -> None:
        self.tags = ("saturation/fraction",) + (("stuck/fraction",) if classification else ())
        self.threshold = threshold

    def measure(self, values: StepValues) -> Tensor:
        """Shares in [0, 1] (P, R, tags)."""
        saturated = below(values.slopes.abs(), self.threshold).mean((-2, -1))
        if values.right is None:
            return saturated.unsqueeze(-1)
        stuck = below(values.gradient_sizes, self.threshold).mul_(values.wrong)
        return torch.stack((saturated, stuck.mean(-1)), dim=-1)
