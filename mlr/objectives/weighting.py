"""Weights and smoothing around a kernel: L = S · ℓ(z, q), with a factor S and targets q.

A loss that is linear in its targets, Σ_k w_k t_k f(y_k), is S times the loss of the targets
q = w ⊙ t / S, S = Σ_k w_k t_k, so that kernels know no weights and lose no digits. Of hard
targets q = t, and S is the weight of the class.
"""

from __future__ import annotations

from enum import Enum

import torch
from torch import Tensor

from mlr.heads.base import Head
from mlr.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    SmoothedCrossEntropy,
    SquaredError,
)
from mlr.losses.base import Loss
from mlr.objectives.kernels.kernel import Kernel
from mlr.objectives.kernels.linear import LINEAR_SE
from mlr.objectives.kernels.sigmoid import SIGMOID_BCE
from mlr.objectives.kernels.softmax import SOFTMAX_CE
from mlr.objectives.validation import target_region

Weighed = tuple[Tensor, Tensor]
"""Targets q, and the factor S."""


class Weighs(Enum):
    """The things that weights are of, by the pair of head and loss."""

    CLASSES = "Σ_k w_k t_k f(y_k): each class in the targets"
    OUTPUTS = "Σ_k w_k ℓ(y_k, t_k): each output, as torch's losses of single outputs"
    EXAMPLES = "Σ_k w_k t_k · L: each example, by its class"
    NOTHING = "weights would mean nothing"


def weighs(head: Head, loss: Loss, kernel: Kernel) -> Weighs:
    """Find what the weights of a pair are of."""
    if head.range.per_target > 1 or loss.domain.per_target > 1:
        return Weighs.NOTHING
    if loss.linear_in_targets or isinstance(loss, SmoothedCrossEntropy) or kernel is SOFTMAX_CE:
        return Weighs.CLASSES
    if head.range.least_outputs == 1 and target_region(head, loss).least_outputs == 1:
        return Weighs.OUTPUTS
    return Weighs.EXAMPLES


def takes_pos_weight(head: Head, loss: Loss, kernel: Kernel) -> bool:
    """Tell if each output's loss is t f(y) + (1 − t) f(1 − y) by itself."""
    of_outputs = weighs(head, loss, kernel) is Weighs.OUTPUTS
    return of_outputs and (isinstance(loss, BinaryCrossEntropy) or kernel is SIGMOID_BCE)


def smoothed(t: Tensor, share: float) -> Tensor:
    """(1 − ε)t + ε/K of targets (…, K); K is 2 for one output."""
    return (1 - share) * t + share / max(t.shape[-1], 2)


def of_classes(weight: Tensor, t: Tensor, hard: bool) -> Weighed:
    """q (…, K) and S = Σ_k w_k t_k (…); of one output the weights are those of 0 and 1."""
    if t.shape[-1] == 1:
        q, factor = of_yes_and_no(weight[1], weight[0], t, hard)
        return q, factor[..., 0]
    mass = weight * t
    factor = mass.sum(-1)
    return (t if hard else _shares(mass, factor.unsqueeze(-1), t)), factor


def of_yes_and_no(yes: Tensor, no: Tensor | float, t: Tensor, hard: bool) -> Weighed:
    """q and S = w₁ t + w₀ (1 − t), each (…, K), of outputs that are a question each."""
    mass = yes * t
    factor = mass + no * (1 - t)
    return (t if hard else _shares(mass, factor, t)), factor


def of_examples(weight: Tensor, t: Tensor) -> Tensor:
    """Σ_k w_k t_k (…); of one output the weights are those of 0 and 1."""
    return of_classes(weight, t, True)[1]


def _shares(mass: Tensor, whole: Tensor, t: Tensor) -> Tensor:
    """Mass / whole; the targets where all is 0, which a factor of 0 multiplies later."""
    nothing = whole == 0
    return torch.where(nothing, t, mass / whole.masked_fill(nothing, 1.0))


def is_normalised(loss: Loss, kernel: Kernel) -> bool:
    """Tell if torch's mean is divided by the weights of the outputs, and not by their number.

    `F.mse_loss` and `F.l1_loss` are, `F.binary_cross_entropy_with_logits` is not.
    """
    return isinstance(loss, (SquaredError, AbsoluteError)) or kernel is LINEAR_SE
