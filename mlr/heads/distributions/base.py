"""The base class of heads that predict a density for each target."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import InputError
from mlr.heads.base import Head

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class NumbersHead(Head):
    """A head whose targets are numbers and no classes."""

    has_potential: ClassVar[bool] = False
    levels: tuple[float, ...] | None = None
    """Levels of the quantiles that the head knows; None for any."""

    @abstractmethod
    def cost(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Losses (…) of predictions (…, P·K) for targets (…, K), by the head's own loss."""

    @abstractmethod
    def quantile(self, predictions: Tensor, level: float) -> Tensor:
        """Value (…, K) below which a target lies with probability `level`."""

    def parts(self, values: Tensor) -> tuple[Tensor, ...]:
        """Split logits or predictions (…, P·K) into the P parameters (…, K)."""
        return values.chunk(self.range.per_target, -1)

    def rescaled(self, predictions: Tensor, offset: Tensor, divisor: Tensor) -> Tensor:
        """Refuse: only some families say as much of d·t + o as of t.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"head={self.name} predicts {self.range}, which are those of the targets as they are; "
            "train with data.target_scale=none."
        )

    def potential(self, logits: Tensor) -> Tensor:
        """Refuse: data have no targets for what the head predicts.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            f"head={self.name} has no potential: its predictions are {self.range}, and data have "
            "no targets for them."
        )

    def outputs(self, classes: int) -> int:
        """Refuse classes: the head predicts numbers.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"head={self.name} predicts numbers, but the data have {classes} classes. "
            "Use head=softmax or head=sigmoid, or data of a regression."
        )

    def decide(self, logits: Tensor) -> Tensor:
        """Refuse classes: the head predicts numbers.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"head={self.name} predicts numbers and no classes.")


class DistributionHead(NumbersHead):
    """A head that predicts the P parameters of a density for each target.

    Logits and predictions are (…, P·K) for K targets, parameter by parameter. Samples are those
    of the torch distribution: `head.distribution(head(z)).sample()`.
    """

    @abstractmethod
    def distribution(self, predictions: Tensor) -> Distribution:
        """Return the torch distribution of the K targets (…, K) of predictions (…, P·K).

        Parameters are not checked: those of a run that diverges are NaN, and so is what is asked.
        """

    def cost(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """−log-likelihood (…) of targets (…, K), summed over them."""
        costs: Tensor = -self.distribution(predictions).log_prob(targets)
        return costs.sum(-1)

    def point(self, predictions: Tensor) -> Tensor:
        """Mean (…, K) of each target."""
        return self.distribution(predictions).mean

    def std(self, predictions: Tensor) -> Tensor:
        """Standard deviation (…, K) of each target."""
        return self.distribution(predictions).stddev

    def quantile(self, predictions: Tensor, level: float) -> Tensor:
        """Value (…, K) below which a target lies with probability `level`.

        Of counts, the least one of which the distribution function is at least `level`.

        Raises:
            InputError: `level` does not lie in (0, 1).
        """
        from mlr.densities.quantiles import quantile

        return quantile(self.distribution(predictions), level)


class LocationScaleHead(DistributionHead):
    """A head of a location and a scale: y = (m, eˢ) of z = (m, s), K locations first."""

    def __call__(self, logits: Tensor) -> Tensor:
        """y = (m, eˢ) (…, 2K) of z = (m, s) (…, 2K)."""
        from torch import cat

        locations, logs = self.parts(logits)
        return cat([locations, logs.exp()], -1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y/∂z = (1, eˢ) (…, 2K)."""
        from torch import cat

        locations, logs = self.parts(logits)
        return cat([locations**0, logs.exp()], -1)


class PositiveHead(DistributionHead):
    """A head whose parameters are all above 0: y = eᶻ."""

    def __call__(self, logits: Tensor) -> Tensor:
        """y = eᶻ (…, P·K)."""
        return logits.exp()

    def slope(self, logits: Tensor) -> Tensor:
        """∂y/∂z = eᶻ (…, P·K)."""
        return logits.exp()
