"""What one class costs, by its probability p: f(p), and how it falls, −p f'(p).

Every loss L = Σ_k t_k f(y_k) of probabilities is one of these; `outputs` and `choices` make
its losses and gradients for all heads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mlr.objectives.sides import Side


@dataclass(frozen=True)
class Cost:
    """f(p), and its fall −p f'(p) ≥ 0, of a class (…, K)."""

    value: Callable[[Side], Tensor]
    fall: Callable[[Side], Tensor]


def focal(gamma: float) -> Cost:
    """(1 − p)^γ · −log p."""
    return Cost(partial(_focal_value, gamma), partial(_focal_fall, gamma))


def generalised(q: float) -> Cost:
    """(1 − p^q)/q."""
    return Cost(partial(_generalised_value, q), partial(_generalised_fall, q))


def _log_value(side: Side) -> Tensor:
    return side.cost


def _log_fall(side: Side) -> Tensor:
    return torch.ones_like(side.p)


LOGARITHM = Cost(_log_value, _log_fall)
"""−log p."""


def _focal_value(gamma: float, side: Side) -> Tensor:
    return times(_attention(gamma, side), side.cost)


def _focal_fall(gamma: float, side: Side) -> Tensor:
    """(1 − p)^γ (1 + γ p (−log p)/(1 − p))."""
    # (−log p)/(1 − p) → 1 as p → 1, and p log p → 0 as p → 0
    is_sure = side.rest == 0
    ratio = torch.where(is_sure, 1.0, side.cost / side.rest.masked_fill(is_sure, 1.0))
    return _attention(gamma, side) * (1 + gamma * times(side.p, ratio))


def _attention(gamma: float, side: Side) -> Tensor:
    """(1 − p)^γ."""
    # torch's own power rounds otherwise at the end of an array than within
    if gamma not in range(9):
        return (-gamma * side.cost_of_rest).exp()
    power = torch.ones_like(side.rest)
    for _ in range(int(gamma)):
        power = power * side.rest
    return power


def _generalised_value(q: float, side: Side) -> Tensor:
    return -(-q * side.cost).expm1() / q


def _generalised_fall(q: float, side: Side) -> Tensor:
    return (-q * side.cost).exp()


def times(weight: Tensor, cost: Tensor) -> Tensor:
    """The product, with 0·∞ = 0: what weighs nothing costs nothing."""
    return weight * cost.masked_fill((weight == 0) & cost.isinf(), 0.0)
