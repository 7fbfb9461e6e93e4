"""The beta unit: the mean of a share, and how closely shares lie about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import OPEN_UNIT, Distributions, Region
from mlr.heads.distributions.base import DistributionHead

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class Beta(DistributionHead):
    """y = (μ, φ) = (σ(a), eᵇ) of z = (a, b): K means first, then K concentrations, of 0 < t < 1.

    p(t) = t^(μφ − 1)(1 − t)^((1 − μ)φ − 1)/B(μφ, (1 − μ)φ), with variance μ(1 − μ)/(1 + φ). For
    rates and shares, which lie in (0, 1) and are no counts.

    Source: Ferrari and Cribari-Neto, Beta regression for modelling rates and proportions,
        Journal of Applied Statistics 31 (2004).
    """

    name: ClassVar[str] = "beta"
    range: ClassVar[Region] = Distributions(
        "beta",
        "a mean and a concentration of a beta distribution",
        "means and concentrations of beta distributions",
        OPEN_UNIT,
        2,
    )

    def __call__(self, logits: Tensor) -> Tensor:
        """y = (σ(a), eᵇ) (…, 2K) of z = (a, b) (…, 2K)."""
        from torch import cat

        from mlr.heads.functions import sigmoid

        odds, logs = self.parts(logits)
        return cat([sigmoid(odds), logs.exp()], -1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y/∂z = (μ(1 − μ), φ) (…, 2K)."""
        from torch import cat

        from mlr.heads.functions import sigmoid

        odds, logs = self.parts(logits)
        return cat([sigmoid(odds) * sigmoid(-odds), logs.exp()], -1)

    def distribution(self, predictions: Tensor) -> Distribution:
        """Beta(μφ, (1 − μ)φ) (…, K)."""
        from torch.distributions import Beta as Density

        mean, concentration = self.parts(predictions)
        return Density(mean * concentration, (1 - mean) * concentration, validate_args=False)
