"""The β-likelihood of a Gaussian, which does not leave badly predicted targets alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import InputError, non_negative
from mlr.core.domains import REALS, WITH_DEVIATION, Region
from mlr.losses.base import Loss
from mlr.losses.gaussian_nll import GaussianNll

if TYPE_CHECKING:
    from torch import Tensor


class BetaNll(Loss):
    """L = Σ_k [σ_k^2β] (½((t_k − μ_k)/σ_k)² + log σ_k + ½ log 2π), σ^2β without a gradient.

    The gradient of gaussian_nll in μ has the factor 1/σ²: where the mean is bad at first, σ grows,
    and the mean is left as it is. β = 0 is gaussian_nll, β = 1 gives μ the gradient of squared
    error and leaves σ to the likelihood; 0.5 is between. dL/dz is not the derivative of the
    number L, as σ^2β is held.

    It has no likelihood: the best σ for given μ is that of the likelihood, but L itself, with its
    weights, is none.

    Source: Seitzer, Tavakoli, Antic and Martius, On the pitfalls of heteroscedastic uncertainty
        estimation with probabilistic neural networks, ICLR (2022).
    """

    name: ClassVar[str] = "beta_nll"
    domain: ClassVar[Region] = WITH_DEVIATION
    target_domain: ClassVar[Region] = REALS

    def __init__(self, beta: float = 0.5) -> None:
        """Set β.

        Args:
            beta: β in [0, 1].

        Raises:
            InputError: β does not lie in [0, 1].
        """
        self.beta = float(non_negative("loss.beta", beta))
        if self.beta > 1:
            raise InputError(f"loss.beta={beta} must lie in [0, 1].")

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L (…) of predictions (μ, σ) (…, 2K)."""
        from torch import stack

        outputs = targets.shape[-1]
        costs = []
        for k in range(outputs):
            pair = predictions[..., [k, k + outputs]]
            weight = pair[..., 1].detach() ** (2 * self.beta)
            costs.append(weight * GaussianNll()(pair, targets[..., k : k + 1]))
        return stack(costs).sum(0)
