"""Distribution functions and quantiles of torch distributions that have none.

torch knows the inverse distribution function of few of its distributions. Here the function
itself is added where torch lacks it, and inverted by bisection, which needs no starting value and
ends at neighbouring numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import (
    Beta,
    Distribution,
    Gamma,
    Laplace,
    LogNormal,
    MixtureSameFamily,
    NegativeBinomial,
    Normal,
    Poisson,
    StudentT,
)

from mlr.core.checks import InputError, finite

HALVINGS = 200
FRACTION_STEPS = 400
"""Most steps of the continued fraction of the incomplete beta function."""
WIDENINGS = 1000


def quantile(distribution: Distribution, level: float) -> Tensor:
    """Return the quantile (…) of a level; of counts the least whole number that reaches it.

    Raises:
        InputError: `level` does not lie in (0, 1).
    """
    if not 0 < finite("level", level) < 1:
        raise InputError(f"level={level} must lie in (0, 1).")
    if isinstance(distribution, LogNormal):
        return quantile(distribution.base_dist, level).exp()
    if isinstance(distribution, (Normal, Laplace)):
        return distribution.icdf(torch.full_like(distribution.mean, level))
    is_count = isinstance(distribution, (Poisson, NegativeBinomial))
    double = _in_double(distribution)
    # parameters that are NaN, or overflow, have no quantile, and no search ends
    lost = ~(double.mean.isfinite() & double.stddev.isfinite())
    low, high = _around(double, level, is_count, lost)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if is_count:
            middle = middle.floor()
        inside = (middle > low) & (middle < high) & ~lost
        if not inside.any():
            break
        reached = cdf(double, middle) >= level
        high = torch.where(inside & reached, middle, high)
        low = torch.where(inside & ~reached, middle, low)
    return high.masked_fill(lost, float("nan")).to(distribution.mean.dtype)


def within(
    distribution: Distribution, value: Tensor, intervals: Sequence[tuple[float, float]]
) -> list[Tensor]:
    """Test which values (…) lie between the quantiles of two levels, ends included.

    Computed by the distribution function, which costs less than its inverse: q(a) ≤ t if
    a ≤ F(t), and t ≤ q(b) if F(t) ≤ b, or, of counts, if F(t − 1) < b.
    """
    double, t = _in_double(distribution), value.double()
    at = cdf(double, t)
    if isinstance(distribution, (Poisson, NegativeBinomial)):
        before = cdf(double, t - 1)
        return [(at >= low) & (before < high) for low, high in intervals]
    return [(at >= low) & (at <= high) for low, high in intervals]


def _around(
    distribution: Distribution, level: float, is_count: bool, lost: Tensor
) -> tuple[Tensor, Tensor]:
    """Return values (…) below and not below the quantile."""
    mean = distribution.mean
    if isinstance(distribution, Beta):
        return torch.zeros_like(mean), torch.ones_like(mean)
    is_bounded = is_count or isinstance(distribution, Gamma)
    # counts are bounded by −1, which is none
    low = torch.full_like(mean, -1.0 if is_count else 0.0) if is_bounded else mean
    high, width = mean + 1, distribution.stddev + 1
    for place in range(WIDENINGS):
        reached = cdf(distribution, high) >= level
        wide = reached if is_bounded else reached & (cdf(distribution, low) < level)
        if (wide | lost).all():
            break
        high = torch.where(reached, high, high + width * 2.0**place)
        low = low if is_bounded else torch.where(wide, low, low - width * 2.0**place)
    return (low, high.floor() + 1) if is_count else (low, high)


def cdf(distribution: Distribution, value: Tensor) -> Tensor:
    """Return the probability (…) of at most `value` (…)."""
    if isinstance(distribution, Poisson):
        count = value.floor()
        return torch.special.gammaincc(count.clamp(min=0) + 1, distribution.rate).where(
            count >= 0, 0.0
        )
    if isinstance(distribution, NegativeBinomial):
        count = value.floor()
        failure = torch.sigmoid(-distribution.logits)
        found = incomplete_beta(distribution.total_count, count.clamp(min=0) + 1, failure)
        return found.where(count >= 0, 0.0)
    if isinstance(distribution, StudentT):
        r = (value - distribution.loc) / distribution.scale
        half, one = 0.5 * distribution.df, torch.full_like(r, 0.5)
        # of both tails beyond |r|, by the smaller of r² and ν, so that neither is lost in the sum
        middle = incomplete_beta(one, half, r * r / (distribution.df + r * r))
        tails = incomplete_beta(half, one, distribution.df / (distribution.df + r * r))
        tail = 0.5 * torch.where(r * r < distribution.df, 1 - middle, tails)
        return torch.where(r < 0, tail, 1 - tail)
    if isinstance(distribution, Beta):
        a, b = distribution.concentration1, distribution.concentration0
        return incomplete_beta(a, b, value)
    return distribution.cdf(value)


def incomplete_beta(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """Return the regularised incomplete beta function I_x(a, b) (…), by its continued fraction.

    Source: NIST Digital Library of Mathematical Functions, 8.17.22.
    """
    a, b, x = torch.broadcast_tensors(a, b, x)
    # the fraction converges fast below the mean: above it, 1 − I_(1 − x)(b, a)
    is_high = x > (a + 1) / (a + b + 2)
    p, q = torch.where(is_high, b, a), torch.where(is_high, a, b)
    y = torch.where(is_high, 1 - x, x)
    front = p * y.log() + q * (-y).log1p() + (p + q).lgamma() - p.lgamma() - q.lgamma()
    lower = front.exp() / p
    tiny = torch.finfo(y.dtype).tiny
    c, d = torch.ones_like(y), 1 / _away(1 - (p + q) * y / (p + 1), tiny)
    total = d
    for m in range(1, FRACTION_STEPS):
        even = m * (q - m) * y / ((p + 2 * m - 1) * (p + 2 * m))
        d, c = 1 / _away(1 + even * d, tiny), _away(1 + even / c, tiny)
        total = total * c * d
        odd = -(p + m) * (p + q + m) * y / ((p + 2 * m) * (p + 2 * m + 1))
        d, c = 1 / _away(1 + odd * d, tiny), _away(1 + odd / c, tiny)
        total = total * c * d
        if not ((c * d - 1).abs() > torch.finfo(y.dtype).eps).any():
            break
    found = (lower * total).masked_fill(y <= 0, 0.0)
    return torch.where(is_high, 1 - found, found)


def _away(value: Tensor, tiny: float) -> Tensor:
    """Return the value, or a tiny one in place of 0."""
    return value.where(value.abs() > tiny, tiny)


def _in_double(distribution: Distribution) -> Distribution:
    """Return the same distribution with parameters in float64."""
    if isinstance(distribution, MixtureSameFamily):
        parts = distribution.component_distribution
        mixing = type(distribution.mixture_distribution)(
            logits=distribution.mixture_distribution.logits.detach().double(), validate_args=False
        )
        return MixtureSameFamily(mixing, _in_double(parts), validate_args=False)
    place = ("loc", "scale")
    names = {
        Poisson: ("rate",), Gamma: ("concentration", "rate"),
        Normal: place, Laplace: place, LogNormal: place, StudentT: ("df", *place),
        Beta: ("concentration1", "concentration0"),
    }  # fmt: skip
    if isinstance(distribution, NegativeBinomial):
        counts = distribution.total_count.detach().double()
        logits = distribution.logits.detach().double()
        return NegativeBinomial(counts, logits=logits, validate_args=False)
    own = [getattr(distribution, name).detach().double() for name in names[type(distribution)]]
    family: Any = type(distribution)
    double: Distribution = family(*own, validate_args=False)
    return double
