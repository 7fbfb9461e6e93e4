"""Exact formulas of the heads that treat each output alone: linear, clipped, sigmoid.

Shapes throughout: logits z (…, K), targets t (…, K) → losses (…), gradients (…, K).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from mlr.losses.base import LEAST_PROBABILITY, floored_log, floored_log_of_complement
from mlr.objectives.twofold import Pair, choose, exp_and_expm1, value

REGISTERS = 32
"""torch's vectorised loops take this many numbers at a time, or a part of as many."""


def linear_se_losses(z: Tensor, t: Tensor) -> Tensor:
    """½ Σ (z − t)²."""
    return _half_square(z - t).sum(-1)


def linear_se_gradient(z: Tensor, t: Tensor) -> Tensor:
    """Z − t."""
    return z - t


def clipped_se_losses(z: Tensor, t: Tensor) -> Tensor:
    """½ Σ (y − t)², y = max(0, min(1, z))."""
    return _half_square(z.clamp(0, 1) - t).sum(-1)


def clipped_se_gradient(z: Tensor, t: Tensor) -> Tensor:
    """Y − t on [0, 1], exactly 0 outside."""
    y = z.clamp(0, 1)
    return (y - t).masked_fill(y != z, 0.0)


def clipped_bce_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ −t log y − (1 − t) log(1 − y), each logarithm floored at −100."""
    y = z.clamp(0, 1)
    return -(t * floored_log(y) + (1 - t) * floored_log_of_complement(y)).sum(-1)


def clipped_bce_gradient(z: Tensor, t: Tensor) -> Tensor:
    """(y − t)/(y(1 − y)) inside, exactly 0 outside [0, 1].

    At y = 0 and y = 1 one logarithm is floored and gives no gradient, the other gives
    1 − t or −t: 0 for the wrong target, as for every point beyond.
    """
    y = z.clamp(0, 1)
    floored = (y <= LEAST_PROBABILITY) | (y == 1)
    inside = (y - t) / (y * (1 - y)).masked_fill(floored, 1.0)
    return torch.where(floored, 1 - y - t, inside).masked_fill(y != z, 0.0)


def clipped_ce_losses(z: Tensor, t: Tensor) -> Tensor:
    """K = 1: as BCE; else the literal −Σ t log y, floored at −100, that `strict` refuses."""
    if z.shape[-1] == 1:
        return clipped_bce_losses(z, t)
    return -(t * floored_log(z.clamp(0, 1))).sum(-1)


def clipped_ce_gradient(z: Tensor, t: Tensor) -> Tensor:
    """K = 1: as BCE; else −t/y inside, 0 outside and where the floor holds."""
    if z.shape[-1] == 1:
        return clipped_bce_gradient(z, t)
    y = z.clamp(0, 1)
    flat = (y <= LEAST_PROBABILITY) | (y != z)
    return (-t / y.masked_fill(flat, 1.0)).masked_fill(flat, 0.0)


def clipped_matching_losses(z: Tensor, t: Tensor) -> Tensor:
    """A(z) − tz + ½t², A the integral of the clip: ½(y − t)² + (z − y)(y − t), both ≥ 0."""
    y = z.clamp(0, 1)
    d = y - t
    # A(z) = ½y² + (z − y)y, so the squares complete and no large terms cancel
    return (_half_square(d) + (z - y) * d).sum(-1)


def clipped_matching_gradient(z: Tensor, t: Tensor) -> Tensor:
    """Y − t everywhere: the loss that brings a strayed clipped unit back."""
    return z.clamp(0, 1) - t


def sigmoid_bce_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ t softplus(−z) + (1 − t) softplus(z)."""
    # softplus(z) = −log σ(−z) = max(z, 0) + log1p(e^−|z|): no term is negative
    return -(_weighed(t, logsigmoid(z)) + _weighed(1 - t, logsigmoid(-z))).sum(-1)


def sigmoid_bce_gradient(z: Tensor, t: Tensor) -> Tensor:
    """Y − t = (1 − t)σ(z) − tσ(−z): the form for a training step."""
    # interpolating σ(z) … −σ(−z) by t: exact at both ends, no 1 − σ(z)
    return torch.lerp(_sigmoid(z), -_sigmoid(-z), t)


def sigmoid_bce_gradient_precise(z: Tensor, t: Tensor) -> Tensor:
    """Y − t."""
    error, e = _sigmoid_error(z, t)
    return value(error) / (1 + value(e))


def sigmoid_bce_losses_hard(z: Tensor, s: Tensor) -> Tensor:
    """Σ softplus(sz), s = 1 − 2t: 1 for t = 0, −1 for t = 1."""
    # where e⁻ᶻ is less than half an ulp of z, softplus is z
    beyond = 20 if z.dtype == torch.float32 else 40
    return _total(filled_up(lambda u: softplus(u, threshold=beyond), s * z))


