"""The evidential loss: the expected squared error of class probabilities that are uncertain."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import non_negative
from mlr.core.domains import DIRICHLET_MEANS, SIMPLEX, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor


class EvidentialSquaredError(Loss):
    """L = Σ_k [(t_k − y_k)² + y_k(1 − y_k)/(S + 1)] + λ KL(Dir(α̃) ‖ Dir(1)), y = α/S.

    α_k = 1 + log(1 + e^z_k), S = Σ_k α_k, as of `head=evidential`. The sum is E‖t − p‖² of
    probabilities p with the distribution Dir(α): error and variance. The second part asks for no
    evidence for other classes, of which α̃ = t + (1 − t)α is left:

        KL = log Γ(S̃) − log Γ(K) − Σ_k log Γ(α̃_k) + Σ_k (α̃_k − 1)(ψ(α̃_k) − ψ(S̃)).

    The source raises λ from 0 to 1 over the first ten epochs; a loss has no such state, and λ is
    the same throughout.

    It has no likelihood: e^−L of all classes do not add up to a constant.

    Source: Sensoy, Kaplan and Kandemir, Evidential deep learning to quantify classification
        uncertainty, NeurIPS 31 (2018), equation 5 and the one after it.
    """

    name: ClassVar[str] = "evidential_se"
    domain: ClassVar[Region] = DIRICHLET_MEANS
    target_domain: ClassVar[Region] = SIMPLEX
    on_logits: ClassVar[bool] = True

    def __init__(self, kl_weight: float = 0.1) -> None:
        """Set λ.

        Args:
            kl_weight: λ ≥ 0.

        Raises:
            InputError: λ is negative or not a finite number.
        """
        self.kl_weight = float(non_negative("loss.kl_weight", kl_weight))

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L (…) of logits z (…, K)."""
        z, t = predictions, targets
        evidence = z.logaddexp(z.new_zeros(()))
        alpha = 1 + evidence
        whole = alpha.sum(-1, keepdim=True)
        y = alpha / whole
        error = ((t - y).square() + y * (1 - y) / (whole + 1)).sum(-1)
        others = (1 - t) * evidence
        left, total = 1 + others, z.shape[-1] + others.sum(-1, keepdim=True)
        constant = (z.shape[-1] * z[..., :1] ** 0).lgamma()
        normalised = (total.lgamma() - constant)[..., 0] - left.lgamma().sum(-1)
        divergence = normalised + (others * (left.digamma() - total.digamma())).sum(-1)
        return error + self.kl_weight * divergence
