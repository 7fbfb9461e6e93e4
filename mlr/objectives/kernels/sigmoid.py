"""Kernels of the sigmoid unit with squared error and the cross-entropies.

With y = σ(z) and 1 − y = σ(−z) the error is y − t = (1 − t)·σ(z) − t·σ(−z): a soft target lies
between two hard ones, and nothing cancels at either.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mlr.heads.functions import sigmoid_error, sigmoid_errors, signs_of, softplus
from mlr.objectives.kernels.kernel import Kernel, over_outputs, times
from mlr.objectives.kernels.linear import half_squares


def sigmoid_se_losses(z: Tensor, t: Tensor) -> Tensor:
    """½ Σ (y − t)²."""
    return half_squares(sigmoid_bce_gradient(z, t))


def sigmoid_se_gradient(z: Tensor, t: Tensor) -> Tensor:
    """(y − t)·y·(1 − y)."""
    at_0, at_1 = sigmoid_errors(z)
    return -(torch.lerp(at_0, at_1, t) * (at_0 * at_1))


def sigmoid_bce_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ [−t log σ(z) − (1 − t) log σ(−z)] = Σ [softplus(±z) + (h − t)z], + for h = 0."""
    # h is the nearer hard target
    h = t.round()
    # 0·∞ = 0: an infinite logit that is right costs nothing; NaN is kept by softplus. Where this is
    # −∞, softplus is ∞ and twice as large
    way = ((h - t) * z).nan_to_num(0.0, torch.inf, 0.0)
    return (softplus((1 - 2 * h) * z) + way).sum(-1)


def sigmoid_bce_hard_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ −log σ(±z), + for t = 1."""
    # 2t − 1 in one operation
    return -logsigmoid(torch.rsub(t, -1, alpha=-2) * z).sum(-1)


def sigmoid_bce_gradient(z: Tensor, t: Tensor) -> Tensor:
    """y − t, from σ(z) at t = 0 to −σ(−z) at t = 1."""
    return torch.lerp(*sigmoid_errors(z), t)


def sigmoid_ce_losses(z: Tensor, t: Tensor) -> Tensor:
    """K = 1: as BCE; else Σ −t log σ(z), which `strict` refuses."""
    if z.shape[-1] == 1:
        return sigmoid_bce_losses(z, t)
    return times(t, softplus(-z)).sum(-1)


def sigmoid_ce_gradient(z: Tensor, t: Tensor) -> Tensor:
    """K = 1: as BCE; else −t·σ(−z)."""
    if z.shape[-1] == 1:
        return sigmoid_bce_gradient(z, t)
    return t * sigmoid_errors(z)[1]


def _hard_se_losses(z: Tensor, t: Tensor) -> Tensor:
    return half_squares(_hard_bce_gradient(z, t))


def _hard_bce_losses(z: Tensor, t: Tensor) -> Tensor:
    return over_outputs(softplus(signs_of(t) * z))


def _hard_bce_gradient(z: Tensor, t: Tensor) -> Tensor:
    return sigmoid_error(signs_of(t), z)


SIGMOID_SE = Kernel(
    sigmoid_se_losses, sigmoid_se_gradient, hard=Kernel(_hard_se_losses, sigmoid_se_gradient)
)
SIGMOID_BCE = Kernel(
    sigmoid_bce_losses,
    sigmoid_bce_gradient,
    hard_losses=sigmoid_bce_hard_losses,
    hard=Kernel(_hard_bce_losses, _hard_bce_gradient),
)
SIGMOID_CE = Kernel(sigmoid_ce_losses, sigmoid_ce_gradient)
