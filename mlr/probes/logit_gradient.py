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
        mean = sizes.mean(-1)
        # one NaN makes both NaN
        columns = [mean, _median(sizes).where(~mean.isnan(), torch.nan), sizes.amax(-1)]
        if values.right is not None:
            columns += [mean_over(sizes, values.wrong), mean_over(sizes, values.right)]
        return torch.stack(columns, dim=-1)


def _median(sizes: Tensor) -> Tensor:
    """Over the last axis, of numbers ≥ 0."""
    count = sizes.shape[-1]
    if sizes.is_cpu:  # numpy sorts short rows ten times as fast
        # the bits of numbers ≥ 0 are in the order of the numbers, and whole ones sort faster
        bits = torch.int32 if sizes.dtype == torch.float32 else torch.int64
        rows = sizes.contiguous().view(bits).numpy()
        ordered = torch.from_numpy(np.sort(rows, axis=-1)).view(sizes.dtype)
    else:
        ordered = sizes.sort(-1).values
    return (ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2
