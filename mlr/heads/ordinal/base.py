"""The base class of heads of ordered classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import LEVELS
from mlr.heads.base import Head

if TYPE_CHECKING:
    from torch import Tensor


class OrdinalHead(Head):
    """K − 1 logits for K ordered classes → y_k = P(class ≥ k); the class is the median."""

    ordered: ClassVar[bool] = True

    def outputs(self, classes: int) -> int:
        """Return how many logits this head needs: one for each class but the first."""
        return classes - 1

    def decide(self, logits: Tensor) -> Tensor:
        """Return the median class in the type of the logits: how many levels have y_k ≥ ½."""
        if self.middle is not None:
            return logits.clone().ge_(self.middle).sum(-1)
        return self(logits).ge_(0.5).sum(-1)

    def encode(self, classes: Tensor, outputs: int) -> Tensor:
        """Targets t (…, K − 1) of class numbers (…): t_k = 1 where the class is k or above."""
        levels = classes.new_ones(outputs).cumsum(0)
        return (classes.unsqueeze(-1) >= levels).to(classes.dtype)

    def class_shares(self, predictions: Tensor) -> Tensor:
        """Probabilities of the classes (…, K), y_c − y_(c+1), of levels (…, K − 1).

        0 where levels contradict each other, which those of `coral` may.
        """
        return LEVELS.shares(predictions).clamp(min=0)

    def decode(self, targets: Tensor) -> Tensor:
        """Class numbers (…) of levels (…, K − 1), in their type."""
        return targets.sum(-1)
