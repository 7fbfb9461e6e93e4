"""Losses and dL/dz in many digits with mpmath, and distances in ulp: what exactness is held to."""

from __future__ import annotations

import math

import torch
from mpmath import mp, mpf

# enough digits that 1 − y is exact in the tails drawn here
mp.dps = 500
BITS = {torch.float64: (53, -1074), torch.float32: (24, -149)}


def ulps(got: float, true: mpf, dtype: torch.dtype) -> float:
    """|got − true| in units of the last place of `true` in `dtype`; subnormals included."""
    precision, smallest = BITS[dtype]
    true = mpf(true)
    if math.isnan(got):
        return math.inf
    exponent = smallest
    if true != 0:
        exponent = max(int(mp.floor(mp.log(abs(true), 2))) - precision + 1, smallest)
    return float(abs(mpf(got) - true) / mpf(2) ** exponent)


def distance(got: float, true: mpf, scale: mpf, dtype: torch.dtype) -> float:
    """In ulp of the truth, or of the scale if that is larger."""
    largest = torch.finfo(dtype).max
    if abs(true) > largest:
        return 0.0 if got == math.copysign(math.inf, true) else math.inf
    of_result = ulps(got, true, dtype)
    if scale <= abs(true):
        return of_result
    precision, smallest = BITS[dtype]
    place = [max(int(mp.floor(mp.log(x, 2))) - precision + 1, smallest) if x else smallest
             for x in (abs(true), scale)]  # fmt: skip
    return of_result * 2.0 ** (place[0] - place[1])


def reference(head: str, loss: str, z: list[float], t: list[float]) -> tuple[mpf, list[mpf]]:
    """The loss and its gradient, by the chain rule, literally."""
    z, t = [mpf(x) for x in z], [mpf(x) for x in t]
    y = predictions(head, z)
    pairs = list(zip(y, t, strict=True))
    if loss == "se":
        value, dy = sum((a - b) ** 2 for a, b in pairs) / 2, [a - b for a, b in pairs]
    elif loss == "bce":
        value = -sum(_times_log(b, a) + _times_log(1 - b, 1 - a) for a, b in pairs)
        dy = [_ratio(1 - b, 1 - a) - _ratio(b, a) for a, b in pairs]
    else:
        value, dy = -sum(_times_log(b, a) for a, b in pairs), [-_ratio(b, a) for a, b in pairs]
    if head == "softmax":
        shared = sum(a * b for a, b in zip(y, dy, strict=True))
        return value, [a * (b - shared) for a, b in zip(y, dy, strict=True)]
    slope = [a * (1 - a) if head == "sigmoid" else mpf(1) for a in y]
    return value, [a * b for a, b in zip(dy, slope, strict=True)]


def predictions(head: str, z: list[mpf]) -> list[mpf]:
    if head == "softmax":
        e = [mp.exp(x - max(z)) for x in z]
        return [x / sum(e) for x in e]
    return [1 / (1 + mp.exp(-x)) if head == "sigmoid" else x for x in z]


def _times_log(weight: mpf, x: mpf) -> mpf:
    return weight * mp.log(x) if weight else mpf(0)


def _ratio(weight: mpf, x: mpf) -> mpf:
    return weight / x if weight else mpf(0)
