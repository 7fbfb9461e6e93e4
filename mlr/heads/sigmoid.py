"""The sigmoid unit: the Bernoulli probability whose log-odds is the logit."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import OPEN_UNIT, Region
from mlr.heads.base import Head

if TYPE_CHECKING:
    from torch import Tensor


class Sigmoid(Head):
    """y = σ(z) = 1/(1 + e⁻ᶻ), elementwise: K outputs are K separate yes/no questions.

    Source: Goodfellow et al., Deep Learning, 6.2.2.2.
    """

    name: ClassVar[str] = "sigmoid"
    range: ClassVar[Region] = OPEN_UNIT
    middle: ClassVar[float | None] = 0.0

    def __call__(self, logits: Tensor) -> Tensor:
        """y = σ(z) (…, K)."""
        from mlr.heads.functions import sigmoid

        return sigmoid(logits)

    def potential(self, logits: Tensor) -> Tensor:
        """A(z) = Σ_k softplus(z_k) = Σ_k log(1 + e^z_k) (…)."""
        from torch.nn.functional import logsigmoid

        # softplus(z) = −log σ(−z) = max(z, 0) + log1p(e^−|z|): nothing cancels
        return -logsigmoid(-logits).sum(-1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y/∂z = σ(z)σ(−z) (…, K), at most ¼, → e^−|z| in both tails."""
        # σ(z)σ(−z) = e^−|z| / (1 + e^−|z|)²: even in z, no 1 − σ(z)
        e = logits.abs().neg_().exp_()
        whole = 1 + e
        return (e / whole).div_(whole)
