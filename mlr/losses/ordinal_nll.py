"""The −log-likelihood of ordered classes, given the probabilities of their levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import LEVELS, Region
from mlr.losses.base import Loss, floored_log

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class OrdinalNll(Loss):
    """L = −Σ_c q_c log(y_c − y_(c+1)), q_c = t_c − t_(c+1), with y_0 = t_0 = 1, y_K = t_K = 0.

    Of levels y_k = P(class ≥ k) of K ordered classes, k = 1 … K − 1, the difference is the
    probability of a class: cross-entropy, for heads whose levels are in order. The logarithm
    is floored at −100 as in `BinaryCrossEntropy`.

    Source: McCullagh, Regression models for ordinal data, JRSS B 42 (1980).
    """

    name: ClassVar[str] = "ordinal_nll"
    domain: ClassVar[Region] = LEVELS
    target_domain: ClassVar[Region] = LEVELS

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = −Σ_c (t_c − t_(c+1)) log(y_c − y_(c+1)) (…)."""
        return -(LEVELS.shares(targets) * floored_log(LEVELS.shares(predictions))).sum(-1)

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Categorical of the K differences of levels: −log p = L, for levels 0 and 1."""
        from torch.distributions import Categorical

        return Categorical(LEVELS.shares(predictions))
