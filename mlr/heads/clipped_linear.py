"""The clipped linear unit: a probability by force, and no gradient where it is clipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import UNIT, Region
from mlr.heads.base import Head, clipped

if TYPE_CHECKING:
    from torch import Tensor


class ClippedLinear(Head):
    """y = max(0, min(1, z)): the straightforward way to a probability, and why it fails.

    Outside [0, 1] the slope is exactly 0, so gradient descent never brings a strayed
    unit back. At exactly 0 and 1 the derivative is taken as 1.

    Source: Goodfellow et al., Deep Learning, 6.2.2.2, eq. 6.18.
    """

    name: ClassVar[str] = "clipped_linear"
    range: ClassVar[Region] = UNIT

    def __call__(self, logits: Tensor) -> Tensor:
        """y = max(0, min(1, z)) (…, K)."""
        return clipped(logits, 0, 1)

    def potential(self, logits: Tensor) -> Tensor:
        """A(z) = Σ_k (0 below 0, ½z² inside, z − ½ above 1) (…)."""
        y = logits.clamp(0, 1)
        # A(z) = y·(z − ½y): 0, ½z² and z − ½ on the three pieces, without a branch
        return (y * (logits - 0.5 * y)).sum(-1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y/∂z (…, K): 1 on the closed interval [0, 1], exactly 0 outside."""
        return logits.clamp(0, 1).eq_(logits)
