"""Who gets gradient: ‖dL/dz‖₂ per example, and split by wrong and right predictions."""

from __future__ import annotations

import numpy as np
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
        columns = [sizes.mean(-1), _median(sizes), sizes.amax(-1)]
        if values.right is not None:
            columns += [mean_over(sizes, 1 - values.of_right), mean_over(sizes, values.of_right)]
        return torch.stack(columns, dim=-1)


def _median(sizes: Tensor) -> Tensor:
    """Over the last axis; NaN if one is."""
    count = sizes.shape[-1]
    if sizes.device.type == "cpu":  # numpy sorts short rows ten times as fast
        ordered = torch.from_numpy(np.sort(sizes.numpy(), axis=-1))
    else:
        ordered = sizes.sort(-1).values
    middle = (ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2
    return middle.where(~ordered[..., -1].isnan(), torch.nan)
