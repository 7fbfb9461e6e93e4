"""The forms of few calls: for a training step, with errors of a few ulp of the largest term.

Those called quick are right to 2 ulp of float32 where the targets are hard and the logits
within `QUICK_LOGITS`: losses and dL/dz in one pass.

Shapes throughout: logits z (…, K), targets t (…, K) → losses (…), gradients (…, K).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

REGISTERS = 32
"""torch's vectorised loops take this many numbers at a time, or a part of as many."""


def linear_se_quick(z: Tensor, t: Tensor, classes: Tensor | None) -> tuple[Tensor, Tensor]:
    """½ Σ (z − t)² and z − t."""
    d = in_float64(z).sub_(t)
    gradient = d.to(z.dtype)
    return total_of_outputs(d.square_()).mul_(0.5), gradient


def sigmoid_bce_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ t softplus(−z) + (1 − t) softplus(z)."""
    # softplus(z) = −log σ(−z) = max(z, 0) + log1p(e^−|z|): no term is negative
    return -(_weighed(t, logsigmoid(z)) + _weighed(1 - t, logsigmoid(-z))).sum(-1)


def sigmoid_bce_gradient(z: Tensor, t: Tensor) -> Tensor:
    """y − t = (1 − t)σ(z) − tσ(−z): the form for a training step."""
    # interpolating σ(z) … −σ(−z) by t: exact at both ends, no 1 − σ(z)
    return torch.lerp(_sigmoid(z), -_sigmoid(-z), t)


def sigmoid_bce_losses_hard(z: Tensor, s: Tensor) -> Tensor:
    """Σ softplus(sz), s = 1 − 2t: 1 for t = 0, −1 for t = 1."""
    # where e⁻ᶻ is less than half an ulp of z, softplus is z
    beyond = 20 if z.dtype == torch.float32 else 40
    return total_of_outputs(filled_up(lambda u: softplus(u, threshold=beyond), s * z))


def sigmoid_bce_gradient_hard(z: Tensor, s: Tensor) -> Tensor:
    """y − t = s σ(sz), s = 1 − 2t: few calls, and exact in both tails."""
    return sigmoid_(s * z).mul_(s)


def sigmoid_bce_quick(z: Tensor, t: Tensor, classes: Tensor | None) -> tuple[Tensor, Tensor]:
    """Σ log(1 + e^(sz)) and s/(1 + e^(−sz)), s = 1 − 2t."""
    # torch's exp is right to 0.6 ulp of float32, its sigmoid to 2.5
    e = torch.addcmul(z, t, z, value=-2).exp_()
    losses = total_of_outputs(in_float64(e.log1p()))
    sigmoid = in_float64(e).reciprocal_().add_(1).reciprocal_().to(z.dtype)
    return losses, sigmoid.addcmul_(t, sigmoid, value=-2)


def sigmoid_se_losses(z: Tensor, t: Tensor) -> Tensor:
    """½ Σ (y − t)²."""
    return _half_square(sigmoid_bce_gradient(z, t)).sum(-1)


def sigmoid_se_losses_hard(z: Tensor, s: Tensor) -> Tensor:
    """½ Σ σ(sz)², s = 1 − 2t."""
    return total_of_outputs(_half_square(sigmoid_(s * z)))


def sigmoid_se_gradient_hard(z: Tensor, s: Tensor) -> Tensor:
    """(y − t) σ(z)σ(−z) = s σ(sz)² σ(−sz), s = 1 − 2t."""
    away = s * z
    error = sigmoid_(away.clone())
    return sigmoid_(away.neg_()).mul_(error).mul_(error).mul_(s)


def sigmoid_se_gradient(z: Tensor, t: Tensor) -> Tensor:
    """(y − t) σ(z)σ(−z)."""
    y, rest = _sigmoid(z), _sigmoid(-z)
    return torch.lerp(y, -rest, t) * y * rest


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


def softmax_ce_losses(z: Tensor, t: Tensor) -> Tensor:
    """−Σ t_k log y_k."""
    top, index = z.max(-1, keepdim=True)
    rest = (z - top).exp().scatter(-1, index, 0.0).sum(-1, keepdim=True)
    # −log y_k = (z_max − z_k) + log1p(Σ of the other e^(z_j − z_max)), two terms ≥ 0
    return _weighed(t, z - top - rest.log1p()).sum(-1).neg()


def softmax_ce_gradient(z: Tensor, t: Tensor) -> Tensor:
    """y − t, whose entries sum to 0, in five calls."""
    # torch.softmax takes 18 µs on (128, 10) where these calls take 9
    e = (z - z.detach().amax(-1, keepdim=True)).exp()
    d = e / e.sum(-1, keepdim=True) - t
    # what rounding took from y − 1 at the true class is what the entries miss to sum to 0
    return d.addcmul(t, d.sum(-1, keepdim=True), value=-1)


def softmax_ce_quick(z: Tensor, t: Tensor, classes: Tensor | None) -> tuple[Tensor, Tensor]:
    """log(1 + S) and e/(1 + S), e^(z_k − z_c) but 0 at the class c itself, S their sum."""
    assert classes is not None
    e = in_float64(z)
    e = e.sub_(e.gather(-1, classes)).exp_().scatter_(-1, classes, 0.0)
    rest = e.sum(-1, keepdim=True)
    # the gradient at c is what the others leave to 0
    gradient = e.scatter_(-1, classes, -rest).div_(rest + 1)
    return rest.log1p_().squeeze(-1), gradient


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


def in_float64(values: Tensor) -> Tensor:
    """A copy of numbers of float32 in float64, where there is one."""
    return values.clone() if values.device.type == "mps" else values.double()


def total_of_outputs(values: Tensor) -> Tensor:
    """Σ over the outputs (…)."""
    # the sum of a single one is a copy
    return values.squeeze(-1) if values.shape[-1] == 1 else values.sum(-1)


def _weighed(weight: Tensor, log: Tensor) -> Tensor:
    # 0·log 0 = 0
    return weight * log.masked_fill((weight == 0) & log.isinf(), 0.0)


def _half_square(d: Tensor) -> Tensor:
    # (½d)·d: halving first is exact and keeps the largest and smallest squares representable
    return 0.5 * d * d
