"""Losses of predictions whose formula is that of the head: its likelihood, its quantiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import DENSITIES, QUANTILES, REALS, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class _OfHead(Loss):
    """A loss that takes its formula from the head."""

    target_domain: ClassVar[Region] = REALS
    of_head: ClassVar[bool] = True

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Refuse: predictions do not tell the head.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            f"loss={self.name} has the formula of the head, which predictions do not tell. Use "
            f'Objective(head, "{self.name}")(logits, targets), or head.cost(predictions, targets).'
        )


class NegativeLogLikelihood(_OfHead):
    """L = −Σ_k log p(t_k), p the density that the head predicts: one loss for all of them.

    With head=gaussian it is gaussian_nll, with head=poisson λ − t log λ + log t!, and so on, all
    constants included, so that e^−L is the density and losses of different heads compare on the
    same data. Targets must be possible ones: counts for counts, above 0 for gamma.

    It is not torch's NLLLoss, which takes log-probabilities of classes: that is `ce`.

    Source: Goodfellow et al., Deep Learning, 5.5 and 6.2.2.4.
    """

    name: ClassVar[str] = "nll"
    domain: ClassVar[Region] = DENSITIES

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Refuse: the head has it, `head.distribution(predictions)`.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            "The likelihood of loss=nll is that of the head: head.distribution(predictions)."
        )


class QuantileScore(_OfHead):
    """L = Σ_j Σ_k ρ_j(q_jk − t_k): the pinball losses of all quantiles that the head predicts.

    ρ_j(d) is (1 − τ_j)d above the target and −τ_j d below, τ_j the level of the quantile. With
    many levels, twice the mean over them approaches the continuous ranked probability score.

    It has no likelihood: quantiles of a few levels leave the density between them open.

    Source: Koenker and Bassett, Regression quantiles, Econometrica 46 (1978); Gneiting and
        Raftery, Strictly proper scoring rules, Journal of the American Statistical Association
        102 (2007), 6.
    """

    name: ClassVar[str] = "quantile_score"
    domain: ClassVar[Region] = QUANTILES
