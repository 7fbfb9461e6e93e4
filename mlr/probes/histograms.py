"""How a whole tensor is spread: equal bins between its smallest and largest finite value."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BINS = 30


class Histogram(NamedTuple):
    """Counts of tensors: what an event file's histogram holds."""

    limits: Tensor
    """right edges (…, BINS)"""
    counts: Tensor
    """(…, BINS)"""
    minimum: Tensor
    """(…)"""
    maximum: Tensor
    """(…)"""
    total: Tensor
    """Σ v (…)"""
    total_squares: Tensor
    """Σ v² (…)"""


def histogram(values: Tensor) -> Histogram:
    """Histogram over the last axis of `values` (…, N), in float64.

    Non-finite entries are left out here; the run's loss tells of them.
    """
    if values.device.type == "mps":  # which has no float64
        values = values.cpu()
    finite = values.isfinite()
    if bool(finite.all()):
        low, high = (edge.double() for edge in values.aminmax(dim=-1))
        known, weights = (
            values.to(torch.float64, copy=True),
            values.new_ones(1, dtype=torch.float64),
        )
    else:
        low = values.where(finite, torch.inf).amin(-1).double()
        high = values.where(finite, -torch.inf).amax(-1).double()
        low, high = low.where(low.isfinite(), 0.0), high.where(high.isfinite(), 0.0)
        known, weights = values.where(finite, 0.0).double(), finite.double()
    # a constant tensor still needs a bin of some width
    width = (high - low).clamp(min=1e-12) / BINS
    edges = low[..., None] + width[..., None] * torch.arange(1, BINS + 1, device=values.device)
    total, total_squares = known.sum(-1), known.square().sum(-1)
    bins = known.sub_(low[..., None]).div_(width[..., None]).long().clamp_(0, BINS - 1)
    counts = torch.zeros_like(edges).scatter_add_(-1, bins, weights.expand(bins.shape))
    return Histogram(edges, counts, low, high, total, total_squares)
