"""What a probe reads, and of which runs it can."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from mlr.probes.network import NetworkValues


@dataclass(frozen=True)
class Subject:
    """What there is to measure in a run.

    classes: how many; None for regression.
    spread: whether standard deviations are predicted.
    layers: names of the layers with parameters.
    dense: which of them are dense: the gradients of single examples are known there.
    hidden: which of them have units that can be dead or flat.
    """

    classes: int | None
    spread: bool = False
    layers: tuple[str, ...] = ()
    dense: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepValues:
    """One batch of each run at each of P measured steps, before the update of that step.

    What no due family reads may be None. Shapes: P points, R runs, B batch, K outputs.
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
    spreads: Tensor | None = None
    """predicted standard deviations (P, R, B, targets); None for heads that predict none"""
    labels: Tensor | None = None
    """the number of each example's class, in the type of the logits (P, R, B)"""
    predictions: Tensor | None = None
    """y (P, R, B, K)"""
    prediction_grads: Tensor | None = None
    """dL/dy (P, R, B, K); NaN for a loss that is no function of predictions"""
    network: NetworkValues | None = None
    """what the parameters and layers came to, with leading axes (P, R)"""

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

    family: ClassVar[str]
    """its name among the settings"""
    tags: tuple[str, ...]
    """what a run of the subject it was made for has; none where there is nothing to measure"""

    @abstractmethod
    def measure(self, values: StepValues) -> Tensor:
        """One number (P, R, tags) a point, run and tag; NaN where there is nothing to measure."""


def mean_over(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the last axis of the entries whose weight `chosen` is 1, not 0; NaN for none.

    An entry that is not chosen must be finite, for 0·∞ is NaN.
    """
    return (values * chosen).sum(-1) / chosen.sum(-1)


def below(values: Tensor, threshold: float) -> Tensor:
    """1.0 where v < threshold, else 0.0, NaN included: a tenth of the time of truths."""
    return torch.lt(values, threshold, out=torch.empty_like(values))


def lengths(vectors: Tensor) -> Tensor:
    """‖v‖₂ (…) of vectors (…, K); a sum of squares over few K is faster than torch's norm."""
    if vectors.shape[-1] == 1:
        return vectors[..., 0].abs()
    return vectors.square().sum(-1).sqrt()


def square_lengths(vectors: Tensor) -> Tensor:
    """‖v‖₂² (…) of vectors (…, D) of any length."""
    if vectors.stride(-1) == 1:  # the norm is one pass through memory, a square is two
        return torch.linalg.vector_norm(vectors, dim=-1).square_()
    return vectors.square().sum(-1)
