"""ArcFace: a margin on the angle to the true class."""

from __future__ import annotations

from math import cos, pi, sin
from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import InputError
from mlr.losses.margins.base import MarginLoss

if TYPE_CHECKING:
    from torch import Tensor


class ArcFace(MarginLoss):
    """L = log(1 + Σ_{j≠c} e^(z_j − f(z_c))) with f(s cos θ) = s cos(θ + m), c the true class.

    z_k = s cos θ_k are the logits of `model=cosine`; predictions are softmax(z). The angle to the
    true class has to be smaller than all others by m, about.

    For θ > π − m, where cos(θ + m) would rise again, and at θ = 0, where its slope in z is
    infinite, f is the straight line z − s(1 − cos m) through both ends: f is continuous and never
    falls, and is defined for all z. (The authors' code takes s cos θ − sm sin m beyond π − m,
    which jumps there.) The slope between is f'(z) = sin(θ + m)/sin θ: above 1 for small angles,
    large as θ → 0, and 0 at θ = π − m, so that examples which are wrong by such an angle receive
    next to no gradient at the logit of their class.

    It has no likelihood: e^−L of all classes do not add up to a constant.

    Source: Deng, Guo, Xue and Zafeiriou, ArcFace: additive angular margin loss for deep face
        recognition, CVPR (2019).
    """

    name: ClassVar[str] = "arcface"

    def __init__(self, scale: float = 64.0, margin: float = 0.5) -> None:
        """Set s and m.

        Args:
            scale: s > 0, that of model.scale.
            margin: m in [0, π/2], in radians.

        Raises:
            InputError: s is not above 0, m does not lie in [0, π/2], or one is not finite.
        """
        super().__init__(scale, margin)
        if self.margin > pi / 2:
            raise InputError(f"loss.margin={margin} must lie in [0, π/2], in radians.")

    def drop(self, logits: Tensor) -> Tensor:
        """2 sin(½m) s sin(θ + ½m) (…, K), which is s cos θ − s cos(θ + m); 2s sin²(½m) beyond."""
        s, m = self.scale, self.margin
        is_inside, x, height = self._half_circle(logits)
        # sin(θ + ½m) of sines and cosines, both terms ≥ 0 but for obtuse angles
        between = 2 * sin(m / 2) * (height * cos(m / 2) + x * sin(m / 2))
        return between.where(is_inside, logits**0 * (2 * s * sin(m / 2) ** 2))

    def slope(self, logits: Tensor) -> Tensor:
        """f'(z) = cos m + sin m cot θ (…, K), or 1 on the line."""
        is_inside, x, height = self._half_circle(logits)
        between = cos(self.margin) + sin(self.margin) * (x / height)
        return between.where(is_inside, logits**0)

    def _half_circle(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """0 < θ < π − m, there s cos θ, and s sin θ > 0 (…, K)."""
        s = self.scale
        is_inside = (logits < s) & (logits > -s * cos(self.margin))
        # elsewhere a number at which the root has a derivative
        x = logits.masked_fill(~is_inside, 0.0)
        return is_inside, x, ((s - x) * (s + x)).sqrt()
