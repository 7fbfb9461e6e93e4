"""Softmax with cross-entropy of class numbers: no one-hot rows, and one array of the logits' size.

torch's own function keeps log y, and builds two more such arrays in its backward pass. Here the
exponentials e_j are kept, with −Σ of the others in the place of the true class: a number for
each example makes the gradient of them. The sum has the digits that 1 − y_c would lose.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from mlr.objectives.kernels.kernel import is_moderate, sum_of_others


def softmax_ce_of_classes(
    z: Tensor,
    c: Tensor,
    axis: int = -1,
    weight: Tensor | None = None,
    total: Tensor | float | None = None,
    smoothing: float = 0.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """−w log y_c (…), or its sum by a total (), of class numbers c, which may be smoothed.

    Smoothed by ε they cost −(1 − ε) w log y_c − ε/K Σ_k w_k log y_k.

    Weights and the sum are made here because each operation with a gradient takes as long as
    a thousand examples.

    Args:
        z: logits with K ≥ 2 classes along `axis`.
        c: class numbers (…), without that axis.
        axis: of the classes.
        weight: of each example, w (…), without a gradient; one of weight 0 has loss and
            gradient 0.
        total: what the sum over the examples is divided by; None for no sum.
        smoothing: ε.
        class_weight: w_k (K,), of which `weight` has those of the examples; used if smoothed,
            and then above 0.
    """
    if not smoothing:
        losses: Tensor = _SoftmaxOfClasses.apply(z, c, axis, weight, total)
    else:
        losses = _Smoothed.apply(z, c, axis, weight, total, smoothing, class_weight)
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
        sums = own.add_(others)
        if weight is None:
            per_sum = sums.reciprocal_()
        else:
            weight = weight.unsqueeze(axis)
            per_sum = weight / sums
            if below is not None:  # 0·∞ = 0, which moderate logits have not
                nothing = weight == 0
                for each in (losses, per_sum, e):
                    each.masked_fill_(nothing, 0.0)
            losses.mul_(weight)
        ctx.axis, ctx.total = axis, total
        ctx.save_for_backward(z, at, e, per_sum, weight)
        return losses.squeeze(axis) if total is None else losses.sum() / total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, at, e, per_sum, weight = ctx.saved_tensors
        grad = grad.unsqueeze(ctx.axis) if ctx.total is None else grad / ctx.total
        if torch.is_grad_enabled():  # a derivative of the derivative is wanted
            grad = grad.expand(at.shape)
            if weight is not None:
                grad = (grad * weight).masked_fill(weight == 0, 0.0)
            return _gradient(z, at, ctx.axis) * grad, *(None,) * 4
        return e * _weighed(per_sum, grad, weight, ctx.total), *(None,) * 4


class _Smoothed(Function):
    """The gradient is a(y − t) + b_Σ y − b, of a = (1 − ε)w and b_k = ε w_k/K with the sum b_Σ.

    At the true class it is computed as y_c Σ_{k≠c} b_k − (a + b_c)(1 − y_c), which keeps the digits
    of 1 − y_c.
    """

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        c: Tensor,
        axis: int,
        weight: Tensor | None,
        total: Tensor | float | None,
        smoothing: float,
        class_weight: Tensor | None,
    ) -> Tensor:
        at = c.unsqueeze(axis)
        parts = _Parts.of(z, at, axis, smoothing, class_weight)
        below_top = z - z.amax(axis, keepdim=True)
        below = below_top.gather(axis, at)
        if class_weight is None:
            every = _sum(below_top, axis).mul_(parts.each)
        else:
            every = _sum(below_top * parts.each, axis)
        e = below_top.exp_()
        own = e.gather(axis, at)
        others = _sum(e.scatter_(axis, at, torch.zeros_like(own)), axis)
        # −log y of the largest: where it is the true class, own − 1 is 0
        least = (own - 1).add_(others).log1p_()
        a = (1 - smoothing) * (1 if weight is None else weight.unsqueeze(axis))
        factor = a + parts.whole
        losses = (least - below).mul_(a).add_(least.mul_(parts.whole).sub_(every))
        # e becomes what is multiplied by (a + b_Σ)/Σe later
        slope = (own * parts.others - others * (a + parts.own)) / factor
        sums = own.add_(others)
        if isinstance(parts.each, Tensor):
            e.addcmul_(sums / factor, parts.each, value=-1)
        else:
            e.sub_(sums * parts.each / factor)
        e.scatter_(axis, at, slope)
        per_sum = factor / sums
        if weight is not None:
            weight = weight.unsqueeze(axis)
            nothing = weight == 0
            losses.masked_fill_(nothing, 0.0)
            per_sum.masked_fill_(nothing, 0.0)
            if not is_moderate(z):  # 0·NaN = 0
                e.masked_fill_(nothing, 0.0)
        ctx.axis, ctx.total, ctx.smoothing = axis, total, smoothing
        ctx.save_for_backward(z, at, e, per_sum, weight, class_weight)
        return losses.squeeze(axis) if total is None else losses.sum() / total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, at, e, per_sum, weight, class_weight = ctx.saved_tensors
        grad = grad.unsqueeze(ctx.axis) if ctx.total is None else grad / ctx.total
        if torch.is_grad_enabled():  # a derivative of the derivative is wanted
            parts = _Parts.of(z, at, ctx.axis, ctx.smoothing, class_weight)
            a = (1 - ctx.smoothing) * (1 if weight is None else weight)
            slopes = _gradient(z, at, ctx.axis) * a
            slopes = (slopes + z.softmax(ctx.axis) * parts.whole - parts.each) * grad
            if weight is not None:
                slopes = slopes.masked_fill(weight == 0, 0.0)
            return slopes, *(None,) * 6
        return e * _weighed(per_sum, grad, weight, ctx.total), *(None,) * 6


class _Parts(NamedTuple):
    """Shares b_k = ε w_k/K that smoothing gives to the classes.

    Attributes:
        each: b, along the axis of the classes.
        whole: their sum.
        own: that of the true class.
        others: the sum of the others.
    """

    each: Tensor | float
    whole: Tensor | float
    own: Tensor | float
    others: Tensor | float

    @classmethod
    def of(
        cls, z: Tensor, at: Tensor, axis: int, smoothing: float, class_weight: Tensor | None
    ) -> _Parts:
        count = z.shape[axis]
        each = smoothing / count
        if class_weight is None:
            return cls(each, smoothing, each, each * (count - 1))
        shares = class_weight.to(z.dtype) * each
        own, others = (
            part.index_select(0, at.reshape(-1)).view(at.shape)
            for part in (shares, sum_of_others(shares))
        )
        shape = [1] * z.dim()
        shape[axis] = count
        return cls(shares.view(shape), shares.sum(), own, others)


def _weighed(
    per_sum: Tensor, grad: Tensor, weight: Tensor | None, total: Tensor | float | None
) -> Tensor:
    """Factor of each example; 0 for those of weight 0, also if the total is."""
    each = per_sum * grad
    if weight is not None and total is not None and (isinstance(total, Tensor) or not total):
        each.masked_fill_(weight == 0, 0.0)
    return each


def _gradient(z: Tensor, at: Tensor, axis: int) -> Tensor:
    """y − t, made of operations that torch differentiates."""
    others = z.softmax(axis).scatter(axis, at, 0.0)
    return others.scatter(axis, at, -others.sum(axis, keepdim=True))


def _sum(e: Tensor, axis: int) -> Tensor:
    """Sum along the axis, which is kept; along the last, a product takes a third of the time."""
    if axis in (-1, e.dim() - 1) and e.numel() > MANY and _is_plain(e):
        return e.matmul(_ones(e.shape[-1], e.dtype, e.device)).unsqueeze(-1)
    return e.sum(axis, keepdim=True)


def _is_plain(e: Tensor) -> bool:
    # autocast would round the product to half precision
    return e.is_contiguous() and not torch.is_autocast_enabled(e.device.type)


MANY = 1 << 13
"""Fewer numbers are added up faster than they are multiplied."""


@lru_cache(maxsize=64)
def _ones(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.ones(count, dtype=dtype, device=device)
