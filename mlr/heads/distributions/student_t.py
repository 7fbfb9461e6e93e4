"""The Student-t unit: a mean, a scale, and how heavy the tails are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import REALS, Distributions, Region
from mlr.heads.distributions.base import DistributionHead

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class StudentT(DistributionHead):
    """y = (m, τ, ν) = (m, eˢ, 2 + eⁿ) of z = (m, s, n): K means, K scales, K degrees of freedom.

    p(t) = Γ((ν + 1)/2)/(Γ(ν/2)√(νπ) τ) (1 + r²/ν)^(−(ν + 1)/2) with r = (t − m)/τ. An outlier
    pulls the less the farther it is, as (ν + 1)/(t − m). ν → ∞ is head=gaussian. ν > 2, so that
    there is a standard deviation, τ√(ν/(ν − 2)).

    Source: Lange, Little and Taylor, Robust statistical modeling using the t distribution,
        Journal of the American Statistical Association 84 (1989).
    """

    name: ClassVar[str] = "student_t"
    range: ClassVar[Region] = Distributions(
        "student_t",
        "a mean, a scale and degrees of freedom",
        "means, scales and degrees of freedom",
        REALS,
        3,
    )

    def __call__(self, logits: Tensor) -> Tensor:
        """y = (m, eˢ, 2 + eⁿ) (…, 3K) of z = (m, s, n) (…, 3K)."""
        from torch import cat

        places, logs, tails = self.parts(logits)
        return cat([places, logs.exp(), 2 + tails.exp()], -1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y/∂z = (1, τ, ν − 2) (…, 3K)."""
        from torch import cat

        places, logs, tails = self.parts(logits)
        return cat([places**0, logs.exp(), tails.exp()], -1)

    def rescaled(self, predictions: Tensor, offset: Tensor, divisor: Tensor) -> Tensor:
        """(dm + o, dτ, ν) (…, 3K) of targets d·t + o."""
        from torch import cat

        place, scale, freedom = self.parts(predictions)
        return cat([place * divisor + offset, scale * divisor, freedom], -1)

    def distribution(self, predictions: Tensor) -> Distribution:
        """StudentT(ν, m, τ) (…, K)."""
        from torch.distributions import StudentT as Density

        place, scale, freedom = self.parts(predictions)
        # torch checks ν at any rate; where it is NaN, the density is NaN by its mean
        is_lost = freedom.isnan()
        place = place.masked_fill(is_lost, float("nan"))
        return Density(freedom.masked_fill(is_lost, 3.0), place, scale, validate_args=False)

    def point(self, predictions: Tensor) -> Tensor:
        """Mean m (…, K)."""
        return self.parts(predictions)[0]

    def std(self, predictions: Tensor) -> Tensor:
        """τ√(ν/(ν − 2)) (…, K)."""
        _, scale, freedom = self.parts(predictions)
        return scale * (freedom / (freedom - 2)).sqrt()
