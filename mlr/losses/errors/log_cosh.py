"""The log-cosh loss: a squared error for small errors, an absolute one for large."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import REALS, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class LogCosh(Loss):
    """L = Σ_k log cosh(y_k − t_k): about ½d² near 0, |d| − log 2 far away.

    dL/dy = tanh(y − t): smooth, unlike `huber`, and bounded by 1. It has no scale of its own, so
    the unit of the targets says what is near.

    With head=linear it is the −log-likelihood of a proper density, the hyperbolic secant.

    Source: Green, Bayesian reconstructions from emission tomography data using a modified EM
        algorithm, IEEE Transactions on Medical Imaging 9 (1990).
    """

    name: ClassVar[str] = "log_cosh"
    domain: ClassVar[Region] = REALS
    target_domain: ClassVar[Region] = REALS

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = Σ_k log cosh(y_k − t_k) (…)."""
        return log_cosh(predictions - targets).sum(-1)

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Hyperbolic secant about y, independent over the K outputs: −log p = L + K log π."""
        from torch.distributions import Independent

        from mlr.densities.of_errors import HyperbolicSecant

        return Independent(HyperbolicSecant(predictions), 1)


def log_cosh(errors: Tensor) -> Tensor:
    """Log cosh d (…) of errors d (…), without cancellation at 0 and overflow far away."""
    size = errors.abs()
    is_near = size < 1
    # ½ log(1 + sinh²) near 0, where |d| − log 2 would cancel; each branch sees its own numbers
    grown = size.masked_fill(~is_near, 0.0).expm1()
    sinh = 0.5 * (grown + grown / (1 + grown))
    near = 0.5 * (sinh * sinh).log1p()
    far = size + ((-2 * size).exp().log1p() - log(2))
    return near.where(is_near, far)
