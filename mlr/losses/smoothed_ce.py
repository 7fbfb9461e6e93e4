"""Cross-entropy against smoothed labels: no class is ever wanted with certainty."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import fraction
from mlr.core.domains import SIMPLEX, Region
from mlr.losses.base import Loss
from mlr.losses.ce import CrossEntropy

if TYPE_CHECKING:
    from torch import Tensor


class SmoothedCrossEntropy(Loss):
    """L = −Σ_k t'_k log y_k with t' = (1 − ε)t + ε/K; one output stands for (1 − y, y).

    Cross-entropy against the mixture of the target and the even distribution, which keeps the
    best logits finite: the best y is t'. Logarithms are floored as in `CrossEntropy`.

    It has no likelihood of its targets: e^−L of all classes do not add up to a constant. It
    is the cross-entropy of a categorical distribution for labels of which a share ε is drawn
    at random.

    Source: Szegedy et al., Rethinking the Inception architecture for computer vision, CVPR
        (2016), 7; Goodfellow et al., Deep Learning, 7.5.1.
    """

    name: ClassVar[str] = "smoothed_ce"
    domain: ClassVar[Region] = SIMPLEX
    target_domain: ClassVar[Region] = SIMPLEX

    def __init__(self, epsilon: float = 0.1) -> None:
        """Set ε.

        Args:
            epsilon: ε in [0, 1), the share that is spread evenly.

        Raises:
            InputError: ε is not in [0, 1).
        """
        self.epsilon = float(fraction("loss.epsilon", epsilon))

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = −Σ_k t'_k log y_k (…); K = 1: and −(1 − t') log(1 − y)."""
        return CrossEntropy()(predictions, self.smoothed(targets))

    def smoothed(self, targets: Tensor) -> Tensor:
        """Targets t' = (1 − ε)t + ε/K (…, K); for one output K is 2."""
        return smoothed(targets, self.epsilon)


def smoothed(targets: Tensor, share: float | Tensor) -> Tensor:
    """Targets t' = (1 − ε)t + ε/K (…, K) for a share ε; for one output K is 2."""
    return (1 - share) * targets + share / max(targets.shape[-1], 2)
