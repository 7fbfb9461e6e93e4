"""The Poisson unit: the mean of a count."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import COUNTS, Distributions, Region
from mlr.heads.distributions.base import PositiveHead

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class Poisson(PositiveHead):
    """y = λ = eᶻ: the mean of a Poisson distribution, p(t) = λᵗe^−λ/t! of counts t = 0, 1, 2, …

    z = log λ is the natural parameter: dL/dz = λ − t with `loss=nll`. The variance is λ too; if
    counts vary more than that, take head=negative_binomial.

    Source: McCullagh and Nelder, Generalized Linear Models (1989), 6.2; Bishop, Pattern
        Recognition and Machine Learning, 2.4.
    """

    name: ClassVar[str] = "poisson"
    range: ClassVar[Region] = Distributions(
        "poisson",
        "the mean of a Poisson distribution",
        "means of Poisson distributions",
        COUNTS,
        1,
    )
    has_potential: ClassVar[bool] = True

    def potential(self, logits: Tensor) -> Tensor:
        """A(z) = Σ_k e^z_k (…), of which the −log-likelihood is A(z) − ⟨t, z⟩ + Σ log t!."""
        return logits.exp().sum(-1)

    def distribution(self, predictions: Tensor) -> Distribution:
        """Poisson(λ) (…, K)."""
        from torch.distributions import Poisson as Density

        return Density(predictions, validate_args=False)
