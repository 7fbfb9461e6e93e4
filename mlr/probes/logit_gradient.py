"""Who gets gradient: ‖dL/dz‖₂ per example, and split by wrong and right predictions."""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, mean_over


class LogitGradient(Probe):
    """Mean, median and largest ‖dL/dz‖₂ in the batch; mean over wrong and over right examples."""

    def __init__(self, classification: bool) -> None:
        self.tags = ("logit_grad/mean", "logit_grad/median", "logit_grad/max")
        if classification:
            self.tags += ("logit_grad/wrong", "logit_grad/right")

    def measure(self, values: StepValues) -> Tensor:
        """Statistics over B (P, R, tags); `wrong` is NaN in a batch without wrong examples."""
        sizes = values.gradient_sizes
        ordered = sizes.sort(-1).values
        count = sizes.shape[-1]
        median = (ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2
        columns = [sizes.mean(-1), median, ordered[..., -1]]
        if values.right is not None:
            columns += [mean_over(sizes, ~values.right), mean_over(sizes, values.right)]
        return torch.stack(columns, dim=-1)
