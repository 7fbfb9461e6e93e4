"""Exact formulas of the softmax, whose outputs share one sum.

Shapes throughout: logits z (…, K), targets t (…, K) in float64 → losses (…), gradients (…, K).
In plain float64 they are right for float32; with `pairs` for float64 itself. Nothing here
relies on 1 − y_k where y_k may be near 1: what the others leave to the largest is summed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlr.objectives.elementwise import DOUBT, half_squares, summed
from mlr.objectives.twofold import (
    Number,
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

MASKED = {torch.float64: -1e300, torch.float32: -1e30}
"""Stands for −∞, the logit of a masked class: 0 times what it costs is 0."""


def softmax_ce_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """−Σ t_k log y_k, −log y_k = (z_max − z_k) + log(1 + Σ of the other e^(z_j − z_max))."""
    parts = _Parts.of(z, pairs)
    return summed(lift(t, pairs) * (log1p(parts.rest) - parts.below))


def softmax_ce_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """YΣt − t: the error, for targets that sum to 1."""
    parts = _Parts.of(z, pairs)
    return value(parts.error(t, others_of(t, pairs)))


def softmax_ce_doubtful(z: Tensor, t: Tensor, gradient: Tensor) -> Tensor:
    """Where y is so near to a soft target that y − t is little of either."""
    return (gradient.abs() < DOUBT * t) & (t != 1)


def softmax_se_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """½ Σ (y_k − t_k)²."""
    return half_squares(_Parts.of(z, pairs).error(t, 1.0 - lift(t, pairs)))


def softmax_se_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """y_k (d_k − Σ_j y_j d_j), d = y − t, in the form that suits the targets."""
    parts, target = _Parts.of(z, pairs), lift(t, pairs)
    off, at, soft = _hard_se(parts, t), _true_class_se(parts, target), _soft_se(parts, t)
    hard = one_hot(t)
    return value(parts.y * choose(hard & (t == 1), at, choose(hard, off, soft)))


def _true_class_se(parts: _Parts, target: Number) -> Number:
    """Where t_k = 1 alone: −Σ_{j≠k} y_j(1 − y_k + y_j), terms of one sign."""
    others = parts.y * (1.0 - target)
    return -(total(others) * parts.complement + total(others * parts.y))


def _hard_se(parts: _Parts, t: Tensor) -> Number:
    """Where t_k = 0, of one-hot targets: y_k + p − Σ_j y_j², p the true class's y."""
    # less y_max on both sides, so that what ties vanishes exactly: e − 1 for the larger of y_k
    # and p, and −Σ y_j(e_j − 1), all over Σe
    true_class = t.argmax(-1, keepdim=True)
    e, e_less_1 = parts.e, parts.e_less_1
    e_true, less_1_true = pick(e, true_class), pick(e_less_1, true_class)
    is_above = value(parts.below) > value(pick(parts.below, true_class))
    above, below = choose(is_above, e_less_1, less_1_true), choose(is_above, e_true, e)
    return ((above + below) - total(e * e_less_1) / parts.whole) / parts.whole


def _soft_se(parts: _Parts, t: Tensor) -> Number:
    """D_k − Σ_j y_j D_j, D_j = d_j − d_m, m the largest: Σ y = 1 lets d_m leave both terms."""
    target = lift(t, parts.pairs)
    towards = target - pick(target, parts.index)
    # D·Σe = e − 1 − (t_j − t_m)Σe, by whichever of e and e − 1 is the smaller
    near, far = parts.e_less_1 - towards, parts.e - (1.0 + towards)
    beside = choose(value(parts.e) > 0.5, near, far) - towards * parts.rest
    # divided at the end: whole numbers that cancel leave nothing
    return (beside * parts.whole - total(parts.e * beside)) / (parts.whole * parts.whole)


def softmax_doubtful(z: Tensor, t: Tensor, gradient: Tensor) -> Tensor:
    """All soft targets: too much may cancel among three or more; little of y_k elsewhere."""
    parts = _Parts.of(z, pairs=False)
    # the smaller of y_k and 1 − y_k is what a one-hot target leaves at least, but for a chance
    size = parts.y * torch.minimum(parts.y + pick(parts.complement, parts.index), parts.complement)
    return ~one_hot(t) | (gradient.abs() < DOUBT * size)


