"""Kernels of the linear and the clipped linear unit whose targets may be any real number."""

from __future__ import annotations

from torch import Tensor

from mlr.objectives.kernels.kernel import Kernel, over_outputs


def linear_se_losses(z: Tensor, t: Tensor) -> Tensor:
    """½ Σ (z − t)²."""
    return half_squares(z - t)


def linear_se_gradient(z: Tensor, t: Tensor) -> Tensor:
    """z − t."""
    return z - t


def clipped_se_losses(z: Tensor, t: Tensor) -> Tensor:
    """½ Σ (y − t)², y = max(0, min(1, z))."""
    return half_squares(z.clamp(0, 1) - t)


def clipped_se_gradient(z: Tensor, t: Tensor) -> Tensor:
    """y − t on [0, 1], exactly 0 outside."""
    return (z.clamp(0, 1) - t).masked_fill((z < 0) | (z > 1), 0.0)


def clipped_matching_losses(z: Tensor, t: Tensor) -> Tensor:
    """A(z) − tz + ½t² = ½(y − t)² + (z − y)(y − t), A the integral of the clip; both terms ≥ 0."""
    y = z.clamp(0, 1)
    d = y - t
    # 0·∞ = 0: an infinite logit that is right costs nothing
    beyond = (z - y).masked_fill(z.isinf() & (d == 0), 0.0)
    return (d * (0.5 * d + beyond)).sum(-1)


def clipped_matching_gradient(z: Tensor, t: Tensor) -> Tensor:
    """y − t everywhere: the loss that brings a strayed clipped unit back."""
    return z.clamp(0, 1) - t


def half_squares(d: Tensor) -> Tensor:
    """½ Σ d² (…) of errors d (…, K)."""
    # halving first is exact and keeps the largest squares finite
    return over_outputs(0.5 * d * d)


LINEAR_SE = Kernel(linear_se_losses, linear_se_gradient, differentiable=True)
CLIPPED_SE = Kernel(clipped_se_losses, clipped_se_gradient)
CLIPPED_MATCHING = Kernel(clipped_matching_losses, clipped_matching_gradient)
