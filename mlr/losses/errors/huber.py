"""The Huber loss: a squared error that grows only linearly beyond δ."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import positive
from mlr.core.domains import REALS, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution


class Huber(Loss):
    """L = Σ_k ½d_k² where |d_k| ≤ δ, else δ(|d_k| − ½δ), with the error d = y − t.

    dL/dy is the error cut to [−δ, δ]: an outlier pulls no harder than δ. δ → ∞ is `se`, and
    L/δ → `mae` for δ → 0. δ is in the unit of the targets, after any standardisation. As torch's
    huber_loss; its smooth_l1_loss with beta = δ is L/δ.

    With head=linear it is the −log-likelihood of a proper density, a Gaussian with exponential
    tails.

    Source: Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics
        35 (1964).
    """

    name: ClassVar[str] = "huber"
    domain: ClassVar[Region] = REALS
    target_domain: ClassVar[Region] = REALS

    def __init__(self, delta: float = 1.0) -> None:
        """Set δ.

        Args:
            delta: δ > 0, the error from which on the loss is linear.

        Raises:
            InputError: δ is not a finite number above 0.
        """
        self.delta = float(positive("loss.delta", delta))

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L = Σ_k w_k(|d_k| − ½w_k) (…) with w = min(|d|, δ)."""
        size = (predictions - targets).abs()
        within = size.clamp(max=self.delta)
        return (within * (size - 0.5 * within)).sum(-1)

    def likelihood(self, predictions: Tensor) -> Distribution:
        """Huber's density about y, independent over the K outputs: −log p = L + K log Z(δ)."""
        from torch.distributions import Independent

        from mlr.densities.of_errors import HuberDensity

        return Independent(HuberDensity(predictions, self.delta), 1)
