"""The expectile loss: a squared error with different weights on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import REALS, Region
from mlr.losses.base import Loss
from mlr.losses.errors.pinball import level

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class Expectile(Loss):
    """L = Σ_k w_k(y_k − t_k)², w = τ where t_k > y_k, else 1 − τ: y learns the τ-expectile.

    τ = ½ is `se`, and learns the mean. An expectile is to the mean what a quantile is to the
    median; unlike `pinball` it is smooth, and moved by how far away outliers are.

    With head=linear it is the −log-likelihood of a proper density, two halves of Gaussians.

    Source: Newey and Powell, Asymmetric least squares estimation and testing, Econometrica 55
        (1987).
    """

    name: ClassVar[str] = "expectile"
    domain: ClassVar[Region] = REALS
    target_domain: ClassVar[Region] = REALS

    def __init__(self, tau: float = 0.5) -> None:
        """Set τ.

        Args:
            tau: τ in (0, 1), the weight of targets above the prediction.

        Raises:
            InputError: τ does not lie in (0, 1).
        """
        self.tau = level("loss.tau", tau)

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = Σ_k w_k(y_k − t_k)² (…)."""
        d = predictions - targets
        above, below = d.relu(), (-d).relu()
        return (above * (1 - self.tau) * above + below * self.tau * below).sum(-1)

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Asymmetric Gaussian about y, independent over the K outputs: −log p = L + K log Z(τ)."""
        from torch.distributions import Independent

        from mlr.densities.of_errors import AsymmetricNormal

        return Independent(AsymmetricNormal(predictions, self.tau), 1)
