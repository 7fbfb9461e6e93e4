"""The focal loss: cross-entropy that attends to what is not yet learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import non_negative
from mlr.core.domains import SIMPLEX, Region
from mlr.losses.base import (
    LEAST_PROBABILITY,
    Loss,
    floored_log,
    floored_log_of_complement,
    power,
)

if TYPE_CHECKING:
    from torch import Tensor


class Focal(Loss):
    """L = −Σ_k t_k (1 − y_k)^γ log y_k, with 0·log 0 = 0; one output stands for (1 − y, y).

    Examples that are right already weigh little: (1 − y)^γ → 0. γ = 0 is cross-entropy. The
    logarithm is floored at −100 as in `BinaryCrossEntropy`, and has no gradient there.

    It has no likelihood: e^−L of all classes do not add up to a constant, and its minimum is
    not where predictions are the frequencies of the classes.

    Source: Lin et al., Focal loss for dense object detection, ICCV (2017).
    """

    name: ClassVar[str] = "focal"
    domain: ClassVar[Region] = SIMPLEX
    target_domain: ClassVar[Region] = SIMPLEX
    linear_in_targets: ClassVar[bool] = True

    def __init__(self, gamma: float = 2.0) -> None:
        """Set γ.

        Args:
            gamma: γ ≥ 0, how fast the attention falls.

        Raises:
            InputError: γ is negative or not a finite number.
        """
        self.gamma = float(non_negative("loss.gamma", gamma))

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = −Σ_k t_k (1 − y_k)^γ log y_k (…); K = 1: and −(1 − t) y^γ log(1 − y)."""
        y, t = predictions, targets
        # constants where the floor holds, so that nothing has a gradient there
        rest = 1 - y.masked_fill(y <= LEAST_PROBABILITY, 0.0)
        cost = t * power(rest, self.gamma) * floored_log(y)
        if y.shape[-1] == 1:
            other = power(y.masked_fill(y >= 1, 1.0), self.gamma)
            cost = cost + (1 - t) * other * floored_log_of_complement(y)
        return -cost.sum(-1)
