"""Information and likelihood: entropy, cross-entropy, KL divergence; maximum likelihood.

All in nats. Discrete distributions are probabilities p (…, K) over the last axis, Gaussians
their means and standard deviations, samples lie along the first axis. The identities that the
losses rest on: H(p, q) = H(p) + KL(p‖q); the −log-likelihood of m samples is m H(p̂, q), with p̂
their empirical distribution; so the q of maximum likelihood is that of least KL(p̂‖q).

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
"""½ log 2π: what a Gaussian's −log-likelihood has beside the squared error."""


def entropy(p: Tensor) -> Tensor:
    """H(p) = −Σ_k p_k log p_k (…) of p (…, K), with 0·log 0 = 0; ∂H/∂p_k at 0 is +∞.

    Raises:
        InputError: p is no tensor of probabilities (…, K ≥ 2) of floating type.
    """
    _check_probabilities(p=p)
    return torch.special.entr(p).sum(-1)


def cross_entropy(p: Tensor, q: Tensor) -> Tensor:
    """H(p, q) = −Σ_k p_k log q_k (…), with 0·log 0 = 0, and +∞ where q_k = 0 < p_k.

    Leading axes of p (…, K) and q (…, K) broadcast. Where both are 0 the gradient is 0.

    Raises:
        InputError: not probabilities (…, K ≥ 2) of floating type with the same K.

    Source: lecture section 11; Goodfellow et al., Deep Learning, eq. 3.51.
    """
    _check_probabilities(p=p, q=q)
    # the gradient of 0·log 0 in q is 0/0; log 1 has the same value and a gradient
    return -torch.xlogy(p, q.masked_fill((p == 0) & (q == 0), 1.0)).sum(-1)


