"""Formulas of heads whose outputs share one probability: softmax and sparsemax.

Shapes throughout: logits z (…, K), targets t (…, K) → losses (…), gradients (…, K).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from mlr.heads.sparsemax import Sparsemax, threshold
from mlr.objectives.costs import Cost, times
from mlr.objectives.formula import Formula, TensorFunction
from mlr.objectives.outputs import unchanged
from mlr.objectives.sides import Side, sparsemax_sides


def softmax_side(z: Tensor) -> Side:
    """Every class of a softmax; `rate` is (dy_k/dz_k)/y_k = 1 − y_k."""
    top, index = z.max(-1, keepdim=True)
    e = (z - top).exp()
    others = e.scatter(-1, index, 0.0).sum(-1, keepdim=True)
    y = e / (1 + others)
    # 1 − y_max is what the others have; every other y is at most ½
    rest = (1 - y).scatter(-1, index, others / (1 + others))
    return Side(y, rest, (top - z) + others.log1p(), -rest.log(), rest)


def of_classes(cost: Cost, weigh: Callable[[Tensor], Tensor] = unchanged) -> Formula:
    """Σ w(t_k) f(y_k), y = softmax(z); w is `weigh`."""
    return Formula(
        partial(_classes_losses, cost, weigh),
        partial(_classes_gradient, cost, weigh),
        steady=False,
    )


def _classes_losses(cost: Cost, weigh: Callable[[Tensor], Tensor], z: Tensor, t: Tensor) -> Tensor:
    return times(weigh(t), cost.value(softmax_side(z))).sum(-1)


def _classes_gradient(
    cost: Cost, weigh: Callable[[Tensor], Tensor], z: Tensor, t: Tensor
) -> Tensor:
    side = softmax_side(z)
    return _pulled(side, times(weigh(t), cost.fall(side)))


def absolute_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ |y_k − t_k|."""
    return _error(softmax_side(z), t).abs().sum(-1)


def absolute_gradient(z: Tensor, t: Tensor) -> Tensor:
    """y_k Σ_j y_j (s_k − s_j), s = sign(y − t): sums of one sign, but where y_k = t_k."""
    side = softmax_side(z)
    sign = _error(side, t).sign()
    over, under, even = ((side.p * (sign == one)).sum(-1, keepdim=True) for one in (1, -1, 0))
    up, down = 2 * under + even, -(2 * over + even)
    towards = torch.where(sign > 0, up, torch.where(sign < 0, down, under - over))
    return side.p * towards


def hinge_losses(z: Tensor, t: Tensor) -> Tensor:
    """2 Σ t_k (1 − y_k) + (1 − t_k) y_k."""
    side = softmax_side(z)
    return 2 * (t * side.rest + (1 - t) * side.p).sum(-1)


def hinge_gradient(z: Tensor, t: Tensor) -> Tensor:
    """−4 y_k (t_k − ⟨t, y⟩)."""
    side = softmax_side(z)
    return 4 * _pulled(side, t * side.p)


def projected(formula: Formula) -> Formula:
    """A formula of sparsemax, of one for its outputs alone: dL/dz_k = dL/dy_k − the mean in S."""
    return Formula(formula.losses, partial(_projected_gradient, formula.gradient), steady=False)


def _projected_gradient(gradient: TensorFunction, z: Tensor, t: Tensor) -> Tensor:
    supported = Sparsemax()(z).sign()
    size = supported.sum(-1, keepdim=True)
    of_y = gradient(z, t)
    return supported * ((size - 1) * of_y - _others(of_y)) / size


def sparsemax_matching_losses(z: Tensor, t: Tensor) -> Tensor:
    """½ Σ (y_k − t_k)² + Σ t_k max(0, τ − z_k): A(z) − ⟨t, z⟩ + ½‖t‖² for Σ t = 1."""
    below_top = z - z.amax(-1, keepdim=True)
    missing = (threshold(below_top) - below_top).relu()
    d = sparsemax_sides(z).error(t)
    return (0.5 * d * d + times(t, missing)).sum(-1)


def _error(side: Side, t: Tensor) -> Tensor:
    """y − t, without 1 − y where y is near 1."""
    return (1 - t) * side.p - t * side.rest


def _pulled(side: Side, fall: Tensor) -> Tensor:
    """dL/dz_k = y_k Σ_{j≠k} u_j − u_k (1 − y_k) of u_k = −y_k ∂L/∂y_k ≥ 0."""
    return side.p * _others(fall) - fall * side.rest


def _others(values: Tensor) -> Tensor:
    """Σ_{j≠k} v_j (…, K), summed at the largest, where the total less v_k would cancel."""
    index = values.abs().max(-1, keepdim=True).indices
    others = values.scatter(-1, index, 0.0).sum(-1, keepdim=True)
    return (others + values.gather(-1, index) - values).scatter(-1, index, others)
