"""Histograms of whole tensors: equal bins between the smallest and largest finite value."""

from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = TypeVar("Array")

BINS = 30
LEAST_WIDTH = 1e-12
"""Smallest width of all bins together, for constant tensors."""


class Histogram(NamedTuple, Generic[Array]):
    """Counts and moments of tensors or arrays, as in an event file, without `edges`."""

    counts: Array
    """(…, BINS)"""
    minimum: Array
    """(…)"""
    maximum: Array
    """(…)"""
    total: Array
    """Σ v (…)"""
    total_squares: Array
    """Σ v² (…)"""


def histogram(values: Tensor) -> Histogram[Tensor]:
    """Compute histograms over the last axis of `values` (…, N), in float64.

    Non-finite entries are left out; the probe `nonfinite` counts them.
    """
    if values.device.type == "mps":  # has no float64
        values = values.cpu()
    low, high = values.amin(-1).double(), values.amax(-1).double()
    finite, known = None, values.to(torch.float64, copy=True)
    if not bool((low.isfinite() & high.isfinite()).all()):
        finite = values.isfinite()
        low = values.where(finite, torch.inf).amin(-1).double()
        high = values.where(finite, -torch.inf).amax(-1).double()
        low, high = low.where(low.isfinite(), 0.0), high.where(high.isfinite(), 0.0)
        known = values.where(finite, 0.0).double()
    width = (high - low).clamp(min=LEAST_WIDTH) / BINS
    total, total_squares = known.sum(-1), known.square().sum(-1)
    bins = known.sub_(low[..., None]).div_(width[..., None]).clamp_(0, BINS - 1).long()
    return Histogram(_counts(bins, finite), low, high, total, total_squares)


def _counts(bins: Tensor, counted: Tensor | None) -> Tensor:
    """Count each bin (…, BINS) in bins (…, N), over the entries in `counted`."""
    rows = bins.shape[:-1].numel()
    starts = torch.arange(0, rows * BINS, BINS, device=bins.device).view(*bins.shape[:-1], 1)
    bins += starts
    if counted is not None:
        bins = bins.where(counted, rows * BINS)
    # in memory order, which needs no copy
    axes = sorted(range(bins.dim()), key=bins.stride, reverse=True)
    found = torch.bincount(bins.permute(axes).reshape(-1), minlength=rows * BINS)
    return found[: rows * BINS].view(*bins.shape[:-1], BINS).int()


def edges(minimum: NDArray[np.float64], maximum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the right edges (…, BINS) of the bins between these (…)."""
    width = np.maximum(maximum - minimum, LEAST_WIDTH) / BINS
    return minimum[..., None] + width[..., None] * np.arange(1, BINS + 1)
