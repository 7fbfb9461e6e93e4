"""Symmetric cross-entropy: cross-entropy and its reverse, which a wrong label moves less."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import InputError, finite, non_negative
from mlr.core.domains import SIMPLEX, Region
from mlr.losses.base import LEAST_PROBABILITY, Loss, floored_log, floored_log_of_complement

if TYPE_CHECKING:
    from torch import Tensor


class SymmetricCrossEntropy(Loss):
    """L = Σ_k t_k [−α log y_k − β A (1 − y_k)], A < 0; one output stands for (1 − y, y).

    Reverse cross-entropy −Σ_k y_k log t_k exchanges the two distributions, with A for the
    log 0 of one-hot targets: it is then −A(1 − y_c), c the class, an absolute error. α weighs
    what learns fast, β what a wrong label can do little to. For soft targets L is the mean of
    the losses of the classes, by t. The logarithm is floored at −100 as in
    `BinaryCrossEntropy`, and nothing has a gradient there.

    It has no likelihood: e^−L of all classes do not add up to a constant.

    Source: Wang et al., Symmetric cross entropy for robust learning with noisy labels, ICCV
        (2019).
    """

    name: ClassVar[str] = "symmetric_ce"
    domain: ClassVar[Region] = SIMPLEX
    target_domain: ClassVar[Region] = SIMPLEX
    linear_in_targets: ClassVar[bool] = True

    def __init__(self, alpha: float = 0.1, beta: float = 1.0, log_zero: float = -4.0) -> None:
        """Set α, β and A.

        Args:
            alpha: α ≥ 0, the weight of cross-entropy.
            beta: β ≥ 0, the weight of reverse cross-entropy.
            log_zero: A < 0, what stands for log 0.

        Raises:
            InputError: α or β is negative or not finite, or A is not a finite number below 0.
        """
        self.alpha = float(non_negative("loss.alpha", alpha))
        self.beta = float(non_negative("loss.beta", beta))
        self.log_zero = float(finite("loss.log_zero", log_zero))
        if self.log_zero >= 0:
            raise InputError(f"loss.log_zero={log_zero} stands for log 0 and must be below 0.")

    @property
    def reverse(self) -> float:
        """−βA, the factor of 1 − y."""
        return -self.beta * self.log_zero

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = Σ_k t_k [−α log y_k − βA(1 − y_k)] (…); K = 1: and the same of (1 − t, 1 − y)."""
        y, t = predictions, targets
        rest = 1 - y.masked_fill(y <= LEAST_PROBABILITY, 0.0)
        cost = t * (self.reverse * rest - self.alpha * floored_log(y))
        if y.shape[-1] == 1:
            other = self.reverse * y.masked_fill(y >= 1, 1.0)
            cost = cost + (1 - t) * (other - self.alpha * floored_log_of_complement(y))
        return cost.sum(-1)
