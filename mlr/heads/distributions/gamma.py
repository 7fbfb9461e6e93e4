"""The gamma unit: the mean of a positive number, whose deviation grows with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import POSITIVE, Distributions, Region
from mlr.heads.distributions.base import PositiveHead

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class Gamma(PositiveHead):
    """y = (μ, α) = (eᵃ, eᵇ) of z = (a, b): K means first, then K shapes, of targets t > 0.

    p(t) = (α/μ)^α t^(α − 1) e^(−αt/μ)/Γ(α), with standard deviation μ/√α: amounts and durations,
    whose error is a share of their size. α = 1 is the exponential distribution. torch has the
    shape α and the rate α/μ.

    Source: McCullagh and Nelder, Generalized Linear Models (1989), 8.
    """

    name: ClassVar[str] = "gamma"
    range: ClassVar[Region] = Distributions(
        "gamma",
        "a mean and a shape of a gamma distribution",
        "means and shapes of gamma distributions",
        POSITIVE,
        2,
    )

    def distribution(self, predictions: Tensor) -> Distribution:
        """Gamma(α, α/μ) (…, K)."""
        from torch.distributions import Gamma as Density

        mean, shape = self.parts(predictions)
        return Density(shape, shape / mean, validate_args=False)
