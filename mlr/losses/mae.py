"""The absolute error, which bounds what one wrong label or one outlier can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import REALS, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class AbsoluteError(Loss):
    """L = Σ_k |y_k − t_k|: the −log-likelihood of a Laplace distribution with scale 1.

    With head=linear it learns the median of the targets, where squared error learns their mean:
    an outlier pulls no harder than any other target.

    On probability vectors and one-hot targets L = 2(1 − y_c), c the class: its losses over
    all classes c add up to the constant 2(K − 1), so that evenly wrong labels do not move the
    minimum. At y = t the derivative is taken as 0.

    Source: Bloomfield and Steiger, Least absolute deviations (1983); Ghosh, Kumar and Sastry,
        Robust loss functions under label noise for deep neural networks, AAAI (2017).
    """

    name: ClassVar[str] = "mae"
    domain: ClassVar[Region] = REALS
    target_domain: ClassVar[Region] = REALS

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = Σ_k |y_k − t_k| (…)."""
        return (predictions - targets).abs().sum(-1)

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Laplace(y, 1), independent over the K outputs: −log p = L + K log 2."""
        from torch.distributions import Independent, Laplace

        return Independent(Laplace(predictions, 1.0), 1)
