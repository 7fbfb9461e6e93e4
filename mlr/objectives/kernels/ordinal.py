"""Kernels of the −log-likelihood of ordered classes, on logits (…, K − 1).

With the share q_c = t_c − t_(c+1) of each class, t_0 = 1 and t_K = 0, the likelihood of both heads
is a sum of logarithms of σ, with no difference of two probabilities:

    corn        L = Σ_k t_k s(−z_k) + q_(k−1) s(z_k)                       s = softplus = −log σ(−·)
    cumulative  L = Σ_k q_k s(−a_k) + q_(k−1) s(a_k) + [k ≥ 2] q_(k−1) s(z_k − z_1)

for σ(a) − σ(b) = σ(a) σ(−b) (1 − e^(b−a)), and a_(k−1) − a_k = s(z_1 − z_k), so that
1 − e^(b−a) = σ(z_1 − z_k).
Targets are levels t (…, K − 1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.core.domains import LEVELS
from mlr.heads.functions import sigmoid, softplus
from mlr.heads.ordinal.cumulative import thresholds
from mlr.objectives.kernels.kernel import Kernel, times


def corn_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ t_k s(−z_k) + q_(k−1) s(z_k)."""
    ended = LEVELS.shares(t)[..., :-1]
    return (times(t, softplus(-z)) + times(ended, softplus(z))).sum(-1)


def corn_gradient(z: Tensor, t: Tensor) -> Tensor:
    """q_(k−1) σ(z_k) − t_k σ(−z_k)."""
    ended = LEVELS.shares(t)[..., :-1]
    return ended * sigmoid(z) - t * sigmoid(-z)


def cumulative_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ q_k s(−a_k) + q_(k−1) s(a_k) + [k ≥ 2] q_(k−1) s(z_k − z_1)."""
    shares = LEVELS.shares(t)
    below, here = shares[..., :-1], shares[..., 1:]
    a = thresholds(z)
    costs = times(here, softplus(-a)) + times(below, softplus(a))
    return costs.sum(-1) + times(below[..., 1:], softplus(z[..., 1:] - z[..., :1])).sum(-1)


def cumulative_gradient(z: Tensor, t: Tensor) -> Tensor:
    """u_k = σ(z_1 − z_k) Σ_{j≥k} g_j + q_(k−1) σ(z_k − z_1), g = dL/da; first Σ g_j − Σ u_k."""
    shares = LEVELS.shares(t)
    below, here = shares[..., :-1], shares[..., 1:]
    a = thresholds(z)
    g = below * sigmoid(a) - here * sigmoid(-a)
    beyond = g.flip(-1).cumsum(-1).flip(-1)
    step = z[..., 1:] - z[..., :1]
    apart = sigmoid(-step) * beyond[..., 1:] + below[..., 1:] * sigmoid(step)
    return torch.cat([beyond[..., :1] - apart.sum(-1, keepdim=True), apart], -1)


CORN_NLL = Kernel(corn_losses, corn_gradient)
CUMULATIVE_NLL = Kernel(cumulative_losses, cumulative_gradient)
