"""Partially Huberised cross-entropy: a straight line where a class is thought unlikely."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import InputError, finite
from mlr.core.domains import SIMPLEX, Region
from mlr.losses.base import LEAST_PROBABILITY, Loss, floored_log, floored_log_of_complement

if TYPE_CHECKING:
    from torch import Tensor


class PartiallyHuberisedCrossEntropy(Loss):
    """L = Σ_k t_k f(y_k), f(p) = −log p for p > 1/τ, 1 + log τ − τp else; K = 1: (1 − y, y).

    The line continues the logarithm with its value and slope at p = 1/τ, so that dL/dy never
    exceeds τ and one wrong label costs at most 1 + log τ; where p is above 1/τ it is
    cross-entropy, and for τ → ∞ everywhere. Where y ≤ e⁻¹⁰⁰, the floor of logarithms in
    `BinaryCrossEntropy`, it has no gradient.

    It has no likelihood: e^−L of all classes do not add up to a constant.

    Source: Menon, Rawat, Reddi and Kumar, Can gradient clipping mitigate label noise?, ICLR
        (2020).
    """

    name: ClassVar[str] = "phuber_ce"
    domain: ClassVar[Region] = SIMPLEX
    target_domain: ClassVar[Region] = SIMPLEX
    linear_in_targets: ClassVar[bool] = True

    def __init__(self, tau: float = 10.0) -> None:
        """Set τ.

        Args:
            tau: τ > 1, the largest slope.

        Raises:
            InputError: τ is not a finite number above 1.
        """
        self.tau = float(finite("loss.tau", tau))
        if self.tau <= 1:
            raise InputError(f"loss.tau={tau} must be above 1: the line is taken for y ≤ 1/τ.")

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = Σ_k t_k f(y_k) (…); K = 1: and (1 − t) f(1 − y)."""
        y, t = predictions, targets
        cost = t * self._cost(y.masked_fill(y <= LEAST_PROBABILITY, 0.0), floored_log(y))
        if y.shape[-1] == 1:
            rest = 1 - y.masked_fill(y >= 1, 1.0)
            cost = cost + (1 - t) * self._cost(rest, floored_log_of_complement(y))
        return cost.sum(-1)

    def _cost(self, p: Tensor, log_p: Tensor) -> Tensor:
        line = (1 + log(self.tau)) - self.tau * p
        return line.where(log_p <= -log(self.tau), -log_p)
