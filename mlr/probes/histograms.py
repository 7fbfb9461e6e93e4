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
    values = values.double()
    finite = values.isfinite()
    low = values.where(finite, torch.inf).amin(-1)
    high = values.where(finite, -torch.inf).amax(-1)
    low, high = low.where(low.isfinite(), 0.0), high.where(high.isfinite(), 0.0)
    # a constant tensor still needs a bin of some width
    width = (high - low).clamp(min=1e-12) / BINS
    edges = low[..., None] + width[..., None] * torch.arange(1, BINS + 1, device=values.device)
    known = values.where(finite, 0.0)
    bins = ((known - low[..., None]) / width[..., None]).long().clamp(0, BINS - 1)
    counts = torch.zeros_like(edges).scatter_add_(-1, bins, finite.double())
    return Histogram(edges, counts, low, high, known.sum(-1), known.square().sum(-1))
