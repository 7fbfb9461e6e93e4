"""Cross-entropy: one choice among K classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import SIMPLEX, Region
from mlr.losses.base import Loss, floored_log, floored_log_of_complement

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class CrossEntropy(Loss):
    """L = −Σ_k t_k log y_k, with 0·log 0 = 0; one output y stands for the pair (1 − y, y).

    The logarithm is floored at −100 as in `BinaryCrossEntropy`, to which this loss is
    equal for one output.

    Source: Goodfellow et al., Deep Learning, 6.2.1.1 and 6.2.2.3.
    """

    name: ClassVar[str] = "ce"
    domain: ClassVar[Region] = SIMPLEX
    target_domain: ClassVar[Region] = SIMPLEX
    linear_in_targets: ClassVar[bool] = True

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = −Σ_k t_k log y_k (…); K = 1: −t log y − (1 − t) log(1 − y)."""
        y, t = predictions, targets
        cost = t * floored_log(y)
        if y.shape[-1] == 1:
            cost = cost + (1 - t) * floored_log_of_complement(y)
        return -cost.sum(-1)

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Categorical(y), of (1 − y, y) for one output: −log p = L, for one-hot targets."""
        from torch import cat
        from torch.distributions import Categorical

        if predictions.shape[-1] == 1:
            predictions = cat([1 - predictions, predictions], -1)
        return Categorical(predictions)
