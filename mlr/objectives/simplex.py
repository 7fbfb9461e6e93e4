"""Exact formulas of the softmax, whose outputs share one sum.

Shapes throughout: logits z (…, K), targets t (…, K) in float64 → losses (…), gradients (…, K).
In plain float64 they are right for float32; with `pairs` for float64 itself. Nothing here
relies on 1 − y_k where y_k may be near 1: what the others leave to the largest is summed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mlr.objectives.elementwise import DOUBT, half_squares, summed
from mlr.objectives.twofold import (
    Number,
    Pair,
    choose,
    exp_and_expm1,
    lift,
    log,
    log1p,
    pick,
    put,
    total,
    value,
)


def softmax_ce_both(z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """−Σ t_k log y_k and its gradient yΣt − t, in float64: the fewest calls that are exact."""
    top, index = z.max(-1, keepdim=True)
    below = z - top
    e = below.exp().scatter(-1, index, 0.0)
    rest = e.sum(-1, keepdim=True)
    targets = t.sum(-1, keepdim=True)
    # 0·∞ = 0: what no target asks for costs nothing, even where it is infinite
    away = (t * below.clamp(min=-torch.finfo(z.dtype).max)).sum(-1, keepdim=True)
    losses = (rest.log1p() * targets - away).squeeze(-1)
    d = e.scatter(-1, index, 1.0) * (targets / (1 + rest)) - t
    # what rounding took from y − 1 at the true class is what the entries miss to sum to 0
    return losses, d.addcmul(t, d.sum(-1, keepdim=True), value=-1)


def softmax_ce_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """−Σ t_k log y_k, −log y_k = (z_max − z_k) + log(1 + Σ of the other e^(z_j − z_max))."""
    if not pairs:
        return softmax_ce_both(z, t)[0]
    parts = _Parts.of(z, pairs)
    return summed(Pair.of(t) * (log1p(parts.rest) - parts.below))


def softmax_ce_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """YΣt − t: the error, for targets that sum to 1."""
    if not pairs:
        return softmax_ce_both(z, t)[1]
    return value(_Parts.of(z, pairs).error(t, others_of(t)))


def softmax_ce_doubtful(z: Tensor, t: Tensor, gradient: Tensor) -> Tensor:
    """Where y is so near to a soft target that y − t is little of either."""
    return gradient.abs() < DOUBT * t


def softmax_se_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """½ Σ (y_k − t_k)²."""
    return half_squares(_Parts.of(z, pairs).error(t, 1.0 - lift(t, pairs)))


def softmax_se_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """y_k (d_k − Σ_j y_j d_j), d = y − t, in the form that suits the targets."""
    parts, target = _Parts.of(z, pairs), lift(t, pairs)
    off, at, soft = _hard_se(parts, target), _true_class_se(parts, target), _soft_se(parts, t)
    one_hot = ((t == 0) | (t == 1)).all(-1, keepdim=True) & (t.sum(-1, keepdim=True) == 1)
    return value(parts.y * choose(one_hot & (t == 1), at, choose(one_hot, off, soft)))


def _true_class_se(parts: _Parts, target: Number) -> Number:
    """Where t_k = 1 alone: −Σ_{j≠k} y_j(1 − y_k + y_j), terms of one sign."""
    others = parts.y * (1.0 - target)
    return -(total(others) * parts.complement + total(others * parts.y))


def _hard_se(parts: _Parts, target: Number) -> Number:
    """Where t_k = 0, of one-hot targets: y_k + p − Σ_j y_j², p = ⟨t, y⟩."""
    # less y_max on both sides, so that what ties vanishes exactly
    y = parts.y
    p, top = total(y * target), pick(y, parts.index)
    is_above = value(y) > value(p)
    above, below = choose(is_above, y, p), choose(is_above, p, y)
    return (above - top) + below + total(y * (top - y))


def _soft_se(parts: _Parts, t: Tensor) -> Number:
    """D_k − Σ_j y_j D_j, D_j = d_j − d_m, m the largest: Σ y = 1 lets d_m leave both terms."""
    target = lift(t, isinstance(parts.e, Pair))
    towards = target - pick(target, parts.index)
    # D·Σe = e − 1 − (t_j − t_m)Σe, by whichever of e and e − 1 is the smaller
    near, far = parts.e_less_1 - towards, parts.e - (1.0 + towards)
    beside = (choose(value(parts.e) > 0.5, near, far) - towards * parts.rest) / parts.whole
    return beside - total(parts.y * beside)


def softmax_se_doubtful(z: Tensor, t: Tensor, gradient: Tensor) -> Tensor:
    """Where y − t is little of either, or the gradient of the differences of y − t."""
    parts = _Parts.of(z, pairs=False)
    d = parts.error(t, 1.0 - t)
    beside = (d - pick(d, parts.index)).abs()
    size = parts.y * (beside + total(parts.y * beside))
    return (d.abs() < DOUBT * t.abs()) | (gradient.abs() < DOUBT * size)


def softmax_bce_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """Σ −t_k log y_k − (1 − t_k) log(1 − y_k)."""
    parts, target = _Parts.of(z, pairs), lift(t, pairs)
    # −log(1 − y_k) = −log1p(−y_k) as y_k ≤ ½; at the largest, 1 − y = rest/(1 + rest)
    whole = log1p(parts.rest)
    against = put(-log1p(-put(parts.y, parts.index, 0.0)), parts.index, whole - parts.log_rest())
    costs = whole - parts.below
    if not pairs:  # 0·∞ = 0
        costs = costs.masked_fill((t == 0) & costs.isinf(), 0.0)
        against = against.masked_fill((t == 1) & against.isinf(), 0.0)
    return summed(target * costs + (1.0 - target) * against)


def softmax_bce_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """y_k [(q_k − q_m) − Σ_j y_j (q_j − q_m)], q = (y − t)/(y(1 − y)), m the largest."""
    parts = _Parts.of(z, pairs)
    beside = total_of(_bce_beside(parts, lift(t, pairs)))
    # y_m(q_m − q_m) = 0, and y_m itself multiplies the sum alone
    return value(beside - parts.y * total(beside))


def softmax_bce_doubtful(z: Tensor, t: Tensor, gradient: Tensor) -> Tensor:
    """Where the gradient is little of what it is the sum of."""
    parts = _Parts.of(z, pairs=False)
    size = sum(term.abs() for term in _bce_beside(parts, t))
    return gradient.abs() < DOUBT * (size + parts.y * total(size))


def _bce_beside(parts: _Parts, target: Number) -> list[Number]:
    """The terms of y_k(q_k − q_m), each 0 at m; those of equal logits and targets vanish in pairs.

    y_k q_k = (1 − t_k)y_k/(1 − y_k) − t_k and y_k q_m = (1 − t_m)y_k/(1 − y_m) − e_k t_m, where
    y_k/(1 − y_m) is the softmax of all but the largest.
    """
    at_top = pick(target, parts.index)
    terms = [
        (1.0 - target) * (parts.e / (parts.rest - parts.e_less_1)),
        -target,
        -((1.0 - at_top) * parts.among_the_rest()),
        parts.e * at_top,
    ]
    return [put(term, parts.index, 0.0) for term in terms]


def total_of(terms: list[Number]) -> Number:
    """(first + third) + (second + fourth): what may vanish is added first."""
    first, second, third, fourth = terms
    return (first + third) + (second + fourth)


def others_of(t: Tensor) -> Pair:
    """Σ_{j≠k} t_j (…, K), not as a difference where t_k is the largest."""
    top, index = t.max(-1, keepdim=True)
    rest = total(put(Pair.of(t), index, 0.0))
    return put(rest + (Pair.of(top) - Pair.of(t)), index, rest)


@dataclass(frozen=True)
class _Parts:
    """What softmax formulas share; the largest logit (the first of equals) has its own part."""

    z: Tensor
    index: Tensor
    """where the largest logit is (…, 1)"""
    below: Number
    """z_k − z_max (…, K)"""
    e: Number
    """e^(z_k − z_max) (…, K)"""
    e_less_1: Number
    rest: Number
    """Σ e but for the largest (…, 1)"""

    @classmethod
    def of(cls, z: Tensor, pairs: bool) -> _Parts:
        top, index = z.max(-1, keepdim=True)
        below = lift(z, pairs) - lift(top, pairs)
        e, e_less_1 = exp_and_expm1(below) if pairs else (below.exp(), below.expm1())
        return cls(z, index, below, e, e_less_1, total(put(e, index, 0.0)))

    @cached_property
    def whole(self) -> Number:
        """Σ e (…, 1)."""
        return 1.0 + self.rest

    @cached_property
    def y(self) -> Number:
        """Softmax(z) (…, K)."""
        return self.e / self.whole

    @cached_property
    def complement(self) -> Number:
        """1 − y_k = Σ_{j≠k} y_j (…, K)."""
        return (self.rest - self.e_less_1) / self.whole

    def error(self, t: Tensor, other: Number) -> Number:
        """(t + other)·y − t (…, K), `other` the sum of the targets beside t_k, or 1 − t_k."""
        target = lift(t, isinstance(self.e, Pair))
        # over Σe: e(t + o) − tΣe, less e·t on both sides
        others = self.rest - self.e_less_1
        far = self.e * other - target * others
        # among logits near each other, e − 1 keeps the digits
        less_1 = self.e_less_1
        near = (other - target * float(t.shape[-1] - 1)) + (
            less_1 * other - target * (total(less_1) - less_1)
        )
        is_near = value(self.below).amin(-1, keepdim=True) > -0.5
        return choose(is_near, near, far) / self.whole

    @cached_property
    def second(self) -> Tensor:
        """The largest of the other logits (…, 1)."""
        return self.z.scatter(-1, self.index, -torch.inf).amax(-1, keepdim=True)

    @cached_property
    def beside_second(self) -> Number:
        """e^(z_k − second) of all but the largest (…, K), 0 there."""
        pairs = isinstance(self.e, Pair)
        among = self.z.scatter(-1, self.index, self.second)
        below = lift(among, pairs) - lift(self.second, pairs)
        return put(exp_and_expm1(below)[0] if pairs else below.exp(), self.index, 0.0)

    def among_the_rest(self) -> Number:
        """The softmax of all but the largest (…, K), 0 there."""
        # e itself if it is a number, so that equal logits give equal results
        is_far = (pick(self.z, self.index) - self.second).detach() > 600
        return choose(is_far, self.beside_second / total(self.beside_second), self.e / self.rest)

    def log_rest(self) -> Number:
        """Log of `rest` (…, 1): the second largest below the largest, and what stands beside it."""
        pairs = isinstance(self.e, Pair)
        below = lift(self.second, pairs) - lift(pick(self.z, self.index), pairs)
        return below + log(total(self.beside_second))
