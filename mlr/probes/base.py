"""Values of measured steps, and the interface of the probes that read them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Subject:
    """Properties of a run that decide which numbers it has.

    classes: number of classes; None for regression and for several labels.
    multilabel: whether targets are yes/no labels, of which any number may be 1.
    spread: whether standard deviations are predicted.
    layers: names of the layers with parameters.
    dense: names of the dense layers, for which gradients of single examples are known.
    hidden: names of the layers with units that can be dead or flat.
    """

    classes: int | None
    spread: bool = False
    layers: tuple[str, ...] = ()
    dense: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    multilabel: bool = False

    @property
    def judged(self) -> bool:
        """Tell if predictions are right or wrong."""
        return self.classes is not None or self.multilabel


@dataclass(frozen=True)
class StepValues:
    """One batch of each run at each of P measured steps, before the update of that step.

    Optional fields that no due family reads are None, or missing in `network`. Shapes: P points,
    R runs, B batch, K outputs; N layers, D of them dense, H with hidden units.
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
    """1.0 for correct predictions, else 0.0 (P, R, B); None for regression. Of several labels all
    must be right. Floats are summed several times as fast as booleans"""
    spreads: Tensor | None = None
    """predicted standard deviations (P, R, B, targets); None for heads that predict none"""
    labels: Tensor | None = None
    """class index of each example, in the dtype of the logits (P, R, B)"""
    predictions: Tensor | None = None
    """y (P, R, B, K)"""
    points: Tensor | None = None
    """the number that stands for each target of a regression (P, R, B, targets)"""
    prediction_grads: Tensor | None = None
    """dL/dy (P, R, B, K); NaN for a loss that is no function of predictions"""
    network: Mapping[str, Tensor] = field(default_factory=dict)
    """layer statistics, reduced at the step because layers are too large to keep:

    - gradient_norms: ‖∂ mean L/∂θ‖₂ of each layer (P, R, N), before clipping
    - nonfinite: number of non-finite entries in each layer's gradient (P, R, N)
    - sample_squares: ‖∂L_i/∂θ‖₂² of each dense layer and example (P, R, D, B)
    - weight_norms: ‖θ‖₂ of each layer before the update (P, R, N)
    - update_norms: ‖Δθ‖₂ of each layer (P, R, N)
    - cosine: cos(g_s, g_{s−1}) of this and the previous step's gradients (P, R)
    - dead: share of each hidden layer's units that are 0 for the whole batch (P, R, H)
    - flat: share of its activations with |φ'(z)| below the threshold (P, R, H)
    """
    label_targets: Tensor | None = None
    """t (P, R, B, K) of several labels; None for other data"""
    right_labels: Tensor | None = None
    """1.0 for each label predicted rightly, else 0.0 (P, R, B, K); None for other data"""
    broken: Tensor | None = None
    """whether a run's numbers are no longer finite (P, R, 1): its NaN are values, not gaps"""

    @cached_property
    def gradient_sizes(self) -> Tensor:
        """‖dL/dz‖₂ (P, R, B): the size of each example's gradient at its logits."""
        return lengths(self.logit_grads)

    @cached_property
    def wrong(self) -> Tensor:
        """1.0 for wrong predictions, else 0.0 (P, R, B)."""
        assert self.right is not None
        return 1 - self.right


class Probe(ABC):
    """A family of numbers: `tags` names them, `measure` computes them (P, R, tags)."""

    reads: ClassVar[frozenset[str]] = frozenset()
    """optional fields of `StepValues` and of its `network` that `measure` needs"""
    tags: tuple[str, ...]
    """names of the numbers for its subject; empty if there is nothing to measure"""

    @abstractmethod
    def __init__(self, subject: Subject, threshold: float) -> None:
        """Set `tags`.

        Args:
            subject: properties of the run.
            threshold: slopes and gradients below it count as saturated and stuck.
        """

    @abstractmethod
    def measure(self, values: StepValues) -> Tensor:
        """Compute one number per point, run and tag (P, R, tags); NaN where there is none."""


def mean_over(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the last axis of the entries whose weight `chosen` is 1, not 0; NaN for none.

    An entry that is not chosen must be finite, for 0·∞ is NaN.
    """
    return (values * chosen).sum(-1) / chosen.sum(-1)


def below(values: Tensor, threshold: float) -> Tensor:
    """1.0 where v < threshold, else 0.0, also for NaN; ten times as fast as booleans."""
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
