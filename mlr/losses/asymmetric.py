"""The asymmetric loss of several labels: absent ones that are nearly right cost little."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import fraction, non_negative
from mlr.core.domains import UNIT, Region
from mlr.losses.base import (
    LEAST_PROBABILITY,
    Loss,
    floored_log,
    floored_log_of_complement,
    power,
)

if TYPE_CHECKING:
    from torch import Tensor


class Asymmetric(Loss):
    """L = Σ_k [−t_k (1 − y_k)^γ₊ log y_k − (1 − t_k) u_k^γ₋ log(1 − u_k)], u = max(0, y − m).

    For several labels of which most are absent: an output of an absent label costs nothing up
    to the margin m, and little while it is small; present labels have a γ of their own. γ₊ =
    γ₋ = m = 0 is `bce`. The logarithms are floored at −100 as in `BinaryCrossEntropy`; where
    y is 0 for a present label, or 1 for an absent one, nothing has a gradient.

    It has no likelihood: e^−L of all targets do not add up to a constant.

    Source: Ridnik et al., Asymmetric loss for multi-label classification, ICCV (2021).
    """

    name: ClassVar[str] = "asymmetric"
    domain: ClassVar[Region] = UNIT
    target_domain: ClassVar[Region] = UNIT

    def __init__(
        self, gamma_present: float = 0.0, gamma_absent: float = 4.0, margin: float = 0.05
    ) -> None:
        """Set γ₊, γ₋ and m.

        Args:
            gamma_present: γ₊ ≥ 0, how fast the attention to a present label falls.
            gamma_absent: γ₋ ≥ 0, the same of an absent one.
            margin: m in [0, 1), the probability at which an absent label begins to cost.

        Raises:
            InputError: a γ is negative or not finite, or m is not in [0, 1).
        """
        self.gamma_present = float(non_negative("loss.gamma_present", gamma_present))
        self.gamma_absent = float(non_negative("loss.gamma_absent", gamma_absent))
        self.margin = float(fraction("loss.margin", margin))

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = Σ_k −t(1 − y)^γ₊ log y − (1 − t) u^γ₋ log(1 − u) (…)."""
        y, t = predictions, targets
        rest = 1 - y.masked_fill(y <= LEAST_PROBABILITY, 0.0)
        present = power(rest, self.gamma_present) * floored_log(y)
        beyond = y.masked_fill(y >= 1, 1.0)
        if self.margin:
            beyond = (beyond - self.margin).relu()
        absent = power(beyond, self.gamma_absent) * floored_log_of_complement(beyond)
        return -(t * present + (1 - t) * absent).sum(-1)
