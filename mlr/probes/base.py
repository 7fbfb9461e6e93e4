"""What a probe reads, and on which steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class StepValues:
    """One batch of each run at each of P logged steps, before the update of that step.

    Shapes: P points, R runs, B batch, K outputs, L layers.
    """

    logits: Tensor
    """z (P, R, B, K)"""
    logit_grads: Tensor
    """dL/dz (P, R, B, K) of each example's own loss, not divided by the batch size"""
    losses: Tensor
    """L (P, R, B)"""
    slopes: Tensor
    """dy_k/dz_k (P, R, B, K)"""
    right: Tensor | None
    """1.0 where predicted rightly, else 0.0 (P, R, B), for numbers add up faster than truths;
    None for regression"""
    layer_grad_norms: Tensor
    """‖∂ mean L/∂ layer‖ (P, R, L)"""
    spreads: Tensor | None = None
    """predicted standard deviations (P, R, B, targets); None for heads that predict none"""

    @cached_property
    def gradient_sizes(self) -> Tensor:
        """‖dL/dz‖₂ (P, R, B): how hard each example pulls on its own logits."""
        return lengths(self.logit_grads)

    @cached_property
    def wrong(self) -> Tensor:
        """1.0 where predicted wrongly, else 0.0 (P, R, B)."""
        assert self.right is not None
        return 1 - self.right


class Probe(ABC):
    """A family of numbers: `tags` names them, `measure` computes them (P, R, tags)."""

    tags: tuple[str, ...]

    @abstractmethod
    def measure(self, values: StepValues) -> Tensor:
        """One number (P, R, tags) a point, run and tag; NaN where there is nothing to measure."""


def mean_over(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the last axis of the entries whose weight `chosen` is 1, not 0; NaN for none."""
    return (values * chosen).sum(-1) / chosen.sum(-1)


def below(values: Tensor, threshold: float) -> Tensor:
    """1.0 where v < threshold, else 0.0, NaN included: a tenth of the time of truths."""
    return torch.lt(values, threshold, out=torch.empty_like(values))


def lengths(vectors: Tensor) -> Tensor:
    """‖v‖₂ (…) of vectors (…, K); a sum of squares over few K is faster than torch's norm."""
    if vectors.shape[-1] == 1:
        return vectors[..., 0].abs()
    return vectors.square().sum(-1).sqrt()
