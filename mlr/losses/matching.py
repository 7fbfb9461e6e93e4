"""The matching loss: the one that makes a head's gradient the plain error y − t."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import REALS, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class Matching(Loss):
    """L = A(z) − ⟨t, z⟩ + c(t), A the head's potential: dL/dz = y − t.

    Squared error is the linear head's, binary cross-entropy the sigmoid's, cross-entropy
    the softmax's. Heads without a potential have none (cumulative, corn, evidential), nor have
    those that predict several parameters of a distribution, for data have no targets for
    them. It is a function of logits, not of predictions, so that only
    `mlr.objectives.Objective`, which knows the head, can compute it. Targets must lie in the
    closure of the head's range.

    Source: Auer, Herbster and Warmuth, NeurIPS 8 (1995); Blondel et al., JMLR 21 (2020).
    """

    name: ClassVar[str] = "matching"
    domain: ClassVar[Region] = REALS
    target_domain: ClassVar[Region] = REALS
    matches_head: ClassVar[bool] = True

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Refuse: the loss is not defined on predictions.

        Raises:
            TypeError: always; predictions do not tell the logits of a clipped unit.
        """
        raise TypeError(
            "loss=matching is a function of logits, which predictions do not tell. "
            'Use Objective(head, "matching")(logits, targets).'
        )

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Refuse: it depends on the head: Gaussian, Bernoulli, categorical for the classic three.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            "The likelihood of loss=matching depends on the head: "
            "take se for linear, bce for sigmoid, ce for softmax."
        )
