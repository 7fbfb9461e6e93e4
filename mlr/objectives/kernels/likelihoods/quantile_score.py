"""Kernel of several quantiles: the sum of their pinball losses.

Shapes: logits z (…, QK), a block of K for each level, targets t (…, K) → losses (…), gradients
(…, QK). The middle quantile is its logit; each next one outward is softplus(z) farther.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.heads import Quantiles
from mlr.heads.functions import sigmoid
from mlr.objectives.kernels.error_costs import weights
from mlr.objectives.kernels.kernel import Kernel


def quantile_score(head: Quantiles) -> Kernel:
    """The kernel of the levels of this head."""
    centre = head.middle_level

    def errors(z: Tensor, t: Tensor) -> list[tuple[Tensor, Tensor]]:
        """q − t and the weight of its size (…, K), of each level."""
        apart = [q - t for q in head.parts(head(z))]
        return [(d, weights(tau, d)) for tau, d in zip(head.levels, apart, strict=True)]

    def losses(z: Tensor, t: Tensor) -> Tensor:
        return sum((w * d.abs()).sum(-1) for d, w in errors(z, t))  # type: ignore[return-value]

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        slopes = [w * d.sign() for d, w in errors(z, t)]
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