def sigmoid_bce_gradient_hard(z: Tensor, s: Tensor) -> Tensor:
    """Y − t = s σ(sz), s = 1 − 2t: few calls, and exact in both tails."""
    return sigmoid_(s * z).mul_(s)


def sigmoid_se_losses(z: Tensor, t: Tensor) -> Tensor:
    """½ Σ (y − t)²."""
    return _half_square(sigmoid_bce_gradient(z, t)).sum(-1)


def sigmoid_se_losses_hard(z: Tensor, s: Tensor) -> Tensor:
    """½ Σ σ(sz)², s = 1 − 2t."""
    return _total(_half_square(sigmoid_(s * z)))


def sigmoid_se_gradient_hard(z: Tensor, s: Tensor) -> Tensor:
    """(y − t) σ(z)σ(−z) = s σ(sz)² σ(−sz), s = 1 − 2t."""
    away = s * z
    error = sigmoid_(away.clone())
    return sigmoid_(away.neg_()).mul_(error).mul_(error).mul_(s)


def sigmoid_se_losses_precise(z: Tensor, t: Tensor) -> Tensor:
    """½ Σ (y − t)²."""
    error, e = _sigmoid_error(z, t)
    return _half_square(value(error / (1 + e))).sum(-1)


def sigmoid_se_gradient(z: Tensor, t: Tensor) -> Tensor:
    """(y − t) σ(z)σ(−z)."""
    y, rest = _sigmoid(z), _sigmoid(-z)
    return torch.lerp(y, -rest, t) * y * rest


def sigmoid_se_gradient_precise(z: Tensor, t: Tensor) -> Tensor:
    """(y − t) σ(z)σ(−z)."""
    error, e = _sigmoid_error(z, t)
    # σ(z)σ(−z) = e/(1 + e)², e = e^−|z|
    whole = 1 + e
    return value(error * e / (whole * whole * whole))


def sigmoid_ce_losses(z: Tensor, t: Tensor) -> Tensor:
    """K = 1: as BCE; else the literal Σ t softplus(−z) that `strict` refuses."""
    if z.shape[-1] == 1:
        return sigmoid_bce_losses(z, t)
    return -_weighed(t, logsigmoid(z)).sum(-1)


def sigmoid_ce_gradient(z: Tensor, t: Tensor) -> Tensor:
    """K = 1: as BCE; else −t σ(−z)."""
    if z.shape[-1] == 1:
        return sigmoid_bce_gradient(z, t)
    return -t * _sigmoid(-z)


def sigmoid_ce_gradient_precise(z: Tensor, t: Tensor) -> Tensor:
    """K = 1: as BCE; else −t σ(−z)."""
    if z.shape[-1] == 1:
        return sigmoid_bce_gradient_precise(z, t)
    return sigmoid_bce_gradient_precise(z, torch.ones_like(z)) * t


def sigmoid_(z: Tensor) -> Tensor:
    """σ(z) in the memory of a z without gaps that nobody else reads."""
    return filled_up(torch.sigmoid_, z)


def filled_up(function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """An elementwise function of a z without gaps, at whose end no register is half full.

    Most of torch's functions round otherwise there than within, and what a run computes must
    not hang on the runs beside it.
    """
    missing = -z.numel() % REGISTERS
    if not missing or not z.is_cpu:
        return function(z)
    return function(torch.cat((z.reshape(-1), z.new_zeros(missing))))[:-missing].view(z.shape)


def _sigmoid(z: Tensor) -> Tensor:
    # exp rounds alike everywhere, and all of this can be differentiated again
    return ((-z).exp() + 1).reciprocal()


def _total(values: Tensor) -> Tensor:
    # the sum of a single one is a copy
    return values.squeeze(-1) if values.shape[-1] == 1 else values.sum(-1)


def _sigmoid_error(z: Tensor, t: Tensor) -> tuple[Pair, Pair]:
    """(y − t)(1 + e) and e = e^−|z|, as pairs."""
    positive = z > 0
    e, e_less_1 = exp_and_expm1(Pair.of(torch.where(positive, -z, z)))
    target = Pair.of(t)
    other = 1 - target
    # ±(a − be), a the weight of the nearer end; near 0, e − 1 keeps the digits
    a, b = choose(positive, other, target), choose(positive, target, other)
    difference = choose(value(e) > 0.5, (a - b) - b * e_less_1, a - b * e)
    return choose(positive, difference, -difference), e


def _weighed(weight: Tensor, log: Tensor) -> Tensor:
    # 0·log 0 = 0
    return weight * log.masked_fill((weight == 0) & log.isinf(), 0.0)


def _half_square(d: Tensor) -> Tensor:
    # (½d)·d: halving first is exact and keeps the largest and smallest squares representable
    return 0.5 * d * d
