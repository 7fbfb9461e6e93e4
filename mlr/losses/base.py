"""What every loss is: a cost of predictions against targets, per example."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from mlr.interval import Region

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class Loss(ABC):
    """A cost: predictions y (…, K), targets t (…, K) → losses (…), summed over the K outputs.

    No reduction over examples: the mean over the batch belongs to the training loop.
    """

    name: ClassVar[str]
    domain: ClassVar[Region]
    """Where predictions must lie for the loss to be defined."""
    target_domain: ClassVar[Region]
    """Where targets must lie."""
    matches_head: ClassVar[bool] = False
    """True for the one loss that is defined by the head's potential instead of predictions."""

    @abstractmethod
    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Losses (…) of predictions y (…, K) against targets t (…, K)."""

    @abstractmethod
    def likelihood(self, predictions: Tensor) -> Distribution:
        """The torch distribution whose −log-likelihood is this loss, up to a constant."""
