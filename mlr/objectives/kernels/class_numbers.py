"""Softmax with cross-entropy of class numbers: no one-hot rows, and one array of the logits' size.

torch's own function keeps log y, and builds two more such arrays in its backward pass. Here the
exponentials e_j are kept, with −Σ of the others in the place of the true class: a number for
each example makes the gradient of them. The sum has the digits that 1 − y_c would lose.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from mlr.objectives.kernels.kernel import MODERATE


def softmax_ce_of_classes(z: Tensor, c: Tensor, axis: int) -> Tensor:
    """−log y_c (…) of logits z with K classes along `axis`, and class numbers c (…) without it."""
    losses: Tensor = _SoftmaxOfClasses.apply(z, c, axis)
    return losses


class _SoftmaxOfClasses(Function):
    """The gradient is y − t: y_j = e_j/Σe for j ≠ c, and −Σ of these at the true class c."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, c: Tensor, axis: int) -> Tensor:
        at = c.unsqueeze(axis)
        below = None
        if _is_moderate(z):
            e = z.exp()
        else:
            top = z.amax(axis, keepdim=True)
            e = (z - top).exp_()
            below = z.gather(axis, at) - top
        own = e.gather(axis, at)
        # from a tensor: a number takes twice the time
        others = _sum(e.scatter_(axis, at, torch.zeros_like(own)), axis)
        e.scatter_(axis, at, -others)
        if below is None:
            losses = (others / own).log1p_()
        else:
            # of the largest, own − 1 is 0, and the others are all that is left
            losses = (own - 1).add_(others).log1p_().sub_(below)
        ctx.axis = axis
        ctx.save_for_backward(z, at, e, own.add_(others).reciprocal_())
        return losses.squeeze(axis)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        z, at, e, per_sum = ctx.saved_tensors
        grad = grad.unsqueeze(ctx.axis)
        if torch.is_grad_enabled():  # a derivative of the derivative is wanted
            return _gradient(z, at, ctx.axis) * grad, None, None
        return e * (per_sum * grad), None, None


def _gradient(z: Tensor, at: Tensor, axis: int) -> Tensor:
    """y − t, made of operations that torch differentiates."""
    others = z.softmax(axis).scatter(axis, at, 0.0)
    return others.scatter(axis, at, -others.sum(axis, keepdim=True))


def _sum(e: Tensor, axis: int) -> Tensor:
    """Sum along the axis, which is kept; along the last, a product takes a third of the time."""
    if axis in (-1, e.dim() - 1) and e.is_contiguous():
        return e.matmul(_ones(e.shape[-1], e.dtype, e.device)).unsqueeze(-1)
    return e.sum(axis, keepdim=True)


@lru_cache(maxsize=64)
def _ones(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.ones(count, dtype=dtype, device=device)


def _is_moderate(z: Tensor) -> bool:
    """Tell if all logits are seen to lie within ±`MODERATE`; values elsewhere are not looked at."""
    if not (z.is_cpu and z.is_contiguous() and z.numel()):
        return False
    low, high = torch.aminmax(z)
    return low.item() > -MODERATE and high.item() < MODERATE
