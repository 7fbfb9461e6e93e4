"""The base class of losses: a cost of predictions against targets, per example."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import REALS, Region

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class Loss(ABC):
    """A cost: predictions y (…, K), targets t (…, K) → losses (…), summed over the K outputs.

    No reduction over examples: the mean over the batch belongs to the training loop.

    A loss with `on_logits = True` takes logits z in the place of predictions. The head then only
    predicts and decides, and the loss goes with every head whose range lies in its domain.
    """

    name: ClassVar[str]
    domain: ClassVar[Region]
    """The region of predictions for which the loss is defined."""
    target_domain: ClassVar[Region]
    """The region of targets that it takes."""
    matches_head: ClassVar[bool] = False
    """True for the one loss that is defined by the head's potential instead of predictions."""
    linear_in_targets: ClassVar[bool] = False
    """True for Σ_k t_k f(y_k), and t f(y) + (1 − t) f(1 − y) of one output: a class may be weighted
    by its target."""
    on_logits: ClassVar[bool] = False
    """True for a loss of logits; its `domain` is all numbers, if it declares no other."""

    def __init_subclass__(cls, **options: object) -> None:
        """Give a loss on logits its domain."""
        super().__init_subclass__(**options)
        if cls.on_logits and not hasattr(cls, "domain"):
            cls.domain = REALS

    of_head: ClassVar[bool] = False
    """True for a loss of predictions whose formula the head has: `head.cost`."""

    @abstractmethod
    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Losses (…) of predictions y (…, K) against targets t (…, K)."""

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Return the torch distribution whose −log-likelihood is this loss, up to a constant.

        Raises:
            TypeError: there is none: e^−L over all targets does not add up to a constant.
        """
        raise TypeError(
            f"loss={self.name} gives no likelihood: e^−L over all targets would have to add up to "
            "a constant. Take loss=se, bce or ce for one."
        )


LOG_FLOOR = -100.0
"""The least logarithm of a probability, as in torch.nn.BCELoss."""
LEAST_PROBABILITY = 3.720075976020836e-44
"""e⁻¹⁰⁰: at and below it the floor holds."""


def floored_log(values: Tensor) -> Tensor:
    """max(log v, −100) of probabilities v (…), with gradient 0 where the floor holds."""
    floored = values <= LEAST_PROBABILITY
    # the inner fill keeps the branch not taken finite, or its gradient would be 0·inf
    return values.masked_fill(floored, 1.0).log().masked_fill(floored, LOG_FLOOR)


def floored_log_of_complement(values: Tensor) -> Tensor:
    """max(log(1 − v), −100) of probabilities v (…), with gradient 0 where the floor holds."""
    floored = values >= 1
    # log(1 − v) = log1p(−v): small v are not lost in 1 − v
    return (-values.masked_fill(floored, 0.0)).log1p().masked_fill(floored, LOG_FLOOR)


def power(values: Tensor, exponent: float) -> Tensor:
    """v^γ of v ≥ 0 (…), whose derivative at 0 is 0 and not 0^(γ − 1)."""
    none = values == 0
    return (values.masked_fill(none, 1.0) ** exponent).masked_fill(none, 0.0**exponent)
