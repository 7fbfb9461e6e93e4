"""One logit: loss, first and second derivative, and what is computed from them."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, pi, sqrt

import numpy as np
import torch
from torch import Tensor

from mlr.objectives import Objective

ZOOMS, POINTS = 12, 101


def logits(low: float, high: float, count: int = 801) -> Tensor:
    """Return equally spaced logits (count, 1) in float64."""
    return torch.linspace(low, high, count, dtype=torch.float64).unsqueeze(1)


def logit(*values: float) -> Tensor:
    """Return the given logits (N, 1) in float64."""
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def normal_logits(spread: float, count: int = 100_000) -> Tensor:
    """Return logits (count, 1) at equally spaced quantiles of N(0, spread²)."""
    share = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return spread * 2**0.5 * torch.erfinv(2 * share - 1).unsqueeze(1)


def costs(head: str, loss: str, z: Tensor, target: float = 1.0) -> Tensor:
    """Compute L (N,) of logits z (N, 1)."""
    return Objective(head, loss, outputs=1).losses(z, torch.full_like(z, target))


def slopes(head: str, loss: str, z: Tensor, target: float = 1.0) -> Tensor:
    """Compute dL/dz (N,) of logits z (N, 1)."""
    return Objective(head, loss, outputs=1).gradient(z, torch.full_like(z, target))[:, 0]


def curvature(head: str, loss: str, z: Tensor, target: float = 1.0) -> Tensor:
    """Compute d²L/dz² (N,) of logits z (N, 1), by automatic differentiation of dL/dz."""
    z = z.clone().requires_grad_()
    total = slopes(head, loss, z, target).sum()
    return torch.autograd.grad(total, z)[0][:, 0]


def lowest(function: Callable[[Tensor], Tensor], low: float, high: float) -> tuple[float, float]:
    """Find the minimum of a function (N, 1) → (N,) with a single one in [low, high].

    Searches a grid that gets finer; the place is accurate to the square root of the rounding error.

    Returns:
        Place and value of the minimum.
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
    """Find the root of a function (N, 1) → (N,) that is negative at `low`, positive at `high`.

    Bisects to the last bit.
    """
    while low < (middle := (low + high) / 2) < high:
        if float(function(logit(middle))) < 0:
            low = middle
        else:
            high = middle
    return high


def integral(function: Callable[[Tensor], Tensor], low: int, high: int, nodes: int = 20) -> float:
    """Integrate a function (N, 1) → (N,) that is smooth except at whole numbers.

    Applies Gauss–Legendre quadrature with `nodes` nodes between each two whole numbers.
    """
    at, weights = (torch.from_numpy(one) for one in np.polynomial.legendre.leggauss(nodes))
    panels = torch.arange(low, high, dtype=torch.float64)
    z = (panels[:, None] + (at + 1) / 2).reshape(-1, 1)
    return float((function(z).view(-1, nodes) * weights).sum() / 2)


def expected_size(head: str, loss: str, deviation: float, nodes: int = 20) -> float:
    """Compute E|dL/dz| of a positive example over z ~ N(0, deviation²)."""

    def weighted(z: Tensor) -> Tensor:
        density = torch.exp(-0.5 * (z[:, 0] / deviation) ** 2) / (deviation * sqrt(2 * pi))
        return slopes(head, loss, z).abs() * density

    reach = ceil(12 * deviation)  # the probability beyond is 1e-32
    return integral(weighted, -reach, reach, nodes)
