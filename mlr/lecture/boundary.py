"""Points on a line, two classes, and the boundary that a trained unit puts between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mlr.objectives import Objective

POINTS, CLASSES = (0.0, 1.0, 2.0, 3.0), (0.0, 0.0, 1.0, 1.0)
STEEPEST = {("linear", "se"): 1.0, ("sigmoid", "bce"): 0.25}
"""The largest d²L/dz²: one over it is the largest learning rate that is always steady."""
BOUNDARY = {"linear": 0.5, "sigmoid": 0.0}
"""The logit whose prediction is ½."""


@dataclass(frozen=True)
class Fit:
    """A trained unit with z = weight · x + bias.

    boundary: the x whose prediction is ½.
    right: whether each point is predicted rightly.
    loss: mean over the points.
    """

    weight: float
    bias: float
    boundary: float
    right: tuple[bool, ...]
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of points predicted rightly."""
        return sum(self.right) / len(self.right)


def fit(head: str, loss: str, more: Sequence[float] = (), updates: int = 2000) -> Fit:
    """Train on the four points, and on `more` points of class 1.

    Gradient descent on all points at once, on inputs of mean 0 and variance 1, where the
    largest steady learning rate solves least squares in a single update.
    """
    objective = Objective(head, loss, outputs=1)
    gradient = objective.kernel.gradient  # as in the engine's own step, without its checks
    x = torch.tensor([*POINTS, *more], dtype=torch.float64).unsqueeze(1)
    t = torch.tensor([*CLASSES, *(1.0 for _ in more)], dtype=torch.float64).unsqueeze(1)
    mean, deviation = x.mean(), x.std(correction=0)
    inputs = (x - mean) / deviation
    weight = bias = torch.zeros((), dtype=torch.float64)
    lr = 1 / STEEPEST[head, loss]
    with torch.inference_mode():
        for _ in range(updates):
            slopes = gradient(weight * inputs + bias, t)
            weight = weight - lr * (slopes * inputs).mean()
            bias = bias - lr * slopes.mean()
        z = weight * inputs + bias
        right = objective.head.classify(z) == t[:, 0]
        w, b = float(weight / deviation), float(bias - weight * mean / deviation)
        boundary = (BOUNDARY[head] - b) / w
        return Fit(w, b, boundary, tuple(right.tolist()), float(objective.losses(z, t).mean()))
