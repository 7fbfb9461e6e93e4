"""Kernels of every loss of probabilities, made of a head's class terms.

A loss of classes is L = Σ_k w(t_k) f(p_k) over the classes with f the cost of one class: −log p
(`bce`, `ce`, `smoothed_ce`), focal's or the generalised one. Shapes: z and t (…, K) → losses
(…), gradients (…, K).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mlr.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    GeneralisedCrossEntropy,
    Hinge,
    Loss,
    SmoothedCrossEntropy,
    SquaredError,
)
from mlr.objectives.kernels.class_terms import ClassTerm, TermsOf
from mlr.objectives.kernels.error_costs import ERROR_COSTS, ErrorCost
from mlr.objectives.kernels.kernel import Kernel, times
from mlr.objectives.kernels.linear import half_squares


@dataclass(frozen=True)
class ClassCost:
    """The cost f(p) of one class, and its fall −p f'(p) ≥ 0."""

    value: Callable[[ClassTerm], Tensor]
    fall: Callable[[ClassTerm], Tensor]


LOGARITHM = ClassCost(lambda term: term.cost, lambda term: torch.ones_like(term.p))
"""f(p) = −log p."""


def focal(gamma: float) -> ClassCost:
    """f(p) = (1 − p)^γ · −log p, with the fall (1 − p)^γ (1 + γ p (−log p)/(1 − p))."""

    def fall(term: ClassTerm) -> Tensor:
        # (−log p)/(1 − p) → 1 as p → 1, and p log p → 0 as p → 0
        is_sure = term.rest == 0
        ratio = torch.where(is_sure, 1.0, term.cost / term.rest.masked_fill(is_sure, 1.0))
        return _power_of_rest(gamma, term) * (1 + gamma * times(term.p, ratio))

    return ClassCost(lambda term: times(_power_of_rest(gamma, term), term.cost), fall)


def generalised(q: float) -> ClassCost:
    """f(p) = (1 − p^q)/q, with the fall p^q."""
    return ClassCost(
        lambda term: -(-q * term.cost).expm1() / q, lambda term: (-q * term.cost).exp()
    )


def _power_of_rest(gamma: float, term: ClassTerm) -> Tensor:
    """(1 − p)^γ."""
    # torch's own power rounds the remainder of an array differently
    if gamma not in range(9):
        return (-gamma * term.cost_of_rest).exp()
    power = torch.ones_like(term.rest)
    for _ in range(int(gamma)):
        power = power * term.rest
    return power


def unchanged(t: Tensor) -> Tensor:
    """Targets as they are."""
    return t


def class_costs(
    terms_of: TermsOf,
    cost: ClassCost,
    both: bool = False,
    weigh: Callable[[Tensor], Tensor] = unchanged,
) -> Kernel:
    """Σ w(t_k) f(y_k), and Σ w(1 − t_k) f(1 − y_k) for one output or if `both`; w is `weigh`."""

    def losses(z: Tensor, t: Tensor) -> Tensor:
        terms = terms_of(z)
        costs = times(weigh(t), cost.value(terms.one))
        if both or z.shape[-1] == 1:
            costs = costs + times(weigh(1 - t), cost.value(terms.zero))
        return costs.sum(-1)

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        terms = terms_of(z)
        slopes = -terms.one.to_logits(weigh(t) * cost.fall(terms.one))
        if both or z.shape[-1] == 1:
            slopes = slopes + terms.zero.to_logits(weigh(1 - t) * cost.fall(terms.zero))
        return slopes

    return Kernel(losses, gradient)


def squared_error(terms_of: TermsOf) -> Kernel:
    """½ Σ (y − t)²."""

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        terms = terms_of(z)
        return terms.error(t) * terms.slope

    return Kernel(lambda z, t: half_squares(terms_of(z).error(t)), gradient)


def error_costs(terms_of: TermsOf, cost: ErrorCost) -> Kernel:
    """Σ ρ(y − t)."""

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        terms = terms_of(z)
        return cost.slope(terms.error(t)) * terms.slope

    return Kernel(lambda z, t: cost.value(terms_of(z).error(t)).sum(-1), gradient)


def _of_error(make: Callable[[Any], ErrorCost]) -> Callable[[TermsOf, Any], Kernel]:
    return lambda terms, loss: error_costs(terms, make(loss))


def hinge(terms_of: TermsOf) -> Kernel:
    """2 Σ t max(0, 1 − y) + (1 − t) max(0, y)."""

    def losses(z: Tensor, t: Tensor) -> Tensor:
        terms = terms_of(z)
        return 2 * (times(t, terms.one.rest) + times(1 - t, terms.one.p)).sum(-1)

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        terms = terms_of(z)
        return 2 * ((1 - t) * terms.one.p.sign() - t * terms.one.rest.sign()) * terms.slope

    return Kernel(losses, gradient)


CLASS_LOSSES: dict[type[Loss], Callable[[TermsOf, Any], Kernel]] = {
    SquaredError: lambda terms, loss: squared_error(terms),
    BinaryCrossEntropy: lambda terms, loss: class_costs(terms, LOGARITHM, both=True),
    CrossEntropy: lambda terms, loss: class_costs(terms, LOGARITHM),
    Hinge: lambda terms, loss: hinge(terms),
    Focal: lambda terms, loss: class_costs(terms, focal(loss.gamma)),
    GeneralisedCrossEntropy: lambda terms, loss: class_costs(terms, generalised(loss.q)),
    SmoothedCrossEntropy: lambda terms, loss: class_costs(terms, LOGARITHM, weigh=loss.smoothed),
    **{loss: _of_error(make) for loss, make in ERROR_COSTS.items()},
}
"""A loss of mlr's, with the class terms of any head → the kernel."""
