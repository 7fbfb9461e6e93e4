"""The absolute error of probabilities, which bounds what one wrong label can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import UNIT, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class AbsoluteError(Loss):
    """L = Σ_k |y_k − t_k|: the −log-likelihood of a Laplace distribution with scale 1.

    On probability vectors and one-hot targets L = 2(1 − y_c), c the class: its losses over
    all classes c add up to the constant 2(K − 1), so that evenly wrong labels do not move the
    minimum. At y = t the derivative is taken as 0.

    Source: Ghosh, Kumar and Sastry, Robust loss functions under label noise for deep neural
        networks, AAAI (2017).
    """

    name: ClassVar[str] = "mae"
    domain: ClassVar[Region] = UNIT
    target_domain: ClassVar[Region] = UNIT

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = Σ_k |y_k − t_k| (…)."""
        return (predictions - targets).abs().sum(-1)

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Laplace(y, 1), independent over the K outputs: −log p = L + K log 2."""
        from torch.distributions import Independent, Laplace

        return Independent(Laplace(predictions, 1.0), 1)
