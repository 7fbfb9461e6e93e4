"""The complementary log-log unit: the probability of at least one event at a Poisson rate e^z."""

from __future__ import annotations

from math import factorial, log
from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import OPEN_UNIT, Region
from mlr.heads.base import Head

if TYPE_CHECKING:
    from torch import Tensor

EULER = 0.5772156649015329
"""γ, the limit of 1 + ½ + … + 1/n − log n."""
MIDDLE = -0.36651292058166435
"""The largest float64 below log log 2, where y is ½: no float lies between the two."""
TURN = log(1.5)
"""The logit up to which the series of the potential serves."""
LARGEST = 7.0
"""exp(−e^z) is 0 in float64 from here on."""
SERIES = [(-1) ** (n + 1) / (n * factorial(n)) for n in range(1, 23)]
DEPTH = 61
"""Steps of the continued fraction; with these, 4e-16 of the value is left at e^z = 3/2."""


class ComplementaryLogLog(Head):
    """y = 1 − exp(−e^z), elementwise: slow to 0 as e^z, fast to 1 as exp(−e^z).

    Source: Fisher, On the mathematical foundations of theoretical statistics, Phil. Trans.
        A 222 (1922), 12; McCullagh and Nelder, Generalized Linear Models, 4.3.1.
    """

    name: ClassVar[str] = "cloglog"
    range: ClassVar[Region] = OPEN_UNIT

    def __call__(self, logits: Tensor) -> Tensor:
        """y = 1 − exp(−e^z) (…, K)."""
        rate = logits.clamp(max=LARGEST).exp()
        # by expm1 small y are not lost in 1 − (1 − y), by exp small slopes not in 1 − y
        return (1 - (-rate).exp()).where(rate > 1, -(-rate).expm1())

    def potential(self, logits: Tensor) -> Tensor:
        """A(z) = Σ_k Ein(e^z_k), Ein(x) = ∫ (1 − e⁻ᵘ)/u du from 0 to x (…)."""
        return integrals(logits)[0].sum(-1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y/∂z = e^z exp(−e^z) = exp(z − e^z) (…, K), at most 1/e."""
        return (logits - logits.exp()).exp()

    def decide(self, logits: Tensor) -> Tensor:
        """Class numbers (…): y ≥ ½ where z > log log 2, without the rounding of y."""
        if logits.shape[-1] == 1:
            z = logits[..., 0]
            # float16 would round the bound up
            return (z.float() if z.dtype.itemsize == 2 else z).gt(MIDDLE).to(z.dtype)
        return super().decide(logits)


def integrals(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Ein(e^z) and E₁(e^z) = ∫ e⁻ᵘ/u du from e^z to ∞ (…, K): they differ by z + γ.

    Their series up to e^z = 3/2, Stieltjes' continued fraction beyond; both nowhere negative.
    """
    low = logits.clamp(max=TURN).exp()
    series = low * SERIES[-1]
    for term in reversed(SERIES[:-1]):
        series = (series + term) * low
    high = logits.clamp(TURN, LARGEST).exp()
    below = high + (2 * DEPTH - 1)
    # the fraction goes on as its last step repeated
    fraction = (below + (below * below - 4 * DEPTH**2).sqrt()) * 0.5
    for n in range(DEPTH - 1, 0, -1):
        fraction = high + (2 * n - 1) - n**2 / fraction
    beyond = (-high).exp() / fraction
    both, is_low = logits + EULER, logits < TURN
    return series.where(is_low, both + beyond), (series - both).where(is_low, beyond)
