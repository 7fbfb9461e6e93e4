"""Shares of saturated outputs, and of wrong examples without gradient."""

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject, below


class Saturation(Probe):
    """Shares of saturated outputs and of examples without gradient.

    `saturation/fraction`: outputs with |dy_k/dz_k| < threshold, over all B·K of the batch.
    `zero_grad/fraction`: examples whose dL/dz is exactly 0, over all B.
    `stuck/fraction`: examples predicted wrongly with ‖dL/dz‖₂ < threshold, over all B.
    `stuck/zero`: examples predicted wrongly whose dL/dz is exactly 0, over all B.
    """

    def __init__(self, subject: Subject, threshold: float) -> None:
        self.tags = ("saturation/fraction", "zero_grad/fraction")
        if subject.judged:
            self.tags += ("stuck/fraction", "stuck/zero")
        self.threshold = threshold

    def measure(self, values: StepValues) -> Tensor:
        """Compute shares in [0, 1] (P, R, tags)."""
        sizes = values.gradient_sizes
        zero = torch.eq(sizes, 0, out=torch.empty_like(sizes))
        shares = [below(values.slopes.abs(), self.threshold).mean((-2, -1)), zero.mean(-1)]
        if values.right is not None:
            stuck = below(sizes, self.threshold).mul_(values.wrong)
            shares += [stuck.mean(-1), zero.mul_(values.wrong).mean(-1)]
        return torch.stack(shares, dim=-1)
