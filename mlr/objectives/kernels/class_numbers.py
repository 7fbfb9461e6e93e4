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

from mlr.objectives.kernels.kernel import is_moderate


def softmax_ce_of_classes(
    z: Tensor,
    c: Tensor,
    axis: int = -1,
    weight: Tensor | None = None,
    total: Tensor | float | None = None,
) -> Tensor:
    """−w log y_c (…), or its sum by a total (), of class numbers c.

    Weights and the sum are made here because each operation with a gradient takes as long as
    a thousand examples.

    Args:
        z: logits with K ≥ 2 classes along `axis`.
        c: class numbers (…), without that axis.
        axis: of the classes.
        weight: of each example, w (…), without a gradient; one of weight 0 has loss and
            gradient 0.
        total: what the sum over the examples is divided by; None for no sum.
    """
    losses: Tensor = _SoftmaxOfClasses.apply(z, c, axis, weight, total)
    return losses


class _SoftmaxOfClasses(Function):
    """The gradient is y − t: y_j = e_j/Σe for j ≠ c, and −Σ of these at the true class c."""

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        c: Tensor,
        axis: int,
        weight: Tensor | None,
        total: Tensor | float | None,
    ) -> Tensor:
        at = c.unsqueeze(axis)
        below = None
        if is_moderate(z):
            e = z.exp()
        else:
            top = z.amax(axis, keepdim=True)
            e = (z - top).exp_()
            below = z.gather(axis, at) - top
        own = e.gather(axis, at)
        # from a tensor in memory: a number, or one that is expanded, takes twice the time
        others = _sum(e.scatter_(axis, at, torch.zeros_like(own)), axis)
        e.scatter_(axis, at, others.neg())
        if below is None:
            losses = (others / own).log1p_()
        else:
            # of the largest, own − 1 is 0, and the others are all that is left
            losses = (own - 1).add_(others).log1p_().sub_(below)
        per_sum = own.add_(others).reciprocal_()
        if weight is not None:
            weight = weight.unsqueeze(axis)
            if below is not None:  # 0·∞ = 0, which moderate logits have not
                nothing = weight == 0
                for each in (losses, per_sum, e):
                    each.masked_fill_(nothing, 0.0)
            losses.mul_(weight)
            per_sum.mul_(weight)
        ctx.axis, ctx.total = axis, total
        ctx.save_for_backward(z, at, e, per_sum, weight)
        return losses.squeeze(axis) if total is None else losses.sum() / total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, at, e, per_sum, weight = ctx.saved_tensors
        total = ctx.total
        grad = grad.unsqueeze(ctx.axis) if total is None else grad / total
        may_be_zero = total is not None and (isinstance(total, Tensor) or not total)
        if torch.is_grad_enabled():  # a derivative of the derivative is wanted
            grad = grad.expand(at.shape)
            if weight is not None:
                grad = (grad * weight).masked_fill(weight == 0, 0.0)
            return _gradient(z, at, ctx.axis) * grad, *(None,) * 4
        each = per_sum * grad
        if weight is not None and may_be_zero:
            each.masked_fill_(weight == 0, 0.0)
        return e * each, *(None,) * 4


def _gradient(z: Tensor, at: Tensor, axis: int) -> Tensor:
    """y − t, made of operations that torch differentiates."""
    others = z.softmax(axis).scatter(axis, at, 0.0)
    return others.scatter(axis, at, -others.sum(axis, keepdim=True))


def _sum(e: Tensor, axis: int) -> Tensor:
    """Sum along the axis, which is kept; along the last, a product takes a third of the time."""
    # autocast would round the product to half precision
    if e.numel() > MANY and axis in (-1, e.dim() - 1) and _is_plain(e):
        return e.matmul(_ones(e.shape[-1], e.dtype, e.device)).unsqueeze(-1)
    return e.sum(axis, keepdim=True)


def _is_plain(e: Tensor) -> bool:
    return e.is_contiguous() and not torch.is_autocast_enabled(e.device.type)


MANY = 1 << 13
"""Fewer numbers are added up faster than they are multiplied."""


@lru_cache(maxsize=64)
def _ones(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.ones(count, dtype=dtype, device=device)
