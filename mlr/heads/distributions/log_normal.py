"""The log-normal unit: a Gaussian of the logarithm of a positive target."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import POSITIVE, Distributions, Region
from mlr.heads.distributions.base import LocationScaleHead

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class LogNormal(LocationScaleHead):
    """y = (m, σ) = (m, eˢ) of z = (m, s): K means first, then K deviations, of log t, t > 0.

    p(t) = N(log t; m, σ²)/t: the median of t is eᵐ, its mean e^(m + ½σ²). For products of many
    factors: incomes, prices, concentrations.

    Source: Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), 14.
    """

    name: ClassVar[str] = "log_normal"
    range: ClassVar[Region] = Distributions(
        "log_normal",
        "a mean and a standard deviation of the logarithm",
        "means and standard deviations of the logarithm",
        POSITIVE,
        2,
    )

    def distribution(self, predictions: Tensor) -> Distribution:
        """LogNormal(m, σ) (…, K)."""
        from torch.distributions import LogNormal as Density

        place, scale = self.parts(predictions)
        return Density(place, scale, validate_args=False)
