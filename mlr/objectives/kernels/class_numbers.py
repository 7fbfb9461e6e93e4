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


def softmax_ce_of_classes(
    z: Tensor,
    c: Tensor,
    axis: int = -1,
    weight: Tensor | None = None,
    ignored: Tensor | None = None,
    total: Tensor | float | None = None,
) -> Tensor:
    """−w log y_c (…), or its sum by a total (), of class numbers c.

    Weights and the sum are made here because each operation with a gradient takes as long as
    a thousand examples.

    Args:
        z: logits with K ≥ 2 classes along `axis`.
        c: class numbers (…), without that axis.
        axis: of the classes.
        weight: of each example, w (…), without a gradient.
        ignored: True for examples of loss and gradient 0 (…).
        total: what the sum over the examples is divided by; None for no sum.
    """
    losses: Tensor = _SoftmaxOfClasses.apply(z, c, axis, weight, ignored, total)
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
        ignored: Tensor | None,
        total: Tensor | float | None,
    ) -> Tensor:
        at = c.unsqueeze(axis)
        below = None
        if _is_moderate(z):
            e = z.exp()
        else:
            top = z.amax(axis, keepdim=True)
            e = (z - top).exp_()
            below = z.gather(axis, at) - top
        own = e.gather(axis, at)
        # from a tensor: a number takes three times as long
        others = _sum(e.scatter_(axis, at, _zero(e).expand(at.shape)), axis)
        e.scatter_(axis, at, -others)
        if below is None:
            losses = (others / own).log1p_()
        else:
            # of the largest, own − 1 is 0, and the others are all that is left
            losses = (own - 1).add_(others).log1p_().sub_(below)
        per_sum = own.add_(others).reciprocal_()
        if weight is not None:
            weight = weight.unsqueeze(axis)
            losses = losses.masked_fill_(weight == 0, 0.0).mul_(weight)
            per_sum *= weight
        if ignored is not None:
            ignored = ignored.unsqueeze(axis)
            losses.masked_fill_(ignored, 0.0)
        ctx.axis, ctx.total = axis, total
        ctx.save_for_backward(z, at, e, per_sum, weight, ignored)
        if total is None:
            return losses.squeeze(axis)
        if isinstance(total, int) and total == losses.numel():
            return losses.mean()
        return losses.sum() / total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, at, e, per_sum, weight, ignored = ctx.saved_tensors
        grad = grad.unsqueeze(ctx.axis) if ctx.total is None else grad / ctx.total
        if torch.is_grad_enabled():  # a derivative of the derivative is wanted
            grad = grad if weight is None else grad * weight
            grad = grad.expand(at.shape)
            grad = grad if ignored is None else grad.masked_fill(ignored, 0.0)
            return _gradient(z, at, ctx.axis) * grad, *(None,) * 5
        each = per_sum * grad
        if ignored is not None:  # here, for the total may be 0
            each.masked_fill_(ignored, 0.0)
        return e * each, *(None,) * 5


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


def _zero(e: Tensor) -> Tensor:
    return ZEROS[e.dtype] if e.is_cpu else e.new_zeros(())


ZEROS = {kind: torch.zeros((), dtype=kind, device="cpu") for kind in (torch.float32, torch.float64)}


def _is_moderate(z: Tensor) -> bool:
    """Tell if all logits are seen to lie within ±`MODERATE`; values elsewhere are not looked at."""
    if not (z.is_cpu and z.is_contiguous() and z.numel()):
        return False
    low, high = torch.aminmax(z)
    return low.item() > -MODERATE and high.item() < MODERATE
