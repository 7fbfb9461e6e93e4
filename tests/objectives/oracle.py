"""Losses and dL/dz to 50 digits, fast: the literal chain rule in gmpy2's binary numbers.

A head gives y, 1 − y, their logarithms and its Jacobian, a loss its value and dL/dy; what is
left to cancel is met by precision: each point is computed at growing numbers of bits until two
runs agree. `mp_reference` is the slow and simple witness that this one is right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import gmpy2
from gmpy2 import mpfr

from tests.objectives import oracle_parts as parts
from tests.objectives.oracle_base import FARTHEST, LOG_FLOOR, Numbers, Outputs

AGREEMENT = 170
"""Bits to which two runs must agree: 51 digits."""
BITS = (256, 320, 1536, 3072, 6144)
"""The precisions tried; the third holds 1 beside the smallest number to 51 digits and more."""
NOTHING = mpfr(2) ** -1300
"""Below it a number is 0 in every type: differences that vanish end here, and not before 1536
bits, as fewer make a 0 of what only the smallest numbers keep from it."""
TINY = 2.0**-60
"""Logits below it start with 1536 bits: in few, 1 + z is 1 however often that is repeated."""


PLAIN = ("se", "gaussian_nll", "mae", "hinge", "matching", *parts.OF_ERROR)
"""Losses of y − t, whose terms y and t may cancel; all others add up terms of one sign."""


def linear(z: Numbers) -> Outputs:
    """y = z."""
    return Outputs(z, [1 - x for x in z], _none, _none, lambda g: g)


def clipped_linear(z: Numbers) -> Outputs:
    """y = z on [0, 1], where the derivative is 1, ends included; 0 outside."""
    y = [min(max(x, mpfr(0)), mpfr(1)) for x in z]
    rest = [1 - x for x in y]
    return Outputs(
        y,
        rest,
        lambda k: max(gmpy2.log(y[k]), mpfr(LOG_FLOOR)),
        lambda k: max(gmpy2.log1p(-y[k]), mpfr(LOG_FLOOR)),
        lambda g: [d if a == b else mpfr(0) for d, a, b in zip(g, y, z, strict=True)],
        floored=True,
    )


def sigmoid(z: Numbers) -> Outputs:
    """y = σ(z), 1 − y = σ(−z)."""
    e = [gmpy2.exp(-min(abs(x), FARTHEST)) for x in z]
    small = [a / (1 + a) for a in e]
    large = [1 / (1 + a) for a in e]
    above = [x > 0 for x in z]
    y = [b if up else a for a, b, up in zip(small, large, above, strict=True)]
    rest = [a if up else b for a, b, up in zip(small, large, above, strict=True)]
    return Outputs(
        y,
        rest,
        lambda k: min(z[k], mpfr(0)) - gmpy2.log1p(e[k]),
        lambda k: -max(z[k], mpfr(0)) - gmpy2.log1p(e[k]),
        lambda g: [d * a * b for d, a, b in zip(g, y, rest, strict=True)],
    )


def softmax(z: Numbers) -> Outputs:
    """y_k = e^z_k / Σ_j e^z_j, 1 − y_k = Σ_{j≠k} y_j."""
    order = sorted(range(len(z)), key=z.__getitem__, reverse=True)
    first, second = order[0], order[1]
    e, away = [mpfr(1)] * len(z), mpfr(0)
    for nearer, farther in pairwise(order):
        away += min(z[nearer] - z[farther], FARTHEST)
        e[farther] = gmpy2.exp(-away)
    others = [sum(a for j, a in enumerate(e) if j != k) for k in range(len(z))]
    whole = 1 + others[first]
    y, rest = [a / whole for a in e], [a / whole for a in others]

    def log_y(k: int) -> mpfr:
        return (z[k] - z[first]) - gmpy2.log1p(others[first])

    def log_rest(k: int) -> mpfr:
        if k != first:
            return gmpy2.log1p(-y[k])
        # Σ of the others = e^z_second (1 + …), the whole gap kept
        return (z[second] - z[first]) + gmpy2.log(others[first] / e[second]) - gmpy2.log(whole)

    def back(g: Numbers) -> Numbers:
        # y_k(g_k − Σ_j y_j g_j) = y_k Σ_j y_j (g_k − g_j)
        pairs = list(zip(y, g, strict=True))
        return [a * sum(b * (d - c) for b, c in pairs) for a, d in pairs]

    def largest_back(sizes: Numbers) -> Numbers:
        products = [a * b for a, b in zip(y, sizes, strict=True)]
        return [
            max([b * s * a, *(a * p for j, p in enumerate(products) if j != k)])
            for k, (a, b, s) in enumerate(zip(y, rest, sizes, strict=True))
        ]

    return Outputs(y, rest, log_y, log_rest, back, largest=largest_back)


def se(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """½ Σ (y_k − t_k)²."""
    d = out.errors(t)
    return sum(x * x for x in d) / 2, d


def bce(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """Σ −t_k log y_k − (1 − t_k) log(1 − y_k)."""
    value, g = mpfr(0), []
    for k, (a, b, c) in enumerate(zip(out.y, out.rest, t, strict=True)):
        value -= (c * out.log_y(k) if c else 0) + ((1 - c) * out.log_rest(k) if c != 1 else 0)
        g.append((1 - c) * out.slope_of_log(b) - c * out.slope_of_log(a))
    return value, g


def ce(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """−Σ t_k log y_k; one output stands for (1 − y, y)."""
    if len(t) == 1:
        return bce(out, t)
    value = -sum(c * out.log_y(k) for k, c in enumerate(t) if c)
    return value, [-c * out.slope_of_log(a) for a, c in zip(out.y, t, strict=True)]


def clipped_matching(z: Numbers, t: Numbers) -> Numbers:
    """A(z) − tz + ½t², A the integral of the clip, and y − t."""
    y = [min(max(x, mpfr(0)), mpfr(1)) for x in z]
    potential = [a * x - a * a / 2 for a, x in zip(y, z, strict=True)]
    value = sum(a - c * x + c * c / 2 for a, x, c in zip(potential, z, t, strict=True))
    return [value, *(a - c for a, c in zip(y, t, strict=True))]


def chained(head: Callable, loss: Callable, z: Numbers, t: Numbers) -> Numbers:
    """L and dL/dz."""
    out = head(z)
    value, g = loss(out, t)
    return [value, *out.back(g)]


HEADS = {f.__name__: f for f in (linear, clipped_linear, sigmoid, softmax)} | parts.HEADS
HEADS["coral"] = sigmoid
LOSSES = {f.__name__: f for f in (se, bce, ce)} | parts.LOSSES
MATCHING = {
    "linear": partial(chained, linear, se),
    "sigmoid": partial(chained, sigmoid, bce),
    "coral": partial(chained, sigmoid, bce),
    "softmax": partial(chained, softmax, ce),
    "clipped_linear": clipped_matching,
    **parts.MATCHING,
}


def truth(head: str, loss: str, z: list[float], t: list[float]) -> Numbers:
    """L and the K numbers of dL/dz of one example, to 50 digits."""
    before: Numbers = []
    for bits in BITS[2:] if any(0 < abs(x) < TINY for x in z) else BITS:
        now = computed_in(bits, head, loss, z, t)
        if before and all(_settled(a, b, bits) for a, b in zip(before, now, strict=True)):
            return now
        before = now
    raise AssertionError(f"{head} {loss} at z={z}, t={t} needs more than {BITS[-1]} bits")


def computed_in(bits: int, head: str, loss: str, z: list[float], t: list[float]) -> Numbers:
    """L and dL/dz in numbers of so many bits."""
    formula = MATCHING[head] if loss == "matching" else partial(chained, HEADS[head], LOSSES[loss])
    gmpy2.get_context().precision = bits
    return formula([mpfr(x) for x in z], [mpfr(x) for x in t])


def term_sizes(head: str, loss: str, bits: int, z: list[float], t: list[float]) -> Numbers:
    """The largest terms of L and of each dL/dz: what rounding is measured by where terms cancel.

    The terms of ∂L/∂y_k are those of its two hard targets, t_k times the one and 1 − t_k times
    the other; those of dL/dz_k = Σ_j ∂y_j/∂z_k ∂L/∂y_j are its products. The type has `bits`.
    """
    gmpy2.get_context().precision = BITS[0]
    out, t = HEADS[head]([mpfr(x) for x in z]), [mpfr(x) for x in t]
    errors = [max(abs((1 - c) * a), abs(c * b)) for a, b, c in zip(out.y, out.rest, t, strict=True)]
    # of y − t, whether it is called ce or matching
    is_error = loss == "matching" or (head, loss) == ("softmax", "ce")
    if is_error:
        of_outputs = errors
    else:
        literal = "ce" if loss == "smoothed_ce" else loss
        one, none = (LOSSES[literal](out, [mpfr(c)] * len(t))[1] for c in (1, 0))
        weights = parts.smoothed(t) if loss == "smoothed_ce" else t
        of_outputs = [
            max(abs(c * a), abs((1 - c) * b)) for a, b, c in zip(one, none, weights, strict=True)
        ]
    of_logits = of_outputs if is_error else out.largest_back(of_outputs)
    # an error y − t of 0 is off by some ulp of its terms, and its square by their square
    off = gmpy2.div_2exp(mpfr(1), bits - 2)
    squares = sum((abs(a) + b * off) * b for a, b in zip(out.errors(t), errors, strict=True))
    value = {"mae": sum(errors), "hinge": 2 * sum(errors)}.get(loss, squares)
    if loss in parts.OF_ERROR:  # what an error off by the rounding of its terms makes of ρ(d)
        slopes = LOSSES[loss](out, t)[1]
        value = sum((abs(a) + b * off) * b for a, b in zip(slopes, errors, strict=True))
    return [value if loss in PLAIN else mpfr(0), *of_logits]


def truths(
    head: str, loss: str, bits: int, rows: list[tuple[list[float], list[float]]]
) -> list[tuple[Numbers, Numbers]]:
    """Truth and sizes of the terms of many examples: the work of one process."""
    return [(truth(head, loss, z, t), term_sizes(head, loss, bits, z, t)) for z, t in rows]


def _settled(a: mpfr, b: mpfr, bits: int) -> bool:
    if bits >= BITS[2] and abs(b) < NOTHING:
        return True
    return b != 0 and abs(a - b) <= gmpy2.div_2exp(abs(b), AGREEMENT)


def _none(k: int) -> mpfr:
    raise AssertionError("no loss takes the logarithm of any real number")
