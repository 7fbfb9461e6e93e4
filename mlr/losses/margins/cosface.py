"""CosFace: a margin on the cosine of the true class."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.losses.margins.base import MarginLoss

if TYPE_CHECKING:
    from torch import Tensor


class CosFace(MarginLoss):
    """L = log(1 + Σ_{j≠c} e^(z_j − f(z_c))) with f(z) = z − sm = s(cos θ − m), c the true class.

    z_k = s cos θ_k are the logits of `model=cosine`; predictions are softmax(z). The cosine of the
    true class has to exceed all others by m, not only by 0. The drop sm is the same at every
    angle, and so is the slope 1 of f: where an example is wrong, the gradient is that of
    cross-entropy.

    It has no likelihood: e^−L of all classes do not add up to a constant.

    Source: Wang et al., CosFace: large margin cosine loss for deep face recognition, CVPR (2018);
        Wang, Cheng, Liu and Liu, Additive margin softmax for face verification, IEEE Signal
        Processing Letters 25 (2018), for the same loss.
    """

    name: ClassVar[str] = "cosface"

    def __init__(self, scale: float = 64.0, margin: float = 0.35) -> None:
        """Set s and m.

        Args:
            scale: s > 0, that of model.scale.
            margin: m ≥ 0, in cosines.

        Raises:
            InputError: s is not above 0, m is negative, or one is not finite.
        """
        super().__init__(scale, margin)

    def drop(self, logits: Tensor) -> Tensor:
        """s·m (…, K), the same at every angle."""
        return logits**0 * (self.scale * self.margin)

    def slope(self, logits: Tensor) -> Tensor:
        """1 (…, K)."""
        return logits**0
