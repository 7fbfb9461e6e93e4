"""Binary cross-entropy: one yes/no question for each output."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import UNIT, Region
from mlr.losses.base import Loss, floored_log, floored_log_of_complement

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class BinaryCrossEntropy(Loss):
    """L = Σ_k [−t_k log y_k − (1 − t_k) log(1 − y_k)], with 0·log 0 = 0.

    The logarithms are floored at −100, as in torch.nn.BCELoss, so that a prediction of
    exactly 0 or 1 costs at most 100; where the floor holds, its gradient is 0.

    Source: Goodfellow et al., Deep Learning, 6.2.2.2.
    """

    name: ClassVar[str] = "bce"
    domain: ClassVar[Region] = UNIT
    target_domain: ClassVar[Region] = UNIT

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = −Σ_k [t_k log y_k + (1 − t_k) log(1 − y_k)] (…)."""
        y, t = predictions, targets
        return -(t * floored_log(y) + (1 - t) * floored_log_of_complement(y)).sum(-1)

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Bernoulli(y), independent over the K outputs: −log p = L, for targets 0 and 1."""
        from torch.distributions import Bernoulli, Independent

        return Independent(Bernoulli(predictions), 1)