def softmax_bce_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """Σ −t_k log y_k − (1 − t_k) log(1 − y_k)."""
    parts, target = _Parts.of(z, pairs), lift(t, pairs)
    # −log(1 − y_k) = −log1p(−y_k) as y_k ≤ ½; at the largest, 1 − y = rest/(1 + rest)
    whole = log1p(parts.rest)
    against = put(-log1p(-put(parts.y, parts.index, 0.0)), parts.index, whole - parts.log_rest())
    return summed(target * (whole - parts.below) + (1.0 - target) * against)


def softmax_bce_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """y_k [(q_k − q_m) − Σ_j y_j (q_j − q_m)], q = (y − t)/(y(1 − y)), m the largest."""
    parts, target = _Parts.of(z, pairs), lift(t, pairs)
    of_e, of_among, towards, at_top = _bce_far(parts, target)
    far = (of_e + of_among) + (towards + at_top)
    beside = choose(value(parts.e) > 0.5, _bce_near(parts, target), far)
    # 0 at m, but NaN if z_m is infinite
    beside = put(beside, parts.index, pick(parts.below, parts.index))
    return value(beside - parts.y * total(beside))


def _bce_far(parts: _Parts, target: Number) -> tuple[Number, Number, Number, Number]:
    """The terms of y_k(q_k − q_m): y_k q_k = (1 − t_k)y_k/(1 − y_k) − t_k, and so at y_m.

    y_k/(1 − y_m) is the softmax of all but the largest, where 1 − y_m vanishes.
    """
    at_top = pick(target, parts.index)
    return (
        (1.0 - target) * (parts.e / (parts.rest - parts.e_less_1)),
        -((1.0 - at_top) * parts.among_the_rest()),
        -target,
        parts.e * at_top,
    )


def _bce_near(parts: _Parts, target: Number) -> Number:
    """The same where y_k is near y_m, by their difference δ and that of the targets, τ.

    y_k/(1 − y_m)·[(1 − t_k)δ/(1 − y_k) − τ] + t_k δ/y_m − τ e_k: all of one sign for τ = 0.
    """
    towards = target - pick(target, parts.index)
    apart = parts.e_less_1
    against = (1.0 - target) * apart / (parts.rest - parts.e_less_1) - towards
    return parts.e / parts.rest * against + (target * apart - towards * parts.e)


def one_hot(t: Tensor) -> Tensor:
    """Which targets are 1 for one class and 0 for the others (…, 1)."""
    return ((t == 0) | (t == 1)).all(-1, keepdim=True) & (t.sum(-1, keepdim=True) == 1)


def others_of(t: Tensor, pairs: bool) -> Number:
    """Σ_{j≠k} t_j (…, K), not as a difference where t_k is the largest."""
    top, index = t.max(-1, keepdim=True)
    target = lift(t, pairs)
    rest = total(put(target, index, 0.0))
    return put(rest + (lift(top, pairs) - target), index, rest)


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
    pairs: bool

    @classmethod
    def of(cls, z: Tensor, pairs: bool) -> _Parts:
        top, index = z.max(-1, keepdim=True)
        z = z.clamp(min=MASKED[z.dtype])
        below = lift(z, pairs) - lift(top, pairs)
        e, e_less_1 = exp_and_expm1(below) if pairs else (below.exp(), below.expm1())
        return cls(z, index, below, e, e_less_1, total(put(e, index, 0.0)), pairs)

    @property
    def whole(self) -> Number:
        """Σ e (…, 1)."""
        # e at the largest is 1, or NaN
        return pick(self.e, self.index) + self.rest

    @property
    def y(self) -> Number:
        """softmax(z) (…, K)."""
        return self.e / self.whole

    @property
    def complement(self) -> Number:
        """1 − y_k = Σ_{j≠k} y_j (…, K)."""
        return (self.rest - self.e_less_1) / self.whole

    def error(self, t: Tensor, other: Number) -> Number:
        """(t + other)·y − t (…, K), `other` the sum of the targets beside t_k, or 1 − t_k."""
        target = lift(t, self.pairs)
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

    @property
    def second(self) -> Tensor:
        """The largest of the other logits (…, 1)."""
        return self.z.scatter(-1, self.index, -torch.inf).amax(-1, keepdim=True)

    @property
    def beside_second(self) -> Number:
        """e^(z_k − second) of all but the largest (…, K), 0 there."""
        pairs = self.pairs
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
        pairs = self.pairs
        below = lift(self.second, pairs) - lift(pick(self.z, self.index), pairs)
        return below + log(total(self.beside_second))
