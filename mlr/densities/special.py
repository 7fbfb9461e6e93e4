"""Parts of likelihoods with gamma functions, in forms where nothing large cancels.

log Γ of a large number is large, and a likelihood is the small difference of several: here each
is split into its leading terms, which cancel on paper, and a small rest.

Source: Loader, Fast and accurate computation of binomial probabilities (2000); NIST Digital
    Library of Mathematical Functions, 5.11.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHIFT = 10
"""From here on Stirling's series is exact."""
STIRLING = (
    *(1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156),
    *(-3617 / 122400, 43867 / 244188),
)
"""Coefficients of x⁻¹, x⁻³, … of log Γ(x) − (x − ½) log x + x − ½ log 2π."""
NEAR = 0.5
"""|u| below which e^u − 1 − u and u − log(1 + u) are computed by series."""
TERMS = 17


def stirling(x: Tensor, log_x: Tensor | None = None) -> Tensor:
    """Return log Γ(x) − (x − ½) log x + x − ½ log 2π (…) of x > 0; `log_x` where x may be 0."""
    is_small, y, log_y, at, _, excess = _steps(x, log_x)
    # a step is h(y) = (y + ½) log(1 + 1/y) − 1 > 0, and all steps add up without cancelling
    first = torch.where(y < 1, (y + 0.5) * (y.log1p() - log_y) - 1, excess[0])
    steps = _added(first, excess[1:])
    return _series(torch.where(is_small, at[-1] + 1, x)) + steps.masked_fill(~is_small, 0.0)


def rate(x: Tensor, log_x: Tensor | None = None) -> Tensor:
    """Return ψ(x) − log x < 0 (…) of x > 0."""
    is_small, y, log_y, at, w, excess = _steps(x, log_x)
    # a step is 1/y − log(1 + 1/y) > 0
    own = w * (1 / at - 2 * excess)
    first = torch.where(y < 1, 1 / y - (y.log1p() - log_y), own[0])
    far = torch.where(is_small, at[-1] + 1, x)
    steps = _added(first, own[1:])
    return -0.5 / far + _series_of_rate(far) - steps.masked_fill(~is_small, 0.0)


def times_rest_of_rate(x: Tensor, log_x: Tensor) -> Tensor:
    """Return x(ψ(x) − log x) + ½ (…) of x ≥ 0: in (−½, 0), and about −1/12x far out."""
    is_small, y, log_y, at, w, excess = _steps(x, log_x)
    own = w * (1 / at - 2 * excess)
    # the first step is 1 − x log(1 + 1/x), and finite at 0
    first = torch.where(y < 1, 0.5 - y * (y.log1p() - log_y), y * own[0] - 0.5)
    far = torch.where(is_small, at[-1] + 1, x)
    low = first + y * (_added(torch.zeros_like(y), own[1:]) + 0.5 / far - _series_of_rate(far))
    return torch.where(is_small, -low, x.masked_fill(x.isinf(), 1.0) * _series_of_rate(far))


def _steps(
    x: Tensor, log_x: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The steps from a small x to Stirling's series.

    Returns:
        Where x is small; x there, else 1, and its logarithm (…); x + i for i < `SHIFT`,
        w = 1/(2(x + i) + 1) and h(x + i) (SHIFT, …), of use from 1 on.
    """
    log_x = x.log() if log_x is None else log_x
    is_small = x < SHIFT
    y, log_y = x.masked_fill(~is_small, 1.0), log_x.masked_fill(~is_small, 0.0)
    at = torch.stack([y + one for one in range(SHIFT)])
    # (y + ½) log(1 + 1/y) − 1 = w²/3 + w⁴/5 + …
    w = 1 / (2 * at + 1)
    squared = w * w
    total = torch.zeros_like(w)
    for n in range(2 * TERMS + 1, 1, -2):
        total = total * squared + 1 / n
    return is_small, y, log_y, at, w, squared * total


def _added(first: Tensor, others: Tensor) -> Tensor:
    # one by one: the order of a sum of torch depends on the layout in memory
    for one in others.unbind():
        first = first + one
    return first


def excess_of_exp(u: Tensor) -> Tensor:
    """Return e^u − 1 − u ≥ 0 (…)."""
    near = u.clamp(-NEAR, NEAR)
    total = torch.ones_like(near)
    for n in range(TERMS, 2, -1):
        total = 1 + near / n * total
    return torch.where(u.abs() < NEAR, 0.5 * near * near * total, u.expm1() - u)


def times_excess_of_exp(x: Tensor, log_x: Tensor, u: Tensor) -> Tensor:
    """Return x(e^u − 1 − u) ≥ 0 (…) of x ≥ 0, also where e^u alone is no number."""
    near, grown = x * excess_of_exp(u.clamp(max=1)), (log_x + u).exp()
    # xe^u is the larger, and may be infinite with x(1 + u)
    far = torch.where(grown.isinf(), grown, grown - x * (1 + u))
    return torch.where(u < 1, near, far)


def excess_of_log1p(x: Tensor, log1p: Tensor | None = None) -> Tensor:
    """Return x − log(1 + x) ≥ 0 (…) of x > −1; `log1p` is used where |x| is large, if given."""
    log1p = x.log1p() if log1p is None else log1p
    near = x.masked_fill(x.abs() >= NEAR, 0.0)
    return torch.where(x.abs() < NEAR, near * near * excess_over_square(near), x - log1p)


def excess_over_square(x: Tensor) -> Tensor:
    """Return (x − log(1 + x))/x² (…), which is ½ at 0, of |x| below `NEAR`."""
    # with w = x/(2 + x): log(1 + x) = 2(w + w³/3 + w⁵/5 + …), and x − 2w = xw
    w = x / (2 + x)
    squared = w * w
    total = torch.zeros_like(w)
    for n in range(2 * TERMS + 1, 1, -2):
        total = total * squared + 1 / n
    return (1 - 2 * total * w / (2 + x)) / (2 + x)


def _series(x: Tensor) -> Tensor:
    inverse = 1 / x
    squared = inverse * inverse
    total = torch.full_like(x, STIRLING[-1])
    for coefficient in STIRLING[-2::-1]:
        total = total * squared + coefficient
    return total * inverse


def _series_of_rate(x: Tensor) -> Tensor:
    """The derivative of `_series`."""
    inverse = 1 / x
    squared = inverse * inverse
    total = torch.zeros_like(x)
    for place in range(len(STIRLING) - 1, -1, -1):
        total = total * squared - (2 * place + 1) * STIRLING[place]
    return total * squared
