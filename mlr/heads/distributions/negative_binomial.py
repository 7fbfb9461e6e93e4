"""The negative binomial unit: the mean of a count that varies more than a Poisson one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import COUNTS, Distributions, Region
from mlr.heads.distributions.base import PositiveHead

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class NegativeBinomial(PositiveHead):
    """y = (μ, r) = (eᵃ, eᵇ) of z = (a, b): K means first, then K sizes, of counts t = 0, 1, 2, …

    p(t) = Γ(t + r)/(Γ(r) t!) (r/(r + μ))ʳ (μ/(r + μ))ᵗ, with variance μ + μ²/r: a Poisson count
    whose mean varies as a gamma variable of shape r. r → ∞ is head=poisson. Statistics calls
    1/r the dispersion; torch has the total count r and logits a − b.

    Source: Hilbe, Negative Binomial Regression (2011); Salinas et al., DeepAR, International
        Journal of Forecasting 36 (2020).
    """

    name: ClassVar[str] = "negative_binomial"
    range: ClassVar[Region] = Distributions(
        "negative_binomial",
        "a mean and a size of a negative binomial distribution",
        "means and sizes of negative binomial distributions",
        COUNTS,
        2,
    )

    def distribution(self, predictions: Tensor) -> Distribution:
        """NegativeBinomial(r, logits log(μ/r)) (…, K)."""
        from torch.distributions import NegativeBinomial as Density

        mean, size = self.parts(predictions)
        return Density(size, logits=mean.log() - size.log(), validate_args=False)
