"""The Tversky loss of sets, of which the Dice loss is the even one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import non_negative, positive
from mlr.core.domains import UNIT, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor


class Tversky(Loss):
    """L = 1 − (TP + s)/(TP + αFP + βFN + s), TP = Σ ty, FP = Σ (1 − t)y, FN = Σ t(1 − y).

    The sums are over the K outputs of one example, which is one set: its error does not
    depend on how many outputs are rightly 0. α = β = ½ is the Dice loss, α = β = 1 Jaccard's
    (intersection over union); β > α asks for recall. The smoothing s > 0 makes the empty set,
    rightly predicted, cost 0.

    For maps, the outputs of an example are its pixels: logits.flatten(-2) of (B, C, H, W) is
    one set for each of the C classes, with sigmoid outputs. Without it, of logits (…, K) with
    the classes last, every pixel is a set of its own.

    It has no likelihood: e^−L of all targets do not add up to a constant.

    Source: Milletari, Navab and Ahmadi, V-Net, 3DV (2016), for Dice; Salehi, Erdogmus and
        Gholipour, Tversky loss function for image segmentation, MLMI (2017).
    """

    name: ClassVar[str] = "tversky"
    domain: ClassVar[Region] = UNIT
    target_domain: ClassVar[Region] = UNIT

    def __init__(self, alpha: float = 0.5, beta: float = 0.5, smooth: float = 1.0) -> None:
        """Set α, β and s.

        Args:
            alpha: α ≥ 0, the weight of what is predicted and not there.
            beta: β ≥ 0, the weight of what is there and not predicted.
            smooth: s > 0, added above and below.

        Raises:
            InputError: α or β is negative, s is not above 0, or one is not finite.
        """
        self.alpha = float(non_negative("loss.alpha", alpha))
        self.beta = float(non_negative("loss.beta", beta))
        self.smooth = float(positive("loss.smooth", smooth))

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = (αFP + βFN)/(TP + αFP + βFN + s) (…)."""
        y, t = predictions, targets
        # 1 − (TP + s)/(…) as a quotient: nothing is lost where the sets are nearly equal
        off = (self.alpha * (1 - t) * y + self.beta * t * (1 - y)).sum(-1)
        return off / ((t * y).sum(-1) + off + self.smooth)
