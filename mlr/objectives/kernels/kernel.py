"""A kernel: the losses of one pair of head and loss, and their gradient, on logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

TensorFunction = Callable[[Tensor, Tensor], Tensor]
"""Logits z (…, K) and targets t (…, K) → a tensor."""

ClassFunction = Callable[..., Tensor]
"""Logits z and class numbers c, with the further arguments of `class_numbers`, → losses."""

MODERATE = 36.0
"""Logits within it have differences whose exponentials, and a million of these added up, are
numbers of float32."""


@dataclass(frozen=True)
class Kernel:
    """Two pure functions of logits z (…, K) and targets t (…, K), made of torch operations.

    Both compute in the type of the logits, float32 or float64, without a branch on any value.
    Training calls `gradient`, so that it has no spare operations.

    Attributes:
        losses: (z, t) → L (…), per example, summed over the outputs.
        gradient: (z, t) → dL/dz (…, K), of each example's own loss.
        differentiable: whether torch's own differentiation of `losses` is as exact as
            `gradient`; otherwise autograd is given `gradient` for it.
        hard_losses: the losses of hard targets and logits within ±`MODERATE`, in few operations
            that torch differentiates as exactly: for speed with autograd. None: no such form.
        hard: a kernel for targets of 0 and 1 alone, one-hot if there are several, with the same
            numbers in fewer operations. None: no such form.
        of_classes: the losses of K ≥ 2 class numbers, along any axis and with a derivative of its
            own, for speed with autograd and to save memory. None: one-hot rows are made of them.
    """

    losses: TensorFunction
    gradient: TensorFunction
    differentiable: bool = False
    hard_losses: TensorFunction | None = None
    hard: Kernel | None = None
    of_classes: ClassFunction | None = None


def times(weight: Tensor, cost: Tensor) -> Tensor:
    """Return the product with 0·∞ = 0: a class of weight 0 costs nothing."""
    return weight * cost.masked_fill((weight == 0) & cost.isinf(), 0.0)


def over_outputs(costs: Tensor) -> Tensor:
    """Sum costs ≥ 0 (…, K) over the outputs; of a single one it is no operation."""
    return costs[..., 0] if costs.shape[-1] == 1 else costs.sum(-1)


def sum_of_others(values: Tensor) -> Tensor:
    """Σ_{j≠k} v_j (…, K), summed at the largest, where the total less v_k would cancel."""
    index = values.abs().max(-1, keepdim=True).indices
    others = values.scatter(-1, index, 0.0).sum(-1, keepdim=True)
    return (others + values.gather(-1, index) - values).scatter(-1, index, others)


def is_moderate(z: Tensor) -> bool:
    """Tell if all logits are seen to lie within ±`MODERATE`; only those on the CPU are seen."""
    if not (z.is_cpu and z.numel()):
        return False
    low, high = torch.aminmax(z.detach())  # which needs no graph
    return low.item() > -MODERATE and high.item() < MODERATE
