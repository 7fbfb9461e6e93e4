"""Costs ρ(d) of the error d = y − t of each output, and their slopes ρ'(d).

Heads and outputs do not matter here: `class_losses` and `softmax` put these costs on the errors of
a head's class terms, and `linear_kernel` on z − t.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mlr.losses import AbsoluteError, Expectile, Huber, LogCosh, Loss, Pinball
from mlr.losses.errors.log_cosh import log_cosh
from mlr.objectives.kernels.kernel import Kernel, over_outputs


@dataclass(frozen=True)
class ErrorCost:
    """A cost ρ(d) of errors d (…), and its slope ρ'(d) (…)."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]


def absolute() -> ErrorCost:
    """|d|."""
    return ErrorCost(torch.abs, sign)


def huber(delta: float) -> ErrorCost:
    """½d² within δ, δ(|d| − ½δ) beyond."""

    def value(d: Tensor) -> Tensor:
        size = d.abs()
        within = size.clamp(max=delta)
        return within * (size - 0.5 * within)

    return ErrorCost(value, lambda d: d.clamp(-delta, delta))


def log_cosh_cost() -> ErrorCost:
    """Log cosh d, with the slope tanh d."""

    def slope(d: Tensor) -> Tensor:
        # tanh d = (e^2d − 1)/(e^2d + 1) of d ≤ 0 or near it, of −|d| elsewhere: e^2d overflows
        grown = (2 * torch.where(d > 1, -d, d)).expm1()
        tanh = grown / (2 + grown)
        return torch.where(d > 1, -tanh, tanh)

    return ErrorCost(log_cosh, slope)


def pinball(tau: float) -> ErrorCost:
    """(1 − τ)d above the target, −τd below."""

    def slope(d: Tensor) -> Tensor:
        return weights(tau, d) * sign(d)

    return ErrorCost(lambda d: weights(tau, d) * d.abs(), slope)


def expectile(tau: float) -> ErrorCost:
    """(1 − τ)d² above the target, τd² below."""

    def value(d: Tensor) -> Tensor:
        # the weight first keeps the largest squares finite
        return weights(tau, d) * d * d

    return ErrorCost(value, lambda d: 2 * weights(tau, d) * d)


def sign(d: Tensor) -> Tensor:
    """−1, 0 or 1 (…), and NaN of NaN, of which torch's own is 0."""
    return d.sign().masked_fill(d.isnan(), torch.nan)


def weights(tau: float, d: Tensor) -> Tensor:
    """1 − τ where y > t, else τ (…)."""
    return torch.full_like(d, tau).masked_fill(d > 0, 1 - tau)


def linear_kernel(cost: ErrorCost) -> Kernel:
    """The kernel of y = z."""
    return Kernel(lambda z, t: over_outputs(cost.value(z - t)), lambda z, t: cost.slope(z - t))


ERROR_COSTS: dict[type[Loss], Callable[[Any], ErrorCost]] = {
    AbsoluteError: lambda loss: absolute(),
    Huber: lambda loss: huber(loss.delta),
    LogCosh: lambda loss: log_cosh_cost(),
    Pinball: lambda loss: pinball(loss.tau),
    Expectile: lambda loss: expectile(loss.tau),
}
"""A loss of the error → its cost: a line here gives one exact kernels with every head of mlr's."""
