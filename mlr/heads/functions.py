"""σ and the log-odds of a softmax, in forms that are exact in both tails: their only home.

Heads, kernels, hidden layers and figures call these. Importing this module imports torch, so
heads import it when they are called.
"""

from __future__ import annotations

import torch
from torch import Tensor

_softplus_backward = torch.ops.aten.softplus_backward.default

_ONES = {
    dtype: (torch.ones((), dtype=dtype), -torch.ones((), dtype=dtype))
    for dtype in (torch.float32, torch.float64)
}
REGISTERS = 32
"""Elements that a vectorised loop of torch takes at a time; the remainder is computed singly."""


def sigmoid(z: Tensor) -> Tensor:
    """Return σ(z) = 1/(1 + e⁻ᶻ) of z (…), whose derivatives of any order are exact too."""
    e = exp_of_minus_size(z)
    # σ(z) = 1/(1 + e^−|z|) above 0 and e^−|z|/(1 + e^−|z|) below: no 1 − σ, no overflow
    return e.masked_fill(z > 0, 1.0) / (1 + e)


def sigmoid_errors(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return σ(z) − t for t = 0 and t = 1: σ(z) and −σ(−z) of z (…), exact in both tails.

    Two native passes, as a training step wants them, of float32 or float64.
    """
    one, minus_one = _ONES[z.dtype]
    # torch has σ as the slope of softplus: e^z/(1 + e^z), and 1 where e^−z is below half an ulp
    threshold = 20 if z.dtype == torch.float32 else 40
    if not z.is_cpu:
        one, minus_one = one.to(z.device), minus_one.to(z.device)
    elif z.numel() % REGISTERS:
        filled = filled_up(z)
        found = (
            _softplus_backward(one, filled, 1, threshold),
            _softplus_backward(minus_one, -filled, 1, threshold),
        )
        return found[0][: z.numel()].view(z.shape), found[1][: z.numel()].view(z.shape)
    return (
        _softplus_backward(one, z, 1, threshold),
        _softplus_backward(minus_one, -z, 1, threshold),
    )


def sigmoid_error(signs: Tensor, z: Tensor) -> Tensor:
    """Return σ(z) − t of z (…) for t of 0 or 1, given `signs` 1 − 2t: s·σ(s·z), to the bit.

    Half of the work of `sigmoid_errors`, and the same numbers.
    """
    threshold = 20 if z.dtype == torch.float32 else 40
    signed = signs * z
    if z.numel() % REGISTERS and z.is_cpu:
        found = _softplus_backward(filled_up(signs), filled_up(signed), 1, threshold)
        return found[: z.numel()].view(z.shape)
    return _softplus_backward(signs, signed, 1, threshold)


def signs_of(t: Tensor) -> Tensor:
    """Return 1 − 2t (…), exact for t of 0 or 1."""
    one = _ONES[t.dtype][0]
    # a scalar that is no tensor takes twice as long
    return torch.sub(one if t.is_cpu else one.to(t.device), t, alpha=2)


def softplus(z: Tensor) -> Tensor:
    """Return log(1 + e^z) = −log σ(−z) of z (…), exact in both tails: one native pass."""
    # where e^−z is below half an ulp, softplus is z
    threshold = 20 if z.dtype == torch.float32 else 40
    # an exported program is for any number of examples
    if z.is_cpu and not torch.compiler.is_exporting() and z.numel() % REGISTERS:
        found = torch.nn.functional.softplus(filled_up(z), threshold=threshold)
        return found[: z.numel()].view(z.shape)
    return torch.nn.functional.softplus(z, threshold=threshold)


def filled_up(z: Tensor) -> Tensor:
    """Return the numbers of z in one row, with zeros behind them that fill the last register.

    Some functions of torch round the remainder of an array differently, and the numbers of a
    run must not depend on the runs that are computed with it.
    """
    return torch.cat((z.reshape(-1), z.new_zeros(-z.numel() % REGISTERS)))


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
