"""Kernels of the sigmoid unit with squared error and the cross-entropies.

Soft targets mix the two hard ones, so that nothing cancels at either: with y = σ(z) and
1 − y = σ(−z) the error is y − t = (1 − t)·σ(z) − t·σ(−z).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mlr.heads.functions import weighted_sigmoid
from mlr.objectives.kernels.kernel import Kernel, times
from mlr.objectives.kernels.linear import half_squares


def sigmoid_se_losses(z: Tensor, t: Tensor) -> Tensor:
    """½ Σ (y − t)²."""
    y, rest = _both_sides(z)
    return half_squares(torch.lerp(y, -rest, t))


def sigmoid_se_gradient(z: Tensor, t: Tensor) -> Tensor:
    """(y − t)·y·(1 − y)."""
    y, rest = _both_sides(z)
    # interpolates from y at t = 0 to −(1 − y) at t = 1, exact at both ends
    return torch.lerp(y, -rest, t) * (y * rest)


def sigmoid_bce_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ [−t log σ(z) − (1 − t) log σ(−z)]."""
    return (times(t, -logsigmoid(z)) + times(1 - t, -logsigmoid(-z))).sum(-1)


def sigmoid_bce_hard_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ −log σ(±z), + for t = 1."""
    return -logsigmoid((2 * t - 1) * z).sum(-1)


def sigmoid_bce_gradient(z: Tensor, t: Tensor) -> Tensor:
    """y − t = (1 − t)·σ(z) − t·σ(−z)."""
    return weighted_sigmoid(1 - t, z) - weighted_sigmoid(t, -z)


def sigmoid_ce_losses(z: Tensor, t: Tensor) -> Tensor:
    """K = 1: as BCE; else Σ −t log σ(z), which `strict` refuses."""
    if z.shape[-1] == 1:
        return sigmoid_bce_losses(z, t)
    return times(t, -logsigmoid(z)).sum(-1)


def sigmoid_ce_gradient(z: Tensor, t: Tensor) -> Tensor:
    """K = 1: as BCE; else −t·σ(−z)."""
    if z.shape[-1] == 1:
        return sigmoid_bce_gradient(z, t)
    return -weighted_sigmoid(t, -z)


def _both_sides(z: Tensor) -> tuple[Tensor, Tensor]:
    """σ(z) and σ(−z)."""
    one = torch.ones_like(z)
    return weighted_sigmoid(one, z), weighted_sigmoid(one, -z)


SIGMOID_SE = Kernel(sigmoid_se_losses, sigmoid_se_gradient)
SIGMOID_BCE = Kernel(sigmoid_bce_losses, sigmoid_bce_gradient, hard_losses=sigmoid_bce_hard_losses)
SIGMOID_CE = Kernel(sigmoid_ce_losses, sigmoid_ce_gradient)
