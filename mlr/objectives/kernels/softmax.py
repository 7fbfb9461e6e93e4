"""Kernels of the softmax, whose outputs share one probability.

1 − y_k is never computed as such where y_k may be near 1: the other classes are summed. Shapes:
logits z (…, K), targets t (…, K) → losses (…), gradients (…, K).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mlr.losses import (
    AbsoluteError,
    CrossEntropy,
    Hinge,
    Loss,
    Matching,
    Pinball,
    SquaredError,
    Tversky,
)
from mlr.objectives.kernels.class_losses import (
    CLASS_COSTS,
    OUTPUT_COSTS,
    ClassCost,
    set_error,
    set_error_rate,
    unchanged,
    weigher,
)
from mlr.objectives.kernels.class_numbers import softmax_ce_of_classes
from mlr.objectives.kernels.class_terms import ClassTerm
from mlr.objectives.kernels.error_costs import ERROR_COSTS, ErrorCost, absolute, pinball, sign
from mlr.objectives.kernels.kernel import Kernel, sum_of_others, times
from mlr.objectives.kernels.linear import half_squares

BEYOND = 0.75
"""A cost above this power of the largest number stands for the infinite one of a masked class."""


def softmax_ce_losses(z: Tensor, t: Tensor) -> Tensor:
    """−Σ t_k log y_k, −log y_k = (z_max − z_k) + log(1 + Σ of the other e^(z_j − z_max))."""
    top, index = z.max(-1, keepdim=True)
    largest = torch.finfo(z.dtype).max
    # a masked class, of logit −∞, costs the largest number, for 0·∞ is none
    below = (z - top).clamp(min=-largest)
    others = below.exp().scatter(-1, index, 0.0).sum(-1, keepdim=True)
    losses = (t * (others.log1p() - below)).sum(-1)
    return losses.masked_fill(losses > largest**BEYOND, torch.inf)


def softmax_ce_hard_losses(z: Tensor, t: Tensor) -> Tensor:
    """log(1 + Σ_{j≠c} e^(z_j − z_c)), c the true class."""
    others = (z - (t * z).sum(-1, keepdim=True)).exp() * torch.rsub(t, 1)
    return others.sum(-1).log1p()


def softmax_ce_gradient(z: Tensor, t: Tensor) -> Tensor:
    """y − t, whose entries sum to 0."""
    # torch.softmax takes twice the time of these calls
    e = (z - z.amax(-1, keepdim=True)).exp()
    y = e / e.sum(-1, keepdim=True)
    d = y - t
    # where y is near 1, y − 1 is −Σ of the others: its rounding is what the entries miss to 0
    return d.addcmul(t * y, d.sum(-1, keepdim=True), value=-1)


def softmax_se_losses(z: Tensor, t: Tensor) -> Tensor:
    """½ Σ (y_k − t_k)²."""
    return half_squares(_error(softmax_term(z), t))


def softmax_se_gradient(z: Tensor, t: Tensor) -> Tensor:
    """y_k Σ_j y_j (d_k − d_j), d = y − t."""
    term = softmax_term(z)
    return _to_logits(term, -term.p * _error(term, t))


def separate_costs(present: ClassCost, absent: ClassCost) -> Kernel:
    """Σ t_k f(y_k) + (1 − t_k) g(1 − y_k): f is `present`, g `absent`."""

    def losses(z: Tensor, t: Tensor) -> Tensor:
        term = softmax_term(z)
        costs = times(t, present.value(term)) + times(1 - t, absent.value(_complement(term)))
        return costs.sum(-1)

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        index, term = z.max(-1, keepdim=True).indices, softmax_term(z)
        here, away = t * present.fall(term), (1 - t) * absent.fall(_complement(term))
        # −y_j dL/dy_j but for the largest, whose y/(1 − y) may be no number
        falls = here - away * term.p / term.rest.scatter(-1, index, 1.0)
        falls = falls.scatter(-1, index, 0.0)
        top_y, top_here, top_away = (x.gather(-1, index) for x in (term.p, here, away))
        among = among_others(z, index)
        of_top = (top_here * term.p - top_away * top_y * among).scatter(-1, index, 0.0)
        own = away * term.p - here * term.rest
        return term.p * sum_of_others(falls) + of_top + own

    return Kernel(losses, gradient)


def among_others(z: Tensor, index: Tensor) -> Tensor:
    """y_k/(1 − y_i) (…, K), the softmax of all but class i, which is 0 there; `index` is (…, 1)."""
    lowest = torch.finfo(z.dtype).min
    return z.clamp(min=lowest).scatter(-1, index, -torch.inf).softmax(-1)


def _complement(term: ClassTerm) -> ClassTerm:
    """All classes but one."""
    return ClassTerm(term.rest, term.p, term.cost_of_rest, term.cost, term.p)


def class_costs(cost: ClassCost, weigh: Callable[[Tensor], Tensor] = unchanged) -> Kernel:
    """Σ w(t_k) f(y_k), y = softmax(z); w is `weigh`."""

    def losses(z: Tensor, t: Tensor) -> Tensor:
        return times(weigh(t), cost.value(softmax_term(z))).sum(-1)

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        term = softmax_term(z)
        return _to_logits(term, times(weigh(t), cost.fall(term)))

    return Kernel(losses, gradient)


def error_costs(cost: ErrorCost) -> Kernel:
    """Σ ρ(y_k − t_k), y = softmax(z)."""

    def losses(z: Tensor, t: Tensor) -> Tensor:
        return cost.value(_error(softmax_term(z), t)).sum(-1)

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        term = softmax_term(z)
        return _to_logits(term, -term.p * cost.slope(_error(term, t)))

    return Kernel(losses, gradient)


def _of_class(make: Callable[[Any], ClassCost]) -> Callable[[Any], Kernel]:
    return lambda loss: class_costs(make(loss), weigher(loss))


def _of_output(make: Callable[[Any], tuple[ClassCost, ClassCost]]) -> Callable[[Any], Kernel]:
    return lambda loss: separate_costs(*make(loss))


def _of_error(make: Callable[[Any], ErrorCost]) -> Callable[[Any], Kernel]:
    return lambda loss: error_costs(make(loss))


def two_slopes(cost: ErrorCost, above: float, below: float) -> Kernel:
    """Σ ρ(y_k − t_k) of a cost of two slopes: `above` where y > t, −`below` where y < t."""

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        # y_k Σ_j y_j (s_k − s_j): sums of one sign, but where y_k = t_k
        term = softmax_term(z)
        side = sign(_error(term, t))
        over, under, even = ((term.p * (side == one)).sum(-1, keepdim=True) for one in (1, -1, 0))
        whole = above + below
        up, down = whole * under + above * even, -(whole * over + below * even)
        level = below * under - above * over
        slopes = term.p * torch.where(side > 0, up, torch.where(side < 0, down, level))
        # a missing target is NaN to all, which share one probability
        return slopes + 0 * side.sum(-1, keepdim=True)

    return Kernel(error_costs(cost).losses, gradient)


def softmax_hinge_losses(z: Tensor, t: Tensor) -> Tensor:
    """2 Σ t_k (1 − y_k) + (1 − t_k) y_k."""
    term = softmax_term(z)
    return 2 * (t * term.rest + (1 - t) * term.p).sum(-1)


def softmax_hinge_gradient(z: Tensor, t: Tensor) -> Tensor:
    """−4 y_k (t_k − ⟨t, y⟩)."""
    term = softmax_term(z)
    return 4 * _to_logits(term, t * term.p)


def set_errors(loss: Tversky) -> Kernel:
    """(αFP + βFN)/(TP + αFP + βFN + s)."""

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        # all dL/dy_k but for −t_k times this are the same, which no logit of a softmax notices
        term = softmax_term(z)
        return _to_logits(term, t * term.p) * set_error_rate(term, t, loss)

    return Kernel(lambda z, t: set_error(softmax_term(z), t, loss), gradient)


def softmax_term(z: Tensor) -> ClassTerm:
    """Every class of a softmax; `rate` is (dy_k/dz_k)/y_k = 1 − y_k."""
    below, index, others = _below_largest(z)
    whole = below.gather(-1, index).exp() + others
    y = below.exp() / whole
    # 1 − y_max is the share of the others; every other y is at most ½
    rest = (1 - y).scatter(-1, index, others / whole)
    log_whole = others.log1p()
    # −log(1 − y_max) by the logarithm of the others, which may be no number themselves
    of_top = log_whole - below.scatter(-1, index, -torch.inf).logsumexp(-1, keepdim=True)
    of_top = torch.where(others > 0.5, -(-1 / whole).log1p(), of_top)
    cost_of_rest = (-(-y.scatter(-1, index, 0.0)).log1p()).scatter(-1, index, of_top)
    return ClassTerm(y, rest, log_whole - below, cost_of_rest, rest)


def _below_largest(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """z_k − z_max (…, K), the place of the largest and Σ of the other e^(z_k − z_max) (…, 1)."""
    top, index = z.max(-1, keepdim=True)
    below = z - top
    return below, index, below.exp().scatter(-1, index, 0.0).sum(-1, keepdim=True)


def _error(term: ClassTerm, t: Tensor) -> Tensor:
    """y − t, without 1 − y where y is near 1."""
    return (1 - t) * term.p - t * term.rest


def _to_logits(term: ClassTerm, falls: Tensor) -> Tensor:
    """dL/dz_k = y_k Σ_{j≠k} u_j − u_k (1 − y_k) of u_k = −y_k ∂L/∂y_k."""
    return term.p * sum_of_others(falls) - falls * term.rest


SOFTMAX_CE = Kernel(
    softmax_ce_losses,
    softmax_ce_gradient,
    hard_losses=softmax_ce_hard_losses,
    of_classes=softmax_ce_of_classes,
)
SOFTMAX: dict[type[Loss], Callable[[Any], Kernel]] = {
    **{loss: _of_class(make) for loss, make in CLASS_COSTS.items()},
    **{loss: _of_output(make) for loss, make in OUTPUT_COSTS.items()},
    **{loss: _of_error(make) for loss, make in ERROR_COSTS.items()},
    SquaredError: lambda loss: Kernel(softmax_se_losses, softmax_se_gradient),
    # fewer operations than of their costs alone
    CrossEntropy: lambda loss: SOFTMAX_CE,
    Matching: lambda loss: SOFTMAX_CE,
    AbsoluteError: lambda loss: two_slopes(absolute(), 1.0, 1.0),
    Pinball: lambda loss: two_slopes(pinball(loss.tau), 1 - loss.tau, loss.tau),
    Hinge: lambda loss: Kernel(softmax_hinge_losses, softmax_hinge_gradient),
    Tversky: set_errors,
}
"""A loss → its kernel with the softmax."""
