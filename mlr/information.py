"""Entropy, cross-entropy, KL divergence and maximum likelihood.

All quantities are in nats. Discrete distributions are probabilities p (…, K) over the last axis,
Gaussians are given by means and standard deviations, samples lie along the first axis. The losses
rest on two identities: H(p, q) = H(p) + KL(p‖q), and the −log-likelihood of m samples is m H(p̂, q)
with p̂ their empirical distribution. Hence the q of maximum likelihood minimises KL(p̂‖q).

Source: lecture sections 2–14; Goodfellow et al., Deep Learning, 3.13 and 5.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Normal
from torch.nn.functional import one_hot

from mlr.core.checks import InputError, positive, whole

HALF_LOG_TAU = 0.91893853320467274178
"""½ log 2π, the constant of a Gaussian's −log-likelihood with σ = 1."""


def entropy(p: Tensor) -> Tensor:
    """Return the entropy H(p) = −Σ_k p_k log p_k (…) of p (…, K), with 0·log 0 = 0.

    The gradient at p_k = 0 is +∞.

    Raises:
        InputError: p is no tensor of probabilities (…, K ≥ 2) of floating type.
    """
    _check_probabilities(p=p)
    return torch.special.entr(p).sum(-1)


def cross_entropy(p: Tensor, q: Tensor) -> Tensor:
    """Return the cross-entropy H(p, q) = −Σ_k p_k log q_k (…) of p (…, K) and q (…, K).

    With 0·log 0 = 0 and gradient 0 there; +∞ if q_k = 0 < p_k. Leading axes broadcast.

    Raises:
        InputError: not probabilities (…, K ≥ 2) of floating type with the same K.

    Source: lecture section 11; Goodfellow et al., Deep Learning, eq. 3.51.
    """
    _check_probabilities(p=p, q=q)
    # the gradient of 0·log 0 in q is 0/0; log 1 has the same value and a gradient
    return -torch.xlogy(p, q.masked_fill((p == 0) & (q == 0), 1.0)).sum(-1)


