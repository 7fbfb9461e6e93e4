"""Kernels of the loss that matches a head: L = A(z) − ⟨t, z⟩ + c(t), so that dL/dz = y − t.

The matching loss of the linear head is squared error, that of the sigmoid binary cross-entropy,
that of the softmax cross-entropy; the others are here. `matching` serves any head.

Source: Auer, Herbster and Warmuth, Exponentially many local minima for single neurons,
    NeurIPS 8 (1995); Blondel, Martins and Niculae, Learning with Fenchel-Young losses,
    JMLR 21 (2020).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.heads.base import Head
from mlr.heads.cloglog import integrals
from mlr.objectives.kernels.class_terms import (
    TermsOf,
    cloglog_terms,
    gauss,
    hard_sigmoid_terms,
    probit_terms,
)
from mlr.objectives.kernels.kernel import Kernel, TensorFunction, times

TURN, DEPTH = 2.5, 59
"""Start and steps of Laplace's continued fraction: 5e-17 of the value is left."""


def matching(head: Head) -> Kernel:
    """A(z) − ⟨t, z⟩ of any head, differentiated by torch: ∇A(z) = y."""

    def losses(z: Tensor, t: Tensor) -> Tensor:
        return head.potential(z) - (t * z).sum(-1)

    return Kernel(losses, lambda z, t: head(z) - t, differentiable=True)


def of_terms(losses: TensorFunction, terms_of: TermsOf) -> Kernel:
    """A kernel of the losses, with the gradient y − t by class terms."""
    return Kernel(losses, lambda z, t: terms_of(z).error(t))


def probit_losses(z: Tensor, t: Tensor) -> Tensor:
    """(1 − t) A(z) + t A(−z) with A(z) = zΦ(z) + φ(z): A(z) − tz, as A(z) − z = A(−z)."""
    is_down, x, density, mills = gauss(z)
    # A(−x) = φ(x)(1 − x m(x)), m Mills' ratio
    far = density * one_less_mills(x, mills)
    near = x + far
    return (
        times(1 - t, torch.where(is_down, far, near)) + times(t, torch.where(is_down, near, far))
    ).sum(-1)


def one_less_mills(x: Tensor, mills: Tensor) -> Tensor:
    """1 − x m(x), by Laplace's continued fraction where that is small."""
    # m(x) = 1/(x + 1/(x + 2/(x + …))), so that 1 − x m(x) = m(x)/(x + 2/(x + …))
    high = x.clamp(min=TURN)
    # the fraction goes on as its last step repeated
    fraction = 0.5 * (high + (high * high + 4 * DEPTH).sqrt())
    for n in range(DEPTH - 1, 1, -1):
        fraction = high + n / fraction
    return torch.where(x > TURN, mills / fraction, 1 - x * mills)


def cloglog_losses(z: Tensor, t: Tensor) -> Tensor:
    """(1 − t) Ein(e^z) + t E₁(e^z): A(z) − tz − γt, as Ein(e^z) − z − γ = E₁(e^z)."""
    inner, outer = integrals(z)
    return (times(1 - t, inner) + times(t, outer)).sum(-1)


def hard_sigmoid_losses(z: Tensor, t: Tensor) -> Tensor:
    """A(z) − tz + 3t² − 3t = 3(y − t)² + (z + 3 − 6y)(y − t), both ≥ 0."""
    d = hard_sigmoid_terms(z).error(t)
    return (3 * d * d + times(d, z - z.clamp(-3, 3))).sum(-1)


PROBIT_MATCHING = of_terms(probit_losses, probit_terms)
CLOGLOG_MATCHING = of_terms(cloglog_losses, cloglog_terms)
HARD_SIGMOID_MATCHING = of_terms(hard_sigmoid_losses, hard_sigmoid_terms)
