"""Squared error, with the lecture's ½."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import REALS, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class SquaredError(Loss):
    """L = ½ Σ_k (y_k − t_k)²: the −log-likelihood of a Gaussian with mean y and variance 1.

    Source: Goodfellow et al., Deep Learning, 5.5.1 and 6.2.2.1.
    """

    name: ClassVar[str] = "se"
    domain: ClassVar[Region] = REALS
    target_domain: ClassVar[Region] = REALS

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = ½ Σ_k (y_k − t_k)² (…)."""
        d = predictions - targets
        # (½d)·d: halving first is exact and keeps the largest squares finite
        return (0.5 * d * d).sum(-1)

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Normal(y, 1), independent over the K outputs: −log p = L + ½K log 2π."""
        from torch.distributions import Independent, Normal

        return Independent(Normal(predictions, 1.0), 1)
