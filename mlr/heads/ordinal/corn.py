"""The CORN unit: the probability of each level, given the one below."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import LEVELS, Region
from mlr.heads.ordinal.base import OrdinalHead

if TYPE_CHECKING:
    from torch import Tensor


class Corn(OrdinalHead):
    """y_k = Π_{j≤k} σ(z_j) = P(class ≥ k): σ(z_k) is P(class ≥ k | class ≥ k − 1).

    A product of probabilities never increases, so that levels cannot contradict each other,
    whatever the weights. With `loss=ordinal_nll` the loss of class c is the binary
    cross-entropy of the questions up to the first that is answered no: CORN's, which the
    source divides by the number of questions in the batch and not by that of examples.

    Source: Shi, Cao and Raschka, Deep neural networks for rank-consistent ordinal regression
        based on conditional probabilities, Pattern Analysis and Applications 26 (2023).
    """

    name: ClassVar[str] = "corn"
    range: ClassVar[Region] = LEVELS
    has_potential: ClassVar[bool] = False

    def __call__(self, logits: Tensor) -> Tensor:
        """y_k = Π_{j≤k} σ(z_j) (…, K − 1)."""
        from mlr.heads.functions import softplus

        # −log y_k is a sum of numbers ≥ 0
        return (-softplus(-logits).cumsum(-1)).exp()

    def potential(self, logits: Tensor) -> Tensor:
        """Refuse: ∂y_k/∂z_j is not symmetric, so that y is no gradient.

        Raises:
            TypeError: always.
        """
        raise TypeError("head=corn is no gradient of a potential. Use loss=ordinal_nll.")

    def slope(self, logits: Tensor) -> Tensor:
        """∂y_k/∂z_k = y_k(1 − σ(z_k)) (…, K − 1)."""
        from mlr.heads.functions import sigmoid

        return self(logits) * sigmoid(-logits)
