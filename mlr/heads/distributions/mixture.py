"""The mixture of Gaussians: several means, each with a deviation and a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import whole
from mlr.core.domains import REALS, Distributions, Region
from mlr.heads.distributions.base import DistributionHead

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution

COMPONENTS = 3


class MixtureOfGaussians(DistributionHead):
    """y = (w, μ, σ) = (softmax(a), m, eˢ) of z = (a, m, s), each of M components for each target.

    p(t) = Σ_j w_j N(t; μ_j, σ_j²): a mixture density network. It can predict several answers
    that are right, where squared error learns their mean, which may be none of them. The logits
    are M blocks of K weights, then M of K means, then M of K deviations.

    Only the initial weights of the network tell its components apart: a linear model that starts
    at 0 learns M equal ones.

    Source: Bishop, Mixture density networks, Aston University NCRG/94/004 (1994); Pattern
        Recognition and Machine Learning, 5.6.
    """

    name: ClassVar[str] = "mdn"
    range: ClassVar[Region]

    def __init__(self, components: int = COMPONENTS) -> None:
        """Set M.

        Args:
            components: M ≥ 1, how many Gaussians.

        Raises:
            InputError: M is not a whole number of at least 1.
        """
        self.components = whole("head.components", components)
        self.range = _family(self.components)  # type: ignore[misc]  # of this head's M

    def __call__(self, logits: Tensor) -> Tensor:
        """y = (softmax(a), m, eˢ) (…, 3MK) of z = (a, m, s) (…, 3MK)."""
        from torch import cat

        weights, places, logs = self.blocks(logits)
        return cat([one.flatten(-2) for one in (weights.softmax(-2), places, logs.exp())], -1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y/∂z = (w(1 − w), 1, σ) (…, 3MK)."""
        from torch import cat

        weights, places, logs = self.blocks(logits)
        w = weights.softmax(-2)
        return cat([one.flatten(-2) for one in (w * (1 - w), places**0, logs.exp())], -1)

    def rescaled(self, predictions: Tensor, offset: Tensor, divisor: Tensor) -> Tensor:
        """(w, dμ + o, dσ) (…, 3MK) of targets d·t + o."""
        from torch import cat

        weights, places, scales = self.blocks(predictions)
        parts = (weights, places * divisor + offset, scales * divisor)
        return cat([one.flatten(-2) for one in parts], -1)

    def distribution(self, predictions: Tensor) -> Distribution:
        """Mixture of M Normal(μ, σ) (…, K)."""
        from torch.distributions import Categorical, MixtureSameFamily, Normal

        weights, places, scales = (one.movedim(-2, -1) for one in self.blocks(predictions))
        return MixtureSameFamily(
            Categorical(weights, validate_args=False),
            Normal(places, scales, validate_args=False),
            validate_args=False,
        )

    def blocks(self, values: Tensor) -> tuple[Tensor, ...]:
        """Split logits or predictions (…, 3MK) into weights, means and deviations (…, M, K)."""
        return tuple(one.unflatten(-1, (self.components, -1)) for one in values.chunk(3, -1))


def _family(components: int) -> Distributions:
    return Distributions(
        "mdn",
        f"weights, means and standard deviations of {components} Gaussians",
        "weights, means and standard deviations of Gaussians",
        REALS,
        3 * components,
    )


MixtureOfGaussians.range = _family(COMPONENTS)
