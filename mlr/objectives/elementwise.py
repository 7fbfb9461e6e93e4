"""Exact formulas of the heads that treat each output alone: linear, clipped, sigmoid.

Shapes throughout: logits z (…, K), targets t (…, K) in float64 → losses (…), gradients (…, K).
In plain float64 they are right for float32; with `pairs` for float64 itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.losses.base import LEAST_PROBABILITY, LOG_FLOOR
from mlr.objectives.twofold import (
    Number,
    Pair,
    choose,
    exp_and_expm1,
    lift,
    log,
    log1p,
    total,
    value,
)

DOUBT = 2.0**-22
"""Where less than this part of a term is left, float64 does not hold the rest to float32."""


def linear_se_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """½ Σ (z − t)²."""
    return half_squares(lift(z, pairs) - lift(t, pairs))


def linear_se_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """z − t: one rounding, whatever the type."""
    return z - t


def clipped_se_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """½ Σ (y − t)², y = max(0, min(1, z))."""
    return linear_se_losses(z.clamp(0, 1), t, pairs)


def clipped_se_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """y − t on [0, 1], exactly 0 outside: one rounding, whatever the type."""
    y = z.clamp(0, 1)
    return (y - t).masked_fill(_outside(z), 0.0)


def clipped_matching_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """A(z) − tz + ½t², A the integral of the clip: ½(y − t)² + (z − y)(y − t), both ≥ 0."""
    y = lift(z.clamp(0, 1), pairs)
    d = y - lift(t, pairs)
    # A(z) = ½y² + (z − y)y, so the squares complete and no large terms cancel; 0·∞ = 0
    away = z.masked_fill(z.isinf() & (z.clamp(0, 1) == t), 0.0)
    return summed(d * (d * 0.5 + (lift(away, pairs) - y)))


def clipped_matching_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """y − t everywhere: the loss that brings a strayed clipped unit back."""
    return z.clamp(0, 1) - t


def clipped_bce_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """Σ −t log y − (1 − t) log(1 − y), each logarithm floored at −100."""
    y = z.clamp(0, 1)
    target = lift(t, pairs)
    return summed(-(target * _floored_log(y, pairs) + (1.0 - target) * _floored_log1p(-y, pairs)))


def clipped_bce_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """(y − t)/(y(1 − y)) inside, exactly 0 outside [0, 1].

    At y = 0 and y = 1 one logarithm is floored and gives no gradient, the other gives
    1 − t or −t: 0 for the wrong target, as for every point beyond.
    """
    y = z.clamp(0, 1)
    floored = (y <= LEAST_PROBABILITY) | (y == 1)
    inside = lift(y.masked_fill(floored, 0.5), pairs)
    slope = value((inside - lift(t, pairs)) / (inside * (1.0 - inside)))
    return torch.where(floored, 1 - y - t, slope).masked_fill(_outside(z), 0.0)


def clipped_ce_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """K = 1: as BCE; else −t/y inside, 0 outside and where the floor holds."""
    if z.shape[-1] == 1:
        return clipped_bce_gradient(z, t, pairs)
    y = z.clamp(0, 1)
    flat = (y <= LEAST_PROBABILITY) | _outside(z)
    return (-t / y.masked_fill(flat, 1.0)).masked_fill(flat, 0.0)


def clipped_ce_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """K = 1: as BCE; else the literal −Σ t log y, floored at −100, that `strict` refuses."""
    if z.shape[-1] == 1:
        return clipped_bce_losses(z, t, pairs)
    return summed(-(lift(t, pairs) * _floored_log(z.clamp(0, 1), pairs)))


def sigmoid_bce_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """Σ log(1 + e^−|z|) + w|z|, w the weight of the side that z is not on: 1 − t or t."""
    e, _ = _exp_of_minus_size(z, pairs)
    wrong, _ = _weights(z, t, pairs)
    # 0·∞ = 0
    size = torch.where(z > 0, z, -z).masked_fill(z.isinf() & (t == (z > 0)), 0.0)
    return summed(log1p(e) + wrong * lift(size, pairs))


def sigmoid_bce_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """y − t."""
    error, e = _error(z, t, pairs)
    return value(error / (1.0 + e))


def sigmoid_se_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """½ Σ (y − t)²."""
    error, e = _error(z, t, pairs)
    return half_squares(error / (1.0 + e))


def sigmoid_se_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """(y − t) σ(z)σ(−z)."""
    error, e = _error(z, t, pairs)
    # σ(z)σ(−z) = e/(1 + e)², e = e^−|z|
    whole = 1.0 + e
    return value(error * e / (whole * whole * whole))


def sigmoid_ce_losses(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """K = 1: as BCE; else the literal Σ t softplus(−z) that `strict` refuses."""
    if z.shape[-1] == 1:
        return sigmoid_bce_losses(z, t, pairs)
    e, _ = _exp_of_minus_size(z, pairs)
    below = (-z).clamp(min=0).masked_fill(z.isinf() & (t == 0), 0.0)
    return summed(lift(t, pairs) * (log1p(e) + lift(below, pairs)))


def sigmoid_ce_gradient(z: Tensor, t: Tensor, pairs: bool) -> Tensor:
    """K = 1: as BCE; else −t σ(−z)."""
    if z.shape[-1] == 1:
        return sigmoid_bce_gradient(z, t, pairs)
    e, _ = _exp_of_minus_size(z, pairs)
    return value(-(lift(t, pairs) * choose(z > 0, e, lift(torch.ones_like(z), pairs)) / (1.0 + e)))


def sigmoid_doubtful(z: Tensor, t: Tensor, gradient: Tensor) -> Tensor:
    """Where y is so near to a soft target that y − t is little of either."""
    error, _ = _error(z, t, pairs=False)
    wrong, _ = _weights(z, t, pairs=False)
    return error.abs() < DOUBT * wrong.abs()


def sigmoid_ce_doubtful(z: Tensor, t: Tensor, gradient: Tensor) -> Tensor:
    """K = 1: as BCE; else nowhere."""
    if z.shape[-1] == 1:
        return sigmoid_doubtful(z, t, gradient)
    return torch.zeros_like(z, dtype=torch.bool)


def half_squares(d: Number) -> Tensor:
    """½ Σ d² (…)."""
    # halving first is exact, also among the smallest numbers
    return summed((d * 0.5) * d)


def summed(terms: Number) -> Tensor:
    """Σ over the outputs (…), rounded once."""
    return value(total(terms)).squeeze(-1)


def _outside(z: Tensor) -> Tensor:
    """Where the clip has no slope; not where z is NaN."""
    return (z < 0) | (z > 1)


def _exp_of_minus_size(z: Tensor, pairs: bool) -> tuple[Number, Number]:
    """e^−|z| and e^−|z| − 1."""
    # spelled so that the derivative at 0 is one-sided and not |z|'s 0
    size = torch.where(z > 0, -z, z)
    return exp_and_expm1(Pair.of(size)) if pairs else (size.exp(), size.expm1())


def _weights(z: Tensor, t: Tensor, pairs: bool) -> tuple[Number, Number]:
    """What the targets give to the side that z is not on, and to its own: 1 − t and t, or t."""
    target = lift(t, pairs)
    other = 1.0 - target
    return choose(z > 0, other, target), choose(z > 0, target, other)


def _error(z: Tensor, t: Tensor, pairs: bool) -> tuple[Number, Number]:
    """(y − t)(1 + e) and e = e^−|z|."""
    e, e_less_1 = _exp_of_minus_size(z, pairs)
    wrong, right = _weights(z, t, pairs)
    # near 0, e − 1 keeps the digits
    difference = choose(z.abs() < 0.5, (wrong - right) - right * e_less_1, wrong - right * e)
    return choose(z > 0, difference, -difference), e


def _floored_log(y: Tensor, pairs: bool) -> Number:
    """max(log y, −100), with gradient 0 where the floor holds."""
    floored = y <= LEAST_PROBABILITY
    return choose(
        floored,
        lift(torch.full_like(y, LOG_FLOOR), pairs),
        log(lift(y.masked_fill(floored, 1.0), pairs)),
    )


def _floored_log1p(x: Tensor, pairs: bool) -> Number:
    """max(log(1 + x), −100) of x ≤ 0, with gradient 0 where the floor holds."""
    floored = x <= -1
    return choose(
        floored,
        lift(torch.full_like(x, LOG_FLOOR), pairs),
        log1p(lift(x.masked_fill(floored, 0.0), pairs)),
    )