def kl_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence KL(p‖q) = Σ_k p_k log(p_k/q_k) (…).

    It is exactly 0 for p = q, and +∞ if q_k = 0 < p_k. It is computed as
    Σ_k [p_k log(p_k/q_k) − p_k + q_k], which is equal if p and q sum to 1: no term is negative, so
    nothing cancels for p near q, and the rounding of Σ p and Σ q has no effect. The gradients are
    log(p/q) and 1 − p/q, which along the simplex are those of the sum above. Leading axes of
    p (…, K) and q (…, K) broadcast.

    Raises:
        InputError: not probabilities (…, K ≥ 2) of floating type with the same K.

    Source: lecture section 7; Goodfellow et al., Deep Learning, eq. 3.50.
    """
    _check_probabilities(p=p, q=q)
    return _divergence(p, q).sum(-1)


def gaussian_entropy(std: Tensor) -> Tensor:
    """Return the entropy H = log σ + ½ log 2π + ½ (…) of N(·, σ²)."""
    return std.log() + (HALF_LOG_TAU + 0.5)


def gaussian_cross_entropy(
    mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor
) -> Tensor:
    """Return the cross-entropy H(p, q) of p = N(μ, σ²) and q = N(μ', σ'²).

    H(p, q) = ½ ((μ − μ')² + σ²)/σ'² + log σ' + ½ log 2π (…). For σ = 0, p is the single point
    t = μ and H the −log-likelihood of t under q: for σ' = 1 this is ½(μ' − t)² + ½ log 2π.

    Source: lecture section 14; Goodfellow et al., Deep Learning, 5.5.1.
    """
    away, wide = (mean - other_mean) / other_std, std / other_std
    return 0.5 * (away * away + wide * wide) + other_std.log() + HALF_LOG_TAU


def gaussian_kl_divergence(
    mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor
) -> Tensor:
    """Return the divergence KL(p‖q) of p = N(μ, σ²) and q = N(μ', σ'²).

    KL(p‖q) = log(σ'/σ) + ½ ((μ − μ')² + σ²)/σ'² − ½ (…), computed as a sum of three terms ≥ 0, so
    that nothing cancels for p near q.
    """
    away, wider = (mean - other_mean) / other_std, (std - other_std) / other_std
    # with r = σ/σ': −log r + ½(r² − 1) = (r − 1 − log r) + ½(r − 1)²
    return _divergence(other_std, std) / other_std + 0.5 * (wider * wider + away * away)


def log_likelihood(distribution: Distribution, samples: Tensor) -> Tensor:
    """Return the log-likelihood ℓ = log p(X) = Σ_i log p(x_i) (…) of independent samples x (m, …).

    Source: lecture sections 2–5.
    """
    return distribution.log_prob(samples).sum(0)


def likelihood(distribution: Distribution, samples: Tensor) -> Tensor:
    """Return the likelihood L = p(X) = Π_i p(x_i) (…) of independent samples x (m, …).

    It has the maximum of its logarithm, but 324 factors of 0.1 are 0 in float64, 46 in float32.

    Source: lecture sections 3–5.
    """
    return distribution.log_prob(samples).exp().prod(0)


def fit_bernoulli(samples: Tensor) -> Bernoulli:
    """Fit a Bernoulli distribution by maximum likelihood: p is the share of ones in x (m, …).

    Raises:
        InputError: no samples, or values other than 0 and 1.
    """
    _check_samples(samples)
    if not ((samples == 0) | (samples == 1)).all():
        raise InputError("samples of a Bernoulli distribution must be 0 or 1.")
    return Bernoulli(samples.double().mean(0))


def fit_categorical(samples: Tensor, classes: int) -> Categorical:
    """Fit a categorical distribution by maximum likelihood: the share of each class in x (m, …).

    Raises:
        InputError: no samples, or values other than whole numbers from 0 to `classes` − 1.
    """
    _check_samples(samples)
    if samples.is_floating_point() or samples.min() < 0 or samples.max() >= classes:
        raise InputError(
            f"samples of a categorical distribution with classes={classes} must be whole "
            f"numbers from 0 to {classes - 1}."
        )
    return Categorical(one_hot(samples.long(), classes).double().mean(0))


def fit_gaussian(samples: Tensor) -> Normal:
    """Fit a Gaussian by maximum likelihood: mean and standard deviation (divisor m) of x (m, …).

    Raises:
        InputError: no samples, or all equal: the likelihood is then unbounded as σ → 0.
    """
    _check_samples(samples)
    values = samples.double()
    std = values.std(0, correction=0)
    if not (std > 0).all():
        raise InputError(
            f"the {len(samples)} samples of a Gaussian are all equal, or not finite: "
            "their likelihood is unbounded as σ → 0; give at least two different ones."
        )
    return Normal(values.mean(0), std)


def bernoulli(logit: Tensor) -> Bernoulli:
    """Return Bernoulli distributions with p = σ(z) of real logits z (…)."""
    return Bernoulli(logits=logit)


def categorical(logits: Tensor) -> Categorical:
    """Return categorical distributions with p = softmax(z) of real logits z (…, K)."""
    return Categorical(logits=logits)


def gaussian(parameters: Tensor) -> Normal:
    """Return Gaussians of real parameters (…, 2): the mean and log σ."""
    return Normal(parameters[..., 0], parameters[..., 1].exp(), validate_args=False)


class Descent(NamedTuple):
    """Result and trajectory of gradient descent on a likelihood.

    Attributes:
        distribution: of the last parameters.
        parameters: θ before each step and after the last (steps + 1, …).
        losses: −1/m log-likelihood at each of them (steps + 1, …).
    """

    distribution: Distribution
    parameters: Tensor
    losses: Tensor


def fit_by_descent(
    family: Callable[[Tensor], Distribution],
    start: Tensor,
    samples: Tensor,
    rate: float = 0.5,
    steps: int = 1000,
) -> Descent:
    """Fit by gradient descent θ ← θ − rate · ∇(−1/m Σ_i log p(x_i; θ)).

    Converges to the closed form, up to rounding, if the maximum is at a finite θ and `rate` is
    below 2 / (largest curvature): the curvature is at most ¼ for a logit, ½ for logits and
    max(1/σ², 2) for `gaussian`.

    Args:
        family: map from unconstrained parameters to a distribution: `bernoulli`, `categorical` or
            `gaussian`.
        start: initial θ; its dtype is that of the computation.
        samples: x (m, …).
        rate: learning rate.
        steps: number of steps.

    Raises:
        InputError: no samples, or θ becomes infinite or NaN.

    Source: lecture sections 2, 6 and 10.
    """
    _check_samples(samples)
    positive("rate", rate)
    whole("steps", steps)
    parameters, losses = [start.detach()], []
    for step in range(steps + 1):
        theta = parameters[-1].clone().requires_grad_()
        loss = -log_likelihood(family(theta), samples) / len(samples)
        losses.append(loss.detach())
        if step < steps:
            (slope,) = torch.autograd.grad(loss.sum(), theta)
            parameters.append(parameters[-1] - rate * slope)
        if not parameters[-1].isfinite().all():
            raise InputError(f"rate={rate} is too large: step {step} leaves the finite numbers.")
    return Descent(family(parameters[-1]), torch.stack(parameters), torch.stack(losses))


class _Divergence(torch.autograd.Function):
    """Elementwise p log(p/q) − p + q of p, q ≥ 0, which is ≥ 0, and 0 only for p = q."""

    generate_vmap_rule = True

    @staticmethod
    def forward(p: Tensor, q: Tensor) -> Tensor:
        difference = q - p
        s = difference / (p + q)
        # log(q/p) = 2 artanh s and q − p = 2ps + (q − p)s: the leading terms cancel exactly
        near = difference * s - 2 * p * s * _artanh_beyond_first(s)
        far = difference + (p * _log_ratio(p, q)).masked_fill(p == 0, 0.0)
        return torch.where(s.abs() < NEAR, near, far)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        p, q = ctx.saved_tensors
        # where p = q = 0 the term is q, whose derivative is 1
        to_q = ((q - p) / q).masked_fill((p == 0) & (q == 0), 1.0)
        return grad * _log_ratio(p, q), grad * to_q


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    divergence: Tensor = _Divergence.apply(*torch.broadcast_tensors(p, q))
    return divergence


NEAR, TERMS = 0.5, 26
"""Bound on |q − p|/(p + q) for the series of artanh, and its number of terms."""


def _artanh_beyond_first(s: Tensor) -> Tensor:
    """Return artanh(s)/s − 1 = s²/3 + s⁴/5 + s⁶/7 + …, for |s| ≤ ½."""
    square, series = s * s, torch.zeros_like(s)
    for term in range(TERMS, 0, -1):
        series = square * (1 / (2 * term + 1) + series)
    return series


def _log_ratio(p: Tensor, q: Tensor) -> Tensor:
    """Return log(p/q) to a few ulp, also for p near q; 0 for 0/0."""
    ratio, excess = p / q, (p - q) / q
    smallest = torch.finfo(ratio.dtype).tiny
    # a ratio outside the normal numbers is so far from 1 that log p − log q is accurate
    normal = (ratio >= smallest) & ratio.isfinite()
    far = torch.where(normal, ratio.log(), p.log() - q.log())
    log = torch.where(excess.abs() < 0.5, excess.log1p(), far)
    return log.masked_fill((p == 0) & (q == 0), 0.0)


def _check_probabilities(**given: Tensor) -> None:
    """Check shapes and types; the caller ensures that entries are ≥ 0 and sum to 1."""
    for name, values in given.items():
        if not values.is_floating_point() or values.dim() == 0 or values.shape[-1] < 2:
            raise InputError(
                f"{name} of shape {tuple(values.shape)} and type {values.dtype} is not a "
                "distribution: probabilities must be floating point (…, K) with K at least 2; "
                "those of a yes/no question are (1 − p, p)."
            )
    if len({values.shape[-1] for values in given.values()}) > 1:
        shapes = " and ".join(f"{name} {tuple(values.shape)}" for name, values in given.items())
        raise InputError(f"{shapes} must be distributions over the same K outcomes.")


def _check_samples(samples: Tensor) -> None:
    shape = tuple(samples.shape)
    if samples.numel() == 0 or shape == ():
        raise InputError(f"samples of shape {shape} hold none; they must be (m, …), m at least 1.")
