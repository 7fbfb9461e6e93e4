"""The hard sigmoid: the sigmoid drawn with three straight lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import UNIT, Region
from mlr.heads.base import Head, clipped

if TYPE_CHECKING:
    from torch import Tensor


class HardSigmoid(Head):
    """y = max(0, min(1, z/6 + ½)), elementwise: the clipped linear unit on z/6 + ½.

    As torch and Keras 3 have it. Outside [−3, 3] the slope is exactly 0; at −3 and 3 it is
    1/6 (torch's own hardsigmoid takes 0 there).

    Source: Courbariaux, Bengio and David, BinaryConnect, NeurIPS 28 (2015), with slope ½;
        Howard et al., Searching for MobileNetV3, ICCV (2019), 5.2, with 1/6.
    """

    name: ClassVar[str] = "hard_sigmoid"
    range: ClassVar[Region] = UNIT
    middle: ClassVar[float | None] = 0.0

    def __call__(self, logits: Tensor) -> Tensor:
        """y = (max(−3, min(3, z)) + 3)/6 (…, K)."""
        return (clipped(logits, -3, 3) + 3) / 6

    def potential(self, logits: Tensor) -> Tensor:
        """A(z) = Σ_k (0 below −3, (z + 3)²/12 inside, z above 3) (…)."""
        y = self(logits)
        # A(z) = y·(z + 3 − 3y) on all three pieces, without a branch
        return (y * (logits + 3 - 3 * y)).sum(-1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y/∂z (…, K): 1/6 on the closed interval [−3, 3], exactly 0 outside."""
        return logits.clamp(-3, 3).eq_(logits) / 6
