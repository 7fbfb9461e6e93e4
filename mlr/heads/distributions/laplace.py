"""The Laplace unit: a median and a scale, for targets with outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import REALS, Distributions, Region
from mlr.heads.distributions.base import LocationScaleHead

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class Laplace(LocationScaleHead):
    """y = (m, b) = (m, eˢ) of z = (m, s): K medians first, then K scales.

    p(t) = e^(−|t − m|/b)/2b, with standard deviation √2 b. Its tails fall as an exponential: an
    outlier pulls at the median no harder than any other target.

    Source: Kotz, Kozubowski and Podgórski, The Laplace Distribution (2001); Kendall and Gal,
        What uncertainties do we need in Bayesian deep learning, NeurIPS 30 (2017).
    """

    name: ClassVar[str] = "laplace"
    range: ClassVar[Region] = Distributions(
        "laplace",
        "a median and a scale of a Laplace distribution",
        "medians and scales of Laplace distributions",
        REALS,
        2,
    )

    def rescaled(self, predictions: Tensor, offset: Tensor, divisor: Tensor) -> Tensor:
        """(dm + o, db) (…, 2K) of targets d·t + o."""
        from torch import cat

        place, scale = self.parts(predictions)
        return cat([place * divisor + offset, scale * divisor], -1)

    def distribution(self, predictions: Tensor) -> Distribution:
        """Laplace(m, b) (…, K)."""
        from torch.distributions import Laplace as Density

        place, scale = self.parts(predictions)
        return Density(place, scale, validate_args=False)
