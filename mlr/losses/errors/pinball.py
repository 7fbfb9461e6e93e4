"""The pinball loss, whose minimum is a quantile."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import InputError, positive
from mlr.core.domains import REALS, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class Pinball(Loss):
    """L = Σ_k τ(t_k − y_k) where t_k > y_k, else (1 − τ)(y_k − t_k): y learns the τ-quantile.

    τ = ½ is half of `mae`, and learns the median. dL/dy is −τ below the target, 1 − τ above, and
    taken as 0 at y = t. For several quantiles at once take head=quantiles with
    loss=quantile_score.

    With head=linear it is the −log-likelihood of a proper density, an asymmetric Laplace
    distribution, which need not be that of the data: the quantile is right nevertheless.

    Source: Koenker and Bassett, Regression quantiles, Econometrica 46 (1978).
    """

    name: ClassVar[str] = "pinball"
    domain: ClassVar[Region] = REALS
    target_domain: ClassVar[Region] = REALS

    def __init__(self, tau: float = 0.5) -> None:
        """Set τ.

        Args:
            tau: τ in (0, 1), the share of the targets that is to lie below the prediction.

        Raises:
            InputError: τ does not lie in (0, 1).
        """
        self.tau = level("loss.tau", tau)

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = Σ_k max(τ(t_k − y_k), (1 − τ)(y_k − t_k)) (…)."""
        d = predictions - targets
        return (d.relu() * (1 - self.tau) + (-d).relu() * self.tau).sum(-1)

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Asymmetric Laplace about y, independent over K outputs: −log p = L − K log τ(1 − τ)."""
        from torch.distributions import Independent

        from mlr.densities.of_errors import AsymmetricLaplace

        return Independent(AsymmetricLaplace(predictions, self.tau), 1)


def level(name: str, value: float) -> float:
    """Return a number in (0, 1) as a float.

    Raises:
        InputError: it does not lie in (0, 1).
    """
    found = float(positive(name, value))
    if found >= 1:
        raise InputError(f"{name}={value} must lie in (0, 1).")
    return found
