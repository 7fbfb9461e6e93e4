"""Formulas of heads that treat each output alone, made of both its classes.

Shapes throughout: logits z (…, K), targets t (…, K) → losses (…), gradients (…, K).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from mlr.heads.cloglog import integrals
from mlr.objectives.costs import Cost, times
from mlr.objectives.formula import Formula
from mlr.objectives.sides import SidesOf, gauss, hard_sigmoid_sides

TURN, DEPTH = 2.5, 59
"""Where Laplace's continued fraction takes over, and its steps: 5e-17 of the value is left."""


def unchanged(t: Tensor) -> Tensor:
    """Targets as they are."""
    return t


def of_classes(
    sides: SidesOf,
    cost: Cost,
    both: bool = False,
    weigh: Callable[[Tensor], Tensor] = unchanged,
) -> Formula:
    """Σ w(t_k) f(y_k), and Σ w(1 − t_k) f(1 − y_k) for one output or if `both`; w is `weigh`."""
    parts = sides, cost, both, weigh
    return Formula(
        partial(_classes_losses, *parts), partial(_classes_gradient, *parts), steady=False
    )


def squared(sides: SidesOf) -> Formula:
    """½ Σ (y − t)²."""
    return Formula(partial(_squared_losses, sides), partial(_squared_gradient, sides), steady=False)


def absolute(sides: SidesOf) -> Formula:
    """Σ |y − t|."""
    return Formula(
        partial(_absolute_losses, sides), partial(_absolute_gradient, sides), steady=False
    )


def hinge(sides: SidesOf) -> Formula:
    """2 Σ t max(0, 1 − y) + (1 − t) max(0, y)."""
    return Formula(partial(_hinge_losses, sides), partial(_hinge_gradient, sides), steady=False)


def _classes_losses(
    sides: SidesOf,
    cost: Cost,
    both: bool,
    weigh: Callable[[Tensor], Tensor],
    z: Tensor,
    t: Tensor,
) -> Tensor:
    found = sides(z)
    costs = times(weigh(t), cost.value(found.one))
    if both or z.shape[-1] == 1:
        costs = costs + times(weigh(1 - t), cost.value(found.zero))
    return costs.sum(-1)


def _classes_gradient(
    sides: SidesOf,
    cost: Cost,
    both: bool,
    weigh: Callable[[Tensor], Tensor],
    z: Tensor,
    t: Tensor,
) -> Tensor:
    """w(1 − t) u(1 − y) |d(1 − y)|/(1 − y) − w(t) u(y) |dy|/y, u(p) = −p f'(p)."""
    found = sides(z)
    gradient = -times(weigh(t) * cost.fall(found.one), found.one.rate)
    if both or z.shape[-1] == 1:
        gradient = gradient + times(weigh(1 - t) * cost.fall(found.zero), found.zero.rate)
    return gradient


def _squared_losses(sides: SidesOf, z: Tensor, t: Tensor) -> Tensor:
    d = sides(z).error(t)
    return (0.5 * d * d).sum(-1)


def _squared_gradient(sides: SidesOf, z: Tensor, t: Tensor) -> Tensor:
    found = sides(z)
    return found.error(t) * found.slope


def _absolute_losses(sides: SidesOf, z: Tensor, t: Tensor) -> Tensor:
    return sides(z).error(t).abs().sum(-1)


def _absolute_gradient(sides: SidesOf, z: Tensor, t: Tensor) -> Tensor:
    found = sides(z)
    return found.error(t).sign() * found.slope


def _hinge_losses(sides: SidesOf, z: Tensor, t: Tensor) -> Tensor:
    found = sides(z)
    return 2 * (times(t, found.one.rest) + times(1 - t, found.one.p)).sum(-1)


def _hinge_gradient(sides: SidesOf, z: Tensor, t: Tensor) -> Tensor:
    found = sides(z)
    return 2 * ((1 - t) * found.one.p.sign() - t * found.one.rest.sign()) * found.slope


def probit_matching_losses(z: Tensor, t: Tensor) -> Tensor:
    """(1 − t) A(z) + t A(−z) with A(z) = zΦ(z) + φ(z): A(z) − tz, as A(z) − z = A(−z)."""
    is_down, x, density, mills = gauss(z)
    # A(−x) = φ(x)(1 − x m(x)), m Mills' ratio
    far = density * _one_less_mills(x, mills)
    near = x + far
    return (
        times(1 - t, torch.where(is_down, far, near)) + times(t, torch.where(is_down, near, far))
    ).sum(-1)


def _one_less_mills(x: Tensor, mills: Tensor) -> Tensor:
    """1 − x m(x), by Laplace's continued fraction where that is small."""
    # m(x) = 1/(x + 1/(x + 2/(x + …))), so that 1 − x m(x) = m(x)/(x + 2/(x + …))
    high = x.clamp(min=TURN)
    # the fraction goes on as its last step repeated
    fraction = 0.5 * (high + (high * high + 4 * DEPTH).sqrt())
    for n in range(DEPTH - 1, 1, -1):
        fraction = high + n / fraction
    return torch.where(x > TURN, mills / fraction, 1 - x * mills)


def cloglog_matching_losses(z: Tensor, t: Tensor) -> Tensor:
    """(1 − t) Ein(e^z) + t E₁(e^z): A(z) − tz − γt, as Ein(e^z) − z − γ = E₁(e^z)."""
    inner, outer = integrals(z)
    return (times(1 - t, inner) + times(t, outer)).sum(-1)


def hard_sigmoid_matching_losses(z: Tensor, t: Tensor) -> Tensor:
    """A(z) − tz + 3t² − 3t = 3(y − t)² + (z + 3 − 6y)(y − t), both ≥ 0."""
    d = hard_sigmoid_sides(z).error(t)
    return (3 * d * d + times(d, z - z.clamp(-3, 3))).sum(-1)


def error_gradient(sides: SidesOf, z: Tensor, t: Tensor) -> Tensor:
    """y − t."""
    return sides(z).error(t)
