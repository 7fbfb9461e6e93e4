"""The probit unit: the probability that a standard normal number lies below the logit."""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import OPEN_UNIT, Region
from mlr.heads.base import Head

if TYPE_CHECKING:
    from torch import Tensor


class Probit(Head):
    """y = Φ(z) = ½ erfc(−z/√2), elementwise: a threshold on z under normal noise.

    Its tails fall as e^(−z²/2): an outlier costs a probit more than it costs a sigmoid.

    Source: Bliss, The method of probits, Science 79 (1934); Bishop, Pattern Recognition
        and Machine Learning, 4.3.5.
    """

    name: ClassVar[str] = "probit"
    range: ClassVar[Region] = OPEN_UNIT
    middle: ClassVar[float | None] = 0.0

    def __call__(self, logits: Tensor) -> Tensor:
        """y = Φ(z) (…, K)."""
        # of the complement, so that small Φ are not lost in 1 + erf(z/√2)
        return (logits * -sqrt(0.5)).erfc() * 0.5

    def potential(self, logits: Tensor) -> Tensor:
        """A(z) = Σ_k z_k Φ(z_k) + φ(z_k) (…)."""
        return (logits * self(logits) + self.slope(logits)).sum(-1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y/∂z = φ(z) = e^(−z²/2)/√2π (…, K), at most 0.4."""
        return (logits * logits * -0.5).exp() * (1 / sqrt(2 * pi))
