"""One example, one logit: its cost, its slope and its bend, from the objective itself."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, pi, sqrt

import numpy as np
import torch
from torch import Tensor

from mlr.objectives import Objective

ZOOMS, POINTS = 12, 101


def logits(low: float, high: float, count: int = 801) -> Tensor:
    """Equally spaced logits (count, 1) in float64, as an objective of one output takes them."""
    return torch.linspace(low, high, count, dtype=torch.float64).unsqueeze(1)


def logit(*values: float) -> Tensor:
    """These logits (N, 1) in float64."""
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def normal_logits(spread: float, count: int = 100_000) -> Tensor:
    """Logits (count, 1) of z ~ N(0, spread²): its even quantiles."""
    share = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return spread * 2**0.5 * torch.erfinv(2 * share - 1).unsqueeze(1)


def costs(head: str, loss: str, z: Tensor, target: float = 1.0) -> Tensor:
    """L (N,) of logits z (N, 1)."""
    return Objective(head, loss, outputs=1).losses(z, torch.full_like(z, target))


def slopes(head: str, loss: str, z: Tensor, target: float = 1.0) -> Tensor:
    """dL/dz (N,) of logits z (N, 1)."""
    return Objective(head, loss, outputs=1).gradient(z, torch.full_like(z, target))[:, 0]


def bends(head: str, loss: str, z: Tensor, target: float = 1.0) -> Tensor:
    """d²L/dz² (N,) of logits z (N, 1), by automatic differentiation of the slope."""
    z = z.clone().requires_grad_()
    total = slopes(head, loss, z, target).sum()
    return torch.autograd.grad(total, z)[0][:, 0]


def lowest(function: Callable[[Tensor], Tensor], low: float, high: float) -> tuple[float, float]:
    """Where a function (N, 1) → (N,) with one minimum in [low, high] has it, and its value.

    Looks closer and closer; the place is known to about the root of the rounding error.
    """
    place = value = 0.0
    for _ in range(ZOOMS):
        z = logits(low, high, POINTS)
        values = function(z)
        best = int(values.argmin())
        place, value = float(z[best]), float(values[best])
        step = (high - low) / (POINTS - 1)
        low, high = place - step, place + step
    return place, value


def crossing(function: Callable[[Tensor], Tensor], low: float, high: float) -> float:
    """Where a function (N, 1) → (N,) that is negative at `low` and positive at `high` is 0.

    By bisection, to the last bit.
    """
    while low < (middle := (low + high) / 2) < high:
        if float(function(logit(middle))) < 0:
            low = middle
        else:
            high = middle
    return high


def integral(function: Callable[[Tensor], Tensor], low: int, high: int, nodes: int = 20) -> float:
    """∫ f(z) dz of a function (N, 1) → (N,) that is smooth except at whole numbers.

    Gauss and Legendre's rule with so many nodes between each two whole numbers.
    """
    at, weights = (torch.from_numpy(one) for one in np.polynomial.legendre.leggauss(nodes))
    panels = torch.arange(low, high, dtype=torch.float64)
    z = (panels[:, None] + (at + 1) / 2).reshape(-1, 1)
    return float((function(z).view(-1, nodes) * weights).sum() / 2)


def expected_size(head: str, loss: str, deviation: float, nodes: int = 20) -> float:
    """E|dL/dz| of a positive example whose logit is normal: z ~ N(0, deviation²)."""

    def weighed(z: Tensor) -> Tensor:
        density = torch.exp(-0.5 * (z[:, 0] / deviation) ** 2) / (deviation * sqrt(2 * pi))
        return slopes(head, loss, z).abs() * density

    reach = ceil(12 * deviation)  # beyond it lies 1e-32 of the probability
    return integral(weighed, -reach, reach, nodes)
