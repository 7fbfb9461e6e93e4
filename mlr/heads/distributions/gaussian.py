"""The Gaussian unit: a mean and a standard deviation for each target."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import GAUSSIANS, Region
from mlr.heads.distributions.base import LocationScaleHead

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class Gaussian(LocationScaleHead):
    """y = (μ, σ) = (m, eˢ) of z = (m, s): K means first, then K logarithms of σ.

    The network states its own uncertainty. In log σ every σ > 0 is a real number, with as many
    digits whatever its size, and the loss needs no logarithm; at the maximum of likelihood the
    curvature is 2, whatever the unit of the targets. The logarithm of the variance is 2s, and
    softplus would tie the curvature to the unit. In natural parameters (μ/σ², −1/(2σ²)) the
    loss would be the matching one, but the second must stay negative, which no step respects.

    Source: Goodfellow et al., Deep Learning, 6.2.2.4; Nix and Weigend, ICNN (1994).
    """

    name: ClassVar[str] = "gaussian"
    range: ClassVar[Region] = GAUSSIANS
    has_potential: ClassVar[bool] = True

    def potential(self, logits: Tensor) -> Tensor:
        """A(z) = Σ_k ½m_k² + e^s_k (…), of no use as a loss: data have no targets for σ."""
        means, logs = self.parts(logits)
        return (means * 0.5 * means + logs.exp()).sum(-1)

    def rescaled(self, predictions: Tensor, offset: Tensor, divisor: Tensor) -> Tensor:
        """(dμ + o, dσ) (…, 2K) of targets d·t + o."""
        from torch import cat

        place, scale = self.parts(predictions)
        return cat([place * divisor + offset, scale * divisor], -1)

    def distribution(self, predictions: Tensor) -> Distribution:
        """Normal(μ, σ) (…, K)."""
        from torch.distributions import Normal

        place, scale = self.parts(predictions)
        return Normal(place, scale, validate_args=False)

    def point(self, predictions: Tensor) -> Tensor:
        """μ (…, K)."""
        return self.parts(predictions)[0]

    def std(self, predictions: Tensor) -> Tensor:
        """σ (…, K)."""
        return self.parts(predictions)[1]
