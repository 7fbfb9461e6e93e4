"""Several quantiles at once, which cannot cross."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import InputError, typed
from mlr.core.domains import Region, quantiles
from mlr.heads.distributions.base import NumbersHead

if TYPE_CHECKING:
    from torch import Tensor

LEVELS = (0.1, 0.5, 0.9)


class Quantiles(NumbersHead):
    """y = (q₁, …, q_Q), increasing: the quantiles of the levels τ₁ < … < τ_Q for each target.

    The middle one is its logit, q_c = z_c. Each next one outward is softplus(z) = log(1 + eᶻ)
    farther away: q_(j + 1) = q_j + softplus(z_(j + 1)) above, q_(j − 1) = q_j − softplus(z_(j − 1))
    below, so that a higher quantile is never below a lower one. Of an even number of levels the
    lower of the two in the middle is the first. K quantiles of the lowest level come first.

    There is no density, and so no likelihood; loss=quantile_score learns all levels at once.

    Source: Koenker, Quantile Regression (2005); Cannon, Non-crossing nonlinear regression
        quantiles by monotone composite quantile regression, Stochastic Environmental Research and
        Risk Assessment 32 (2018).
    """

    name: ClassVar[str] = "quantiles"
    range: ClassVar[Region]

    def __init__(self, levels: Sequence[float] = LEVELS) -> None:
        """Set the levels.

        Args:
            levels: τ of the quantiles, increasing, each in (0, 1).

        Raises:
            InputError: no list of increasing numbers in (0, 1).
        """
        self.levels: tuple[float, ...] = _checked(levels)
        self.range = quantiles(self.levels)  # type: ignore[misc]  # of this head's levels

    @property
    def middle_level(self) -> int:
        """Place of the level that is its own logit."""
        return (len(self.levels) - 1) // 2

    def __call__(self, logits: Tensor) -> Tensor:
        """y (…, QK) of z (…, QK), increasing from block to block."""
        from torch import cat

        from mlr.heads.functions import softplus

        z, centre = self.parts(logits), self.middle_level
        found = [z[centre]]
        for gap in z[centre + 1 :]:
            found.append(found[-1] + softplus(gap))
        for gap in reversed(z[:centre]):
            found.insert(0, found[0] - softplus(gap))
        return cat(found, -1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y_j/∂z_j (…, QK): 1 in the middle, σ(z) above, −σ(z) below."""
        from torch import cat

        from mlr.heads.functions import sigmoid

        z, centre = self.parts(logits), self.middle_level
        below = [-sigmoid(one) for one in z[:centre]]
        return cat([*below, z[centre] ** 0, *(sigmoid(one) for one in z[centre + 1 :])], -1)

    def cost(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Σ of the pinball losses (…) of all levels and targets."""
        from torch import stack

        costs = []
        for level, q in zip(self.levels, self.parts(predictions), strict=True):
            d = q - targets
            costs.append((d.relu() * (1 - level) + (-d).relu() * level).sum(-1))
        return stack(costs).sum(0)

    def point(self, predictions: Tensor) -> Tensor:
        """The middle quantile (…, K)."""
        return self.parts(predictions)[self.middle_level]

    def rescaled(self, predictions: Tensor, offset: Tensor, divisor: Tensor) -> Tensor:
        """(dq₁ + o, …, dq_Q + o) (…, QK) of targets d·t + o."""
        from torch import cat

        return cat([q * divisor + offset for q in self.parts(predictions)], -1)

    def quantile(self, predictions: Tensor, level: float) -> Tensor:
        """The quantile (…, K) of a level that the head has.

        Raises:
            InputError: the head has no such level.
        """
        if level not in self.levels:
            raise InputError(
                f"level={level} is none of head.levels={list(self.levels)}; a head of quantiles "
                "knows no others."
            )
        return self.parts(predictions)[self.levels.index(level)]


def _checked(levels: Sequence[float]) -> tuple[float, ...]:
    given = levels if isinstance(levels, (list, tuple)) else ()
    numbers = [one for one in given if isinstance(one, (int, float)) and 0 < one < 1]
    increasing = all(a < b for a, b in pairwise(numbers))
    if not numbers or len(numbers) < len(given) or not increasing:
        raise InputError(
            f"head.levels={typed(levels)} must list increasing numbers in (0, 1), as in "
            "head.levels=[0.1,0.5,0.9]."
        )
    return tuple(map(float, numbers))


Quantiles.range = quantiles(LEVELS)
