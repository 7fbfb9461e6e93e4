"""Size of each example's ‖dL/dz‖₂, also split by wrong and right predictions."""

from math import ceil

import numpy as np
import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject, mean_over

QUANTILES = {"q10": 0.1, "median": 0.5, "q90": 0.9}


class LogitGradient(Probe):
    """Mean, quantiles and maximum of ‖dL/dz‖₂; means over wrong and over right examples."""

    def __init__(self, subject: Subject, threshold: float) -> None:
        names = ("mean", *QUANTILES, "max")
        if subject.judged:
            names += ("wrong", "right")
        self.tags = tuple(f"logit_grad/{name}" for name in names)

    def measure(self, values: StepValues) -> Tensor:
        """Compute statistics over B (P, R, tags); `wrong` is NaN without wrong examples."""
        sizes = values.gradient_sizes
        mean = sizes.mean(-1)
        columns = [mean]
        # one NaN makes all of them NaN
        columns += [one.where(~mean.isnan(), torch.nan) for one in _quantiles(sizes)]
        columns.append(sizes.amax(-1))
        if values.right is not None:
            columns += [mean_over(sizes, values.wrong), mean_over(sizes, values.right)]
        return torch.stack(columns, dim=-1)


def _quantiles(sizes: Tensor) -> list[Tensor]:
    """`QUANTILES` over the last axis of numbers ≥ 0, linear between the two nearest."""
    if sizes.is_cpu:  # numpy sorts short rows ten times as fast
        # the bits of numbers ≥ 0 are in the order of the numbers, and whole ones sort faster
        bits = torch.int32 if sizes.dtype == torch.float32 else torch.int64
        rows = sizes.contiguous().view(bits).numpy()
        ordered = torch.from_numpy(np.sort(rows, axis=-1)).view(sizes.dtype)
    else:
        ordered = sizes.sort(-1).values
    found = []
    for quantile in QUANTILES.values():
        place = quantile * (sizes.shape[-1] - 1)
        low, high = ordered[..., int(place)], ordered[..., ceil(place)]
        found.append(torch.lerp(low, high, place - int(place)))
    return found
