"""The −log-likelihood of a Gaussian, whose standard deviation may be predicted too."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import GAUSSIANS, REALS, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class GaussianNll(Loss):
    """L = Σ_k [½((t_k − μ_k)/σ_k)² + log σ_k + ½ log 2π] of predictions (μ, σ) (…, 2K).

    Predictions (…, K), one for each target, are means of Gaussians with σ = 1: the squared
    error, and ½ log 2π an output, which no gradient notices.

    Source: lecture section 14; Goodfellow et al., Deep Learning, 5.5.1 and 6.2.2.4.
    """

    name: ClassVar[str] = "gaussian_nll"
    domain: ClassVar[Region] = GAUSSIANS
    target_domain: ClassVar[Region] = REALS

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = −Σ_k log N(t_k; μ_k, σ_k²) (…) of predictions (…, 2K), or of means (…, K)."""
        from mlr.information import HALF_LOG_TAU

        outputs = targets.shape[-1]
        means, deviations = predictions[..., :outputs], predictions[..., outputs:]
        constant = HALF_LOG_TAU * outputs
        if deviations.shape[-1] == 0:
            d = means - targets
            return (0.5 * d * d).sum(-1) + constant
        r = (means - targets) / deviations
        return (0.5 * r * r + deviations.log()).sum(-1) + constant

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Normal(μ, σ) of predictions (…, 2K), independent over the K targets: −log p = L.

        Of means alone, with σ = 1, it is the likelihood of `se`.
        """
        from torch.distributions import Independent, Normal

        means, deviations = predictions.chunk(2, -1)
        return Independent(Normal(means, deviations), 1)
