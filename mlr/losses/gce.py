"""Generalised cross-entropy: between cross-entropy and absolute error."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import InputError, positive
from mlr.core.domains import SIMPLEX, Region
from mlr.losses.base import Loss, floored_log, floored_log_of_complement

if TYPE_CHECKING:
    from torch import Tensor


class GeneralisedCrossEntropy(Loss):
    """L = Σ_k t_k (1 − y_k^q)/q; one output y stands for the pair (1 − y, y).

    q → 0 is cross-entropy, q = 1 is 1 − y_c, half the absolute error of probability vectors:
    the larger q, the less one wrong label can do (L ≤ 1/q). The logarithm in
    y^q = exp(q log y) is floored at −100 as in `BinaryCrossEntropy`.

    It has no likelihood: e^−L of all classes do not add up to a constant.

    Source: Zhang and Sabuncu, Generalized cross entropy loss for training deep neural
        networks with noisy labels, NeurIPS 31 (2018).
    """

    name: ClassVar[str] = "gce"
    domain: ClassVar[Region] = SIMPLEX
    target_domain: ClassVar[Region] = SIMPLEX
    linear_in_targets: ClassVar[bool] = True

    def __init__(self, q: float = 0.7) -> None:
        """Set q.

        Args:
            q: in (0, 1], how near to the absolute error.

        Raises:
            InputError: q is not in (0, 1].
        """
        self.q = float(positive("loss.q", q))
        if q > 1:
            raise InputError(f"loss.q={q} must lie in (0, 1].")

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = Σ_k t_k (1 − y_k^q)/q (…); K = 1: and (1 − t)(1 − (1 − y)^q)/q."""
        y, t = predictions, targets
        # 1 − y^q = −expm1(q log y): nothing is lost where y is near 1 or q near 0
        cost = t * (self.q * floored_log(y)).expm1()
        if y.shape[-1] == 1:
            cost = cost + (1 - t) * (self.q * floored_log_of_complement(y)).expm1()
        return -cost.sum(-1) / self.q