def kl_divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p‖q) = Σ_k p_k log(p_k/q_k) (…), 0 exactly for p = q, and +∞ where q_k = 0 < p_k.

    Computed as Σ_k [p_k log(p_k/q_k) − p_k + q_k], which is the same where both sum to 1: no
    term is negative, so nothing cancels when p is near q, and that Σ p and Σ q are rounded
    does not show. Its gradients are log(p/q) and 1 − p/q, which along the simplex are those of
    the sum above. Leading axes of p (…, K) and q (…, K) broadcast.

    Raises:
        InputError: not probabilities (…, K ≥ 2) of floating type with the same K.

    Source: lecture section 7; Goodfellow et al., Deep Learning, eq. 3.50.
    """
    _check_probabilities(p=p, q=q)
    return _divergence(p, q).sum(-1)


def gaussian_entropy(std: Tensor) -> Tensor:
    """H = log σ + ½ log 2π + ½ (…) of N(·, σ²)."""
    return std.log() + (HALF_LOG_TAU + 0.5)


def gaussian_cross_entropy(
    mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor
) -> Tensor:
    """H(p, q) = ½ ((μ − μ')² + σ²)/σ'² + log σ' + ½ log 2π (…), p = N(μ, σ²), q = N(μ', σ'²).

    σ = 0 makes p a single point t = μ: the −log-likelihood of q for it, and for σ' = 1 the
    squared error ½(μ' − t)² + ½ log 2π.

    Source: lecture section 14; Goodfellow et al., Deep Learning, 5.5.1.
    """
    away, wide = (mean - other_mean) / other_std, std / other_std
    return 0.5 * (away * away + wide * wide) + other_std.log() + HALF_LOG_TAU


def gaussian_kl_divergence(
    mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor
) -> Tensor:
    """KL(p‖q) = log(σ'/σ) + ½ ((μ − μ')² + σ²)/σ'² − ½ (…), p = N(μ, σ²), q = N(μ', σ'²).

    A sum of three terms ≥ 0, so that nothing cancels when p is near q.
    """
    away, wider = (mean - other_mean) / other_std, (std - other_std) / other_std
    # with r = σ/σ': −log r + ½(r² − 1) = (r − 1 − log r) + ½(r − 1)²
    return _divergence(other_std, std) / other_std + 0.5 * (wider * wider + away * away)


def log_likelihood(distribution: Distribution, samples: Tensor) -> Tensor:
    """ℓ = log p(X) = Σ_i log p(x_i) (…) of independent samples x (m, …).

    Source: lecture sections 2–5.
    """
    return distribution.log_prob(samples).sum(0)


def likelihood(distribution: Distribution, samples: Tensor) -> Tensor:
    """L = p(X) = Π_i p(x_i) (…) of independent samples x (m, …).

    Its maximum is that of its logarithm, but 324 factors of 0.1 are 0 in float64, 46 in float32.

    Source: lecture sections 3–5.
    """
    return distribution.log_prob(samples).exp().prod(0)


def fit_bernoulli(samples: Tensor) -> Bernoulli:
    """The Bernoulli distribution of maximum likelihood: p = the share of ones of x (m, …).

    Raises:
        InputError: no samples, or others than 0 and 1.
    """
    _check_samples(samples)
    if not ((samples == 0) | (samples == 1)).all():
        raise InputError("samples of a Bernoulli distribution must be 0 or 1.")
    return Bernoulli(samples.double().mean(0))


def fit_categorical(samples: Tensor, classes: int) -> Categorical:
    """The categorical distribution of maximum likelihood: the share of each class in x (m, …).

    Raises:
        InputError: no samples, or others than whole numbers from 0 to `classes` − 1.
    """
    _check_samples(samples)
    if samples.is_floating_point() or samples.min() < 0 or samples.max() >= classes:
        raise InputError(
            f"samples of a categorical distribution with classes={classes} must be whole "
            f"numbers from 0 to {classes - 1}."
        )
    return Categorical(one_hot(samples.long(), classes).double().mean(0))


def fit_gaussian(samples: Tensor) -> Normal:
    """The Gaussian of maximum likelihood: mean and standard deviation, divisor m, of x (m, …).

    Raises:
        InputError: no samples, or all equal: the likelihood then grows without end as σ → 0.
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
    """Bernoulli distributions of any real logit z (…): p = σ(z)."""
    return Bernoulli(logits=logit)


def categorical(logits: Tensor) -> Categorical:
    """Categorical distributions of any real logits z (…, K): p = softmax(z)."""
    return Categorical(logits=logits)


def gaussian(parameters: Tensor) -> Normal:
    """Gaussians of any real parameters (…, 2): the mean, and the logarithm of σ."""
    return Normal(parameters[..., 0], parameters[..., 1].exp(), validate_args=False)


class Descent(NamedTuple):
    """The result of gradient descent on a likelihood, and the way there."""

    distribution: Distribution
    """of the last parameters"""
    parameters: Tensor
    """θ before each step, and after the last (steps + 1, …)"""
    losses: Tensor
    """−1/m log-likelihood of each of them (steps + 1, …)"""


def fit_by_descent(
    family: Callable[[Tensor], Distribution],
    start: Tensor,
    samples: Tensor,
    rate: float = 0.5,
    steps: int = 1000,
) -> Descent:
    """Maximum likelihood by gradient descent θ ← θ − rate · ∇(−1/m Σ_i log p(x_i; θ)).

    Converges to the closed form, down to rounding, where the maximum is at a finite θ and `rate`
    below 2 over the largest curvature there: ¼ for a logit, ½ for logits, max(1/σ², 2) for
    `gaussian`.

    Args:
        family: unconstrained parameters → distribution: `bernoulli`, `categorical`, `gaussian`.
        start: θ at first, in the precision to compute in.
        samples: x (m, …).
        rate: length of a step by gradient.
        steps: how many.

    Raises:
        InputError: no samples, or a path that leaves the finite numbers.

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
    """p log(p/q) − p + q of each pair of numbers ≥ 0: itself ≥ 0, and 0 only for p = q."""

    generate_vmap_rule = True

    @staticmethod
    def forward(p: Tensor, q: Tensor) -> Tensor:
        difference = q - p
        s = difference / (p + q)
        # log(q/p) = 2 artanh s and q − p = 2ps + (q − p)s: the leading terms cancel on paper
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
"""|q − p|/(p + q) below which a series is better than logarithms, and its length."""


def _artanh_beyond_first(s: Tensor) -> Tensor:
    """artanh(s)/s − 1 = s²/3 + s⁴/5 + s⁶/7 + …, for |s| ≤ ½."""
    square, series = s * s, torch.zeros_like(s)
    for term in range(TERMS, 0, -1):
        series = square * (1 / (2 * term + 1) + series)
    return series


def _log_ratio(p: Tensor, q: Tensor) -> Tensor:
    """log(p/q), to a few ulp of itself also where p is near q; 0 for 0/0."""
    ratio, excess = p / q, (p - q) / q
    smallest = torch.finfo(ratio.dtype).tiny
    # a ratio that is no normal number is so far from 1 that a difference of logarithms will do
    normal = (ratio >= smallest) & ratio.isfinite()
    far = torch.where(normal, ratio.log(), p.log() - q.log())
    log = torch.where(excess.abs() < 0.5, excess.log1p(), far)
    return log.masked_fill((p == 0) & (q == 0), 0.0)


def _check_probabilities(**given: Tensor) -> None:
    """Shapes and types: that entries are ≥ 0 and sum to 1 is the caller's part."""
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
