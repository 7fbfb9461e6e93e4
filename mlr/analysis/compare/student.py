"""Tails of Student's t distribution, without scipy, whose import takes half a second.

p = P(|T| ≥ t) = Iₓ(ν/2, ½) at x = ν/(ν + t²), the regularized incomplete beta function, by its
continued fraction.

Source: NIST Digital Library of Mathematical Functions, 8.17.22; W. Lentz, "Generating Bessel
functions in Mie scattering calculations using continued fractions", Applied Optics 15 (1976).
"""

from __future__ import annotations

from math import lgamma

import numpy as np

_MOST_TERMS = 1000
_TINY = 1e-300
_PRECISION = 2 * float(np.finfo(np.float64).eps)


def two_sided_p(t: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Compute P(|T| ≥ t) (M,) for t ≥ 0 (M,) and degrees of freedom ν ≥ 1 (M,)."""
    a, b = freedom / 2, np.full(t.shape, 0.5)
    ratio = t**2 / freedom
    x, rest = 1 / (1 + ratio), ratio / (1 + ratio)
    sizes = np.array([lgamma(one) - lgamma(one + 0.5) + lgamma(0.5) for one in a.tolist()])
    with np.errstate(divide="ignore"):  # of t = 0: x^a (1 − x)^½ is 0
        scale = np.exp(-a * np.log1p(ratio) + 0.5 * np.log(rest) - sizes)
    # the fraction converges fast on this side, and the other tail is its complement
    near = x < (a + 1) / (a + b + 2)
    fraction = _fraction(np.where(near, x, rest), np.where(near, a, b), np.where(near, b, a))
    tail = scale * fraction / np.where(near, a, b)
    return np.where(near, tail, 1 - tail)


def _fraction(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute a B(a, b) Iₓ(a, b) / (xᵃ (1 − x)ᵇ) for x (M,) below (a + 1)/(a + b + 2)."""
    value, above, below = np.ones_like(x), np.ones_like(x), np.zeros_like(x)
    for term in range(1, _MOST_TERMS):
        m = term // 2
        if term % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        below = 1 / _away_from_zero(1 + d * below)
        above = _away_from_zero(1 + d / above)
        change = above * below
        value = value * change
        if (np.abs(change - 1) <= _PRECISION).all():
            break
    return 1 / value


def _away_from_zero(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < _TINY, _TINY, x)
