"""Kernel of several quantiles: the sum of their pinball losses.

Shapes: logits z (…, QK), a block of K for each level, targets t (…, K) → losses (…), gradients
(…, QK). The middle quantile is its logit; each next one outward is softplus(z) farther.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.heads import Quantiles
from mlr.heads.functions import sigmoid
from mlr.objectives.kernels.error_costs import pinball
from mlr.objectives.kernels.kernel import Kernel


def quantile_score(head: Quantiles) -> Kernel:
    """The kernel of the levels of this head."""
    centre = head.middle_level

    costs = [pinball(tau) for tau in head.levels]

    def errors(z: Tensor, t: Tensor) -> list[Tensor]:
        """q − t (…, K) of each level."""
        return [q - t for q in head.parts(head(z))]

    def losses(z: Tensor, t: Tensor) -> Tensor:
        pairs = zip(costs, errors(z, t), strict=True)
        return sum(cost.value(d).sum(-1) for cost, d in pairs)  # type: ignore[return-value]

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        slopes = [cost.slope(d) for cost, d in zip(costs, errors(z, t), strict=True)]
        blocks = head.parts(z)
        found = [torch.zeros_like(t)] * len(slopes)
        # a logit moves its own quantile and all beyond it
        above = torch.zeros_like(t)
        for place in range(len(slopes) - 1, centre, -1):
            above = above + slopes[place]
            found[place] = sigmoid(blocks[place]) * above
        below = torch.zeros_like(t)
        for place in range(centre):
            below = below + slopes[place]
            found[place] = -sigmoid(blocks[place]) * below
        found[centre] = below + slopes[centre] + above
        return torch.cat(found, -1)

    return Kernel(losses, gradient)
