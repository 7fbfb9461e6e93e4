"""The evidential unit: class probabilities with an uncertainty of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import DIRICHLET_MEANS, Region
from mlr.heads.base import Head

if TYPE_CHECKING:
    from torch import Tensor


class Evidential(Head):
    """y_k = α_k/S with α_k = 1 + log(1 + e^z_k) and S = Σ_j α_j: the mean of a Dirichlet(α).

    log(1 + e^z_k) ≥ 0 is the evidence for class k. Without any, all y_k are 1/K; `uncertainty`
    K/S falls from 1 to 0 as evidence is found, for whatever class. Softmax has no such number:
    it says only how classes compare. The source takes max(0, z) for the evidence, where an
    output without evidence has no gradient; here its evidence has the slope σ(z) > 0.

    Source: Sensoy, Kaplan and Kandemir, Evidential deep learning to quantify classification
        uncertainty, NeurIPS 31 (2018).
    """

    name: ClassVar[str] = "evidential"
    range: ClassVar[Region] = DIRICHLET_MEANS
    has_potential: ClassVar[bool] = False

    def __call__(self, logits: Tensor) -> Tensor:
        """y = α/S (…, K)."""
        alpha = self.concentrations(logits)
        # parts of the largest, whose sum is a number where S is none
        parts = alpha / alpha.amax(-1, keepdim=True)
        return parts / parts.sum(-1, keepdim=True)

    def concentrations(self, logits: Tensor) -> Tensor:
        """α = 1 + log(1 + eᶻ) (…, K) of the Dirichlet distribution of the class probabilities."""
        from mlr.heads.functions import softplus

        return 1 + softplus(logits)

    def uncertainty(self, logits: Tensor) -> Tensor:
        """K/S (…): 1 without evidence, near 0 with much."""
        return logits.shape[-1] / self.concentrations(logits).sum(-1)

    def potential(self, logits: Tensor) -> Tensor:
        """Refuse: ∂y_k/∂z_j is not symmetric, so that y is no gradient.

        Raises:
            TypeError: always.
        """
        raise TypeError("head=evidential is no gradient of a potential. Use loss=evidential_se.")

    def slope(self, logits: Tensor) -> Tensor:
        """∂y_k/∂z_k = σ(z_k)(1 − y_k)/S (…, K)."""
        from mlr.heads.functions import sigmoid

        alpha = self.concentrations(logits)
        return sigmoid(logits) * (1 - self(logits)) / alpha.sum(-1, keepdim=True)
