"""Cumulative logits: levels of ordered classes with thresholds in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import LEVELS, Region
from mlr.heads.ordinal.base import OrdinalHead

if TYPE_CHECKING:
    from torch import Tensor


class Cumulative(OrdinalHead):
    """y_k = σ(a_k) = P(class ≥ k), a_1 = z_1, a_k = a_(k−1) − log(1 + e^(z_1−z_k)): in order.

    The first logit places the example, the others by their distances from it the thresholds,
    whose steps softplus keeps above 0. With `loss=ordinal_nll` and one weight vector for all
    logits (`model=ordinal`) the steps do not depend on the features, and this is the
    proportional odds model: P(class ≥ k) = σ(w·x + b_k). With weights of their own
    (`model=linear`, `mlp`) odds are not proportional.

    Source: McCullagh, Regression models for ordinal data, JRSS B 42 (1980).
    """

    name: ClassVar[str] = "cumulative"
    range: ClassVar[Region] = LEVELS
    has_potential: ClassVar[bool] = False

    def __call__(self, logits: Tensor) -> Tensor:
        """y = σ(a) (…, K − 1)."""
        from mlr.heads.functions import sigmoid

        return sigmoid(thresholds(logits))

    def potential(self, logits: Tensor) -> Tensor:
        """Refuse: ∂y_k/∂z_j is not symmetric, so that y is no gradient.

        Raises:
            TypeError: always.
        """
        raise TypeError("head=cumulative is no gradient of a potential. Use loss=ordinal_nll.")

    def slope(self, logits: Tensor) -> Tensor:
        """∂y_k/∂z_k = y_k(1 − y_k), but for the first times σ(z_1 − z_k) (…, K − 1)."""
        from torch import cat

        from mlr.heads.functions import sigmoid

        a = thresholds(logits)
        own = sigmoid(logits[..., :1] - logits[..., 1:])
        return sigmoid(a) * sigmoid(-a) * cat([a[..., :1] ** 0, own], -1)


def thresholds(logits: Tensor) -> Tensor:
    """a (…, K − 1) of logits: z_1 less the sum of the steps up to k."""
    from torch import cat

    from mlr.heads.functions import softplus

    first = logits[..., :1]
    return cat([first, -softplus(first - logits[..., 1:])], -1).cumsum(-1)
