"""The hinge loss: nothing to pay beyond the margin, a straight line before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import REALS, UNIT, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor


class Hinge(Loss):
    """L = Σ_k [t_k max(0, 1 − f_k) + (1 − t_k) max(0, 1 + f_k)] with the score f = 2y − 1.

    The score is 0 where mlr decides, at y = ½, and the margins ±1 are y = 1 and y = 0. With
    head=linear and weight decay this is the support vector machine, one against the rest for
    K outputs. On predictions in [0, 1] no margin is ever passed, and L = 2 Σ_k |y_k − t_k|
    for hard targets. At the margin itself the derivative is taken as 0.

    It has no likelihood: e^−L of the two classes do not add up to a constant.

    Source: Cortes and Vapnik, Support-vector networks, Machine Learning 20 (1995); Sollich,
        Bayesian methods for support vector machines, Machine Learning 46 (2002).
    """

    name: ClassVar[str] = "hinge"
    domain: ClassVar[Region] = REALS
    target_domain: ClassVar[Region] = UNIT

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = 2 Σ_k [t_k max(0, 1 − y_k) + (1 − t_k) max(0, y_k)] (…)."""
        y, t = predictions, targets
        # 1 − f = 2(1 − y) and 1 + f = 2y
        return 2 * (t * (1 - y).relu() + (1 - t) * y.relu()).sum(-1)
