"""Kernels of every loss of probabilities, made of a head's class terms.

A loss of classes is L = Σ_k w(t_k) f(p_k) over the classes with f the cost of one class: −log p
(`bce`, `ce`, `smoothed_ce`), focal's, the generalised one and others; what is no such sum, as
`tversky`, is made of the same terms. Shapes: z and t (…, K) → losses
(…), gradients (…, K).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Any

import torch
from torch import Tensor

from mlr.densities.special import excess_of_log1p
from mlr.losses import (
    Asymmetric,
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    GeneralisedCrossEntropy,
    Hinge,
    Loss,
    PartiallyHuberisedCrossEntropy,
    Poly1,
    SmoothedCrossEntropy,
    SquaredError,
    SymmetricCrossEntropy,
    Tversky,
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


def symmetric(loss: SymmetricCrossEntropy) -> ClassCost:
    """f(p) = −α log p + r(1 − p), r = −βA, with the fall α + rp."""
    alpha, reverse = loss.alpha, loss.reverse
    return ClassCost(
        lambda term: _part(alpha, term.cost) + reverse * term.rest,
        lambda term: alpha + reverse * term.p,
    )


def huberised(tau: float) -> ClassCost:
    """f(p) = −log p for p > 1/τ, else 1 + log τ − τp, with the falls 1 and τp."""
    return ClassCost(
        lambda term: torch.where(
            term.p * tau > 1, term.cost, (1 - tau * term.p.clamp(max=1 / tau)) + log(tau)
        ),
        lambda term: (tau * term.p).clamp(max=1),
    )


def poly1(epsilon: float) -> ClassCost:
    """f(p) = −log p + ε(1 − p), with the fall 1 + εp; for ε < 0 as a sum of terms ≥ 0."""
    if epsilon >= 0:
        return ClassCost(
            lambda term: term.cost + epsilon * term.rest, lambda term: 1 + epsilon * term.p
        )
    return ClassCost(
        lambda term: (
            _part(1 + epsilon, term.cost)
            # −log p − (1 − p)
            - epsilon * excess_of_log1p(-term.rest, -term.cost)
        ),
        lambda term: (1 + epsilon) - epsilon * term.rest,
    )


def shifted(gamma: float, margin: float) -> ClassCost:
    """f(p) = u^γ · −log(1 − u) of u = max(0, 1 − p − m), as `asymmetric` has it for absence."""
    if margin == 0:
        return focal(gamma)

    def parts(term: ClassTerm) -> tuple[Tensor, Tensor, Tensor]:
        # 1 − u = p + m beyond the margin
        u, left = (term.rest - margin).relu(), term.p + margin
        cost = torch.where(u > 0.5, -left.log(), -(-u.clamp(max=0.5)).log1p())
        return u, left, cost

    def value(term: ClassTerm) -> Tensor:
        u, _, cost = parts(term)
        return _power(gamma, u, lambda: -u.log()) * cost

    def fall(term: ClassTerm) -> Tensor:
        u, left, cost = parts(term)
        is_none = u == 0
        # −log(1 − u)/u → 1 as u → 0
        ratio = torch.where(is_none, 1.0, cost / u.masked_fill(is_none, 1.0))
        rise = _power(gamma, u, lambda: -u.log()) * (gamma * ratio + 1 / left)
        return (term.p * rise).masked_fill(is_none, 0.0)

    return ClassCost(value, fall)


def _part(weight: float, cost: Tensor) -> Tensor:
    """Return the product with 0·∞ = 0."""
    return weight * cost if weight else torch.zeros_like(cost)


def _power_of_rest(gamma: float, term: ClassTerm) -> Tensor:
    """(1 − p)^γ."""
    return _power(gamma, term.rest, lambda: term.cost_of_rest)


def _power(gamma: float, base: Tensor, minus_log: Callable[[], Tensor]) -> Tensor:
    """b^γ of b ≥ 0."""
    # torch's own power rounds the remainder of an array differently
    if gamma not in range(9):
        return (-gamma * minus_log()).exp()
    power = torch.ones_like(base)
    for _ in range(int(gamma)):
        power = power * base
    return power


def unchanged(t: Tensor) -> Tensor:
    """Targets as they are."""
    return t


def class_costs(
    terms_of: TermsOf,
    cost: ClassCost,
    both: bool = False,
    weigh: Callable[[Tensor], Tensor] = unchanged,
    other: ClassCost | None = None,
) -> Kernel:
    """Σ w(t_k) f(y_k), and Σ w(1 − t_k) g(1 − y_k) for one output or if `both`.

    w is `weigh`, f `cost`, and g `other`, f too where that is None.
    """
    of_zero = other or cost

    def losses(z: Tensor, t: Tensor) -> Tensor:
        terms = terms_of(z)
        costs = times(weigh(t), cost.value(terms.one))
        if both or z.shape[-1] == 1:
            costs = costs + times(weigh(1 - t), of_zero.value(terms.zero))
        return costs.sum(-1)

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        terms = terms_of(z)
        slopes = -terms.one.to_logits(weigh(t) * cost.fall(terms.one))
        if both or z.shape[-1] == 1:
            slopes = slopes + terms.zero.to_logits(weigh(1 - t) * of_zero.fall(terms.zero))
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


def tversky(terms_of: TermsOf, loss: Tversky) -> Kernel:
    """(αFP + βFN)/(TP + αFP + βFN + s)."""

    def losses(z: Tensor, t: Tensor) -> Tensor:
        terms = terms_of(z)
        return set_error(terms.one, t, loss)

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        terms = terms_of(z)
        return set_error_slopes(terms.one, t, loss) * terms.slope

    return Kernel(losses, gradient)


def set_error(term: ClassTerm, t: Tensor, loss: Tversky) -> Tensor:
    """L = N/(TP + s + N) (…), N = αFP + βFN."""
    off, shared = _off_and_shared(term, t, loss)
    return (off / (shared + off)).squeeze(-1)


def set_error_slopes(term: ClassTerm, t: Tensor, loss: Tversky) -> Tensor:
    """dL/dy_k = (n_k (TP + s) − t_k N)/(TP + s + N)² (…, K), n_k = α(1 − t_k) − β t_k."""
    off, shared = _off_and_shared(term, t, loss)
    whole = shared + off
    return ((loss.alpha * (1 - t) - loss.beta * t) * (shared / whole) - t * (off / whole)) / whole


def set_error_rate(term: ClassTerm, t: Tensor, loss: Tversky) -> Tensor:
    """((α + β)(TP + s) + N)/(TP + s + N)² (…, 1): dL/dy_k is a common number less t_k times it."""
    off, shared = _off_and_shared(term, t, loss)
    whole = shared + off
    return ((loss.alpha + loss.beta) * (shared / whole) + off / whole) / whole


def _off_and_shared(term: ClassTerm, t: Tensor, loss: Tversky) -> tuple[Tensor, Tensor]:
    """αFP + βFN and TP + s (…, 1)."""
    off = loss.alpha * (1 - t) * term.p + loss.beta * t * term.rest
    return off.sum(-1, keepdim=True), (t * term.p).sum(-1, keepdim=True) + loss.smooth


CLASS_COSTS: dict[type[Loss], Callable[[Any], ClassCost]] = {
    CrossEntropy: lambda loss: LOGARITHM,
    Focal: lambda loss: focal(loss.gamma),
    GeneralisedCrossEntropy: lambda loss: generalised(loss.q),
    SmoothedCrossEntropy: lambda loss: LOGARITHM,
    SymmetricCrossEntropy: symmetric,
    PartiallyHuberisedCrossEntropy: lambda loss: huberised(loss.tau),
    Poly1: lambda loss: poly1(loss.epsilon),
}
"""A loss Σ w(t_k) f(y_k) → f: a line here gives one exact kernels with every head of classes."""
OUTPUT_COSTS: dict[type[Loss], Callable[[Any], tuple[ClassCost, ClassCost]]] = {
    BinaryCrossEntropy: lambda loss: (LOGARITHM, LOGARITHM),
    Asymmetric: lambda loss: (
        focal(loss.gamma_present),
        shifted(loss.gamma_absent, loss.margin),
    ),
}
"""A loss Σ t_k f(y_k) + (1 − t_k) g(1 − y_k) → f and g: likewise."""


def weigher(loss: Loss) -> Callable[[Tensor], Tensor]:
    """The w of a loss of `CLASS_COSTS`."""
    return loss.smoothed if isinstance(loss, SmoothedCrossEntropy) else unchanged


def _of_class(make: Callable[[Any], ClassCost]) -> Callable[[TermsOf, Any], Kernel]:
    return lambda terms, loss: class_costs(terms, make(loss), weigh=weigher(loss))


def _of_output(
    make: Callable[[Any], tuple[ClassCost, ClassCost]],
) -> Callable[[TermsOf, Any], Kernel]:
    def kernel(terms: TermsOf, loss: Any) -> Kernel:
        present, absent = make(loss)
        return class_costs(terms, present, both=True, other=absent)

    return kernel


CLASS_LOSSES: dict[type[Loss], Callable[[TermsOf, Any], Kernel]] = {
    SquaredError: lambda terms, loss: squared_error(terms),
    Hinge: lambda terms, loss: hinge(terms),
    **{loss: _of_class(make) for loss, make in CLASS_COSTS.items()},
    **{loss: _of_output(make) for loss, make in OUTPUT_COSTS.items()},
    **{loss: _of_error(make) for loss, make in ERROR_COSTS.items()},
    Tversky: tversky,
}
"""A loss of mlr's, with the class terms of any head → the kernel."""
