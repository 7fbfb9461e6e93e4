"""Poly-1: cross-entropy whose first term of a series in 1 − y has another weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import InputError, finite
from mlr.core.domains import SIMPLEX, Region
from mlr.losses.base import LEAST_PROBABILITY, Loss, floored_log, floored_log_of_complement

if TYPE_CHECKING:
    from torch import Tensor


class Poly1(Loss):
    """L = Σ_k t_k [−log y_k + ε(1 − y_k)]; one output y stands for the pair (1 − y, y).

    −log y = Σ_j (1 − y)^j/j: Poly-1 gives the first term the weight 1 + ε. With ε > 0
    examples that are nearly right keep more gradient, with ε = −1 they lose their leading
    term; ε = 0 is cross-entropy. The logarithm is floored at −100 as in
    `BinaryCrossEntropy`, and nothing has a gradient there.

    It has no likelihood: e^−L of all classes do not add up to a constant.

    Source: Leng et al., PolyLoss: a polynomial expansion perspective of classification loss
        functions, ICLR (2022).
    """

    name: ClassVar[str] = "poly1"
    domain: ClassVar[Region] = SIMPLEX
    target_domain: ClassVar[Region] = SIMPLEX
    linear_in_targets: ClassVar[bool] = True

    def __init__(self, epsilon: float = 1.0) -> None:
        """Set ε.

        Args:
            epsilon: ε ≥ −1, added to the weight of 1 − y.

        Raises:
            InputError: ε is not a finite number of at least −1.
        """
        self.epsilon = float(finite("loss.epsilon", epsilon))
        if self.epsilon < -1:
            raise InputError(
                f"loss.epsilon={epsilon} must be −1 or above: below, the loss of a nearly right "
                "example would fall as it becomes wrong."
            )

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = Σ_k t_k [−log y_k + ε(1 − y_k)] (…); K = 1: and the same of (1 − t, 1 − y)."""
        y, t = predictions, targets
        rest = 1 - y.masked_fill(y <= LEAST_PROBABILITY, 0.0)
        cost = t * (self.epsilon * rest - floored_log(y))
        if y.shape[-1] == 1:
            other = self.epsilon * y.masked_fill(y >= 1, 1.0)
            cost = cost + (1 - t) * (other - floored_log_of_complement(y))
        return cost.sum(-1)
