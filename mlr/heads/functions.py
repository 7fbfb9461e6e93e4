"""σ and the log-odds of a softmax, in forms that are exact in both tails: their only home.

Heads, kernels, hidden layers and figures call these. Importing this module imports torch, so
heads import it when they are called.
"""

from __future__ import annotations

import torch
from torch import Tensor

_softplus_backward = torch.ops.aten.softplus_backward.default

REGISTERS = 32
"""Elements that a vectorised loop of torch takes at a time; the remainder is computed singly."""


def sigmoid(z: Tensor) -> Tensor:
    """Return σ(z) = 1/(1 + e⁻ᶻ) of z (…), whose derivatives of any order are exact too."""
    e = exp_of_minus_size(z)
    # σ(z) = 1/(1 + e^−|z|) above 0 and e^−|z|/(1 + e^−|z|) below: no 1 − σ, no overflow
    return e.masked_fill(z > 0, 1.0) / (1 + e)


def weighted_sigmoid(weight: Tensor, z: Tensor) -> Tensor:
    """Return w·σ(z) of w and z (…) in one native pass, as a training step wants it.

    Every number is rounded alike wherever it lies in the tensor.
    """
    # torch has σ as the slope of softplus: e^z/(1 + e^z), and 1 where e^−z is below half an ulp
    threshold = 20 if z.dtype == torch.float32 else 40
    missing = -z.numel() % REGISTERS
    if not missing or not z.is_cpu:
        return _softplus_backward(weight, z, 1, threshold)
    # filled up to whole registers: torch rounds the remainder of an array differently, and the
    # numbers of a run must not depend on the runs that are computed with it
    w, x = (torch.cat((one.reshape(-1), one.new_zeros(missing))) for one in (weight, z))
    return _softplus_backward(w, x, 1, threshold)[:-missing].view(z.shape)


def sigmoid_(z: Tensor) -> Tensor:
    """Replace z (…) by σ(z) in place, for hidden layers: 0 where e⁻ᶻ is no number."""
    # not torch.sigmoid_, which rounds the remainder of an array differently
    return z.neg_().exp_().add_(1).reciprocal_()


def exp_of_minus_size(z: Tensor) -> Tensor:
    """Return e^−|z| (…), with a one-sided derivative at 0 where |z| has none."""
    return (-z).where(z > 0, z).exp()


def log_odds(z: Tensor) -> Tensor:
    """Return z_k − log Σ_{j≠k} e^z_j (…, K): softmax(z)_k is the σ of it."""
    log_y = z - z.logsumexp(-1, keepdim=True)
    # of all but k: log(1 − y_k)
    return log_y - torch.log(-torch.expm1(log_y))
