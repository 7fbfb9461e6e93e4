"""The further heads and losses in many digits, each by its definition and the chain rule.

Predictions come as pairs (y, 1 − y), both computed as such, so that tails need no digits.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from mpmath import mp, mpf

from tests.objectives.mp_reference import predictions

LOG_FLOOR = mpf(-100)
PIECEWISE = ("clipped_linear", "hard_sigmoid", "sparsemax", "entmax15")
"""Heads that reach 0 and 1, where logarithms are floored and have no gradient."""
SCALARS = {
    "focal": {"gamma": 2.0},
    "gce": {"q": 0.7},
    "smoothed_ce": {"epsilon": 0.1},
    "huber": {"delta": 1.0},
    "pinball": {"tau": 0.5},
    "expectile": {"tau": 0.5},
    "symmetric_ce": {"alpha": 0.1, "beta": 1.0, "log_zero": -4.0},
    "phuber_ce": {"tau": 10.0},
    "poly1": {"epsilon": 1.0},
    "asymmetric": {"gamma_present": 0.0, "gamma_absent": 4.0, "margin": 0.05},
    "tversky": {"alpha": 0.5, "beta": 0.5, "smooth": 1.0},
}
"""Defaults of the losses' scalars, by loss."""

Vector = list[mpf]
Chance = tuple[mpf, mpf]
Cost = Callable[[mpf, mpf], tuple[mpf, mpf]]
"""(p, 1 − p) → f(p), f'(p)."""


def reference(
    head: str, loss: str, z: list[float], t: list[float], **scalars: float
) -> tuple[mpf, Vector]:
    """The loss and its gradient dL/dz."""
    z, t = [mpf(x) for x in z], [mpf(x) for x in t]
    chances, jacobian = predicted(head, z)
    if loss == "matching":
        value = potential(head, z) - sum(a * b for a, b in zip(t, z, strict=True))
        return value + constant(head, t), _errors(chances, t)
    if loss in ERRORS:
        scalar = next(iter({**SCALARS.get(loss, {"none": 1.0}), **scalars}.values()))
        pairs = [ERRORS[loss](d, mpf(scalar)) for d in _errors(chances, t)]
        value, dy = sum(a for a, _ in pairs), [b for _, b in pairs]
    elif loss in ("se", "mae", "hinge"):
        value, dy = {"se": _se, "mae": _mae, "hinge": _hinge}[loss](chances, t)
    else:
        floor = LOG_FLOOR if head in PIECEWISE else -mp.inf
        exact = {name: mpf(x) for name, x in {**SCALARS.get(loss, {}), **scalars}.items()}
        if loss == "tversky":
            value, dy = _tversky(chances, t, exact)
        elif loss == "asymmetric":
            value, dy = _asymmetric(chances, t, floor, exact)
        else:
            value, dy = _of_classes(loss, chances, t, floor, exact)
    return value, jacobian(dy)


def predicted(head: str, z: Vector) -> tuple[list[Chance], Callable[[Vector], Vector]]:
    """(y, 1 − y) of each output, and the product of the Jacobian dy/dz with a vector."""
    if head == "softmax":
        y = predictions(head, z)
        rest = [sum(y[:k]) + sum(y[k + 1 :]) for k in range(len(y))]
        return list(zip(y, rest, strict=True)), lambda dy: [
            a * sum(b * (own - other) for b, other in zip(y, dy, strict=True) if b is not a)
            for a, own in zip(y, dy, strict=True)
        ]
    if head == "sparsemax":
        y = [max(mpf(0), a - threshold(z)) for a in z]

        def jacobian(dy: Vector) -> Vector:
            mean = sum(b for a, b in zip(y, dy, strict=True) if a > 0) / sum(a > 0 for a in y)
            return [b - mean if a > 0 else mpf(0) for a, b in zip(y, dy, strict=True)]

        return [(a, 1 - a) for a in y], jacobian
    if head == "entmax15":
        s = _entmax_roots(z)
        y = [a * a for a in s]

        def jacobian(dy: Vector) -> Vector:
            return [
                sum(a * (mpf(j == k) - b / sum(s)) * dy[j] for j, b in enumerate(s))
                for k, a in enumerate(s)
            ]

        return [(a, sum(y[:k]) + sum(y[k + 1 :])) for k, a in enumerate(y)], jacobian
    found = [ELEMENTWISE[head](a) for a in z]
    slopes = [slope for _, slope in found]
    return [chance for chance, _ in found], lambda dy: [
        a * b for a, b in zip(slopes, dy, strict=True)
    ]


def threshold(z: Vector) -> mpf:
    """τ of sparsemax: the largest over all sizes of the support."""
    ordered = sorted(z, reverse=True)
    return max((sum(ordered[:n]) - 1) / n for n in range(1, len(z) + 1))


def _entmax_roots(z: Vector) -> Vector:
    """√y = max(0, z/2 − τ), τ the one root of a decreasing function between two bounds."""
    x = [a / 2 for a in z]
    ends = sorted({max(x) - 1, max(x), *(a for a in x if a > max(x) - 1)})
    # between neighbouring ends the support is the same and the function quadratic
    for low, high in pairwise(ends):
        inside = [a for a in x if a >= high]
        if sum((a - high) ** 2 for a in inside) <= 1:
            n, total, square = len(inside), sum(inside), sum(a * a for a in inside)
            tau = (total - mp.sqrt(max(mpf(0), total**2 - n * (square - 1)))) / n
            if tau >= low:
                return [max(mpf(0), a - tau) for a in x]
    raise AssertionError("no support fits")


def potential(head: str, z: Vector) -> mpf:
    """A(z), by its own formula."""
    if head == "sparsemax":
        y = [a for a, _ in predicted(head, z)[0]]
        return sum(a * b - a * a / 2 for a, b in zip(y, z, strict=True))
    if head == "entmax15":
        s = _entmax_roots(z)
        pairs = zip(s, z, strict=True)
        return sum(a * a * b for a, b in pairs) - mpf(4) / 3 * (sum(a**3 for a in s) - 1)
    return sum(POTENTIALS[head](a) for a in z)


def constant(head: str, t: Vector) -> mpf:
    """c(t), which each matching loss adds so that it is nowhere negative for hard targets."""
    by_head = {
        "probit": lambda a: mpf(0),
        "coral": lambda a: mpf(0),
        "cloglog": lambda a: -mp.euler * a,
        "hard_sigmoid": lambda a: 3 * a * a - 3 * a,
        "sparsemax": lambda a: a * a / 2,
        "entmax15": lambda a: mpf(4) / 3 * mp.sqrt(a) ** 3,
    }
    of_all = -mpf(4) / 3 if head == "entmax15" else mpf(0)
    return sum(by_head[head](a) for a in t) + of_all


def _probit(z: mpf) -> tuple[Chance, mpf]:
    return (mp.erfc(-z / mp.sqrt(2)) / 2, mp.erfc(z / mp.sqrt(2)) / 2), mp.npdf(z)


def _cloglog(z: mpf) -> tuple[Chance, mpf]:
    rate = mp.exp(z)
    return (-mp.expm1(-rate), mp.exp(-rate)), mp.exp(z - rate)


def _sigmoid(z: mpf) -> tuple[Chance, mpf]:
    y, rest = 1 / (1 + mp.exp(-z)), 1 / (1 + mp.exp(z))
    return (y, rest), y * rest


def _line(low: int, high: int) -> Callable[[mpf], tuple[Chance, mpf]]:
    def line(z: mpf) -> tuple[Chance, mpf]:
        inside = min(mpf(high), max(mpf(low), z))
        chance = (inside - low) / (high - low), (high - inside) / (high - low)
        return chance, mpf(inside == z) / (high - low)

    return line


ELEMENTWISE = {
    "linear": lambda z: ((z, 1 - z), mpf(1)),
    "sigmoid": _sigmoid,
    "coral": _sigmoid,
    "probit": _probit,
    "cloglog": _cloglog,
    "clipped_linear": _line(0, 1),
    "hard_sigmoid": _line(-3, 3),
}
POTENTIALS = {
    "coral": lambda z: mp.log1p(mp.exp(z)),
    "probit": lambda z: z * mp.erfc(-z / mp.sqrt(2)) / 2 + mp.npdf(z),
    "cloglog": lambda z: z + mp.euler + mp.e1(mp.exp(z)),
    "hard_sigmoid": lambda z: mpf(0) if z < -3 else (z if z > 3 else (z + 3) ** 2 / 12),
}


def _of_classes(
    loss: str, chances: list[Chance], t: Vector, floor: mpf, scalars: dict[str, mpf]
) -> tuple[mpf, Vector]:
    """Σ t f(y), and Σ (1 − t) f(1 − y) where an output stands for two classes."""
    if loss == "smoothed_ce":
        share = scalars["epsilon"]
        t = [(1 - share) * a + share / max(len(t), 2) for a in t]
    cost = _cost(loss, floor, scalars)
    both = loss == "bce" or len(t) == 1
    value, gradient = mpf(0), []
    for (y, rest), weight in zip(chances, t, strict=True):
        slope = mpf(0)
        if weight:
            found, slope = cost(y, rest)
            value, slope = value + weight * found, weight * slope
        if both and weight != 1:
            found, rise = cost(rest, y)
            value, slope = value + (1 - weight) * found, slope - (1 - weight) * rise
        gradient.append(slope)
    return value, gradient


def _cost(loss: str, floor: mpf, scalars: dict[str, mpf]) -> Cost:
    def cost(p: mpf, rest: mpf) -> tuple[mpf, mpf]:
        # log p by its complement where p is so near 1 that its own digits do not say
        log = mp.log1p(-rest) if rest < 0.5 else (mp.log(p) if p else floor)
        if log <= floor:
            log, slope = floor, mpf(0)
        else:
            slope = 1 / p
        if loss == "gce":
            q = scalars["q"]
            return -mp.expm1(q * log) / q, -mp.exp(q * log) * slope
        if loss == "focal":
            gamma = scalars["gamma"]
            weight = rest**gamma
            rise = gamma * weight / rest * log if slope and rest else mpf(0)
            return -weight * log, rise - weight * slope
        if loss == "symmetric_ce":
            # 1 − p and its slope −1, by −βA
            reverse = -scalars["beta"] * scalars["log_zero"]
            slope_of_all = -scalars["alpha"] * slope - reverse
            return reverse * rest - scalars["alpha"] * log, slope_of_all if slope else mpf(0)
        if loss == "poly1":
            first = scalars["epsilon"]
            return first * rest - log, -slope - first if slope else mpf(0)
        if loss == "phuber_ce" and p * scalars["tau"] <= 1:
            tau = scalars["tau"]
            return mp.log(tau) + (1 - tau * p), -tau if slope else mpf(0)
        return -log, -slope

    return cost


def _asymmetric(
    chances: list[Chance], t: Vector, floor: mpf, scalars: dict[str, mpf]
) -> tuple[mpf, Vector]:
    """Focal's cost of what is there, and what a number u = max(0, y − m) costs of what is not."""
    present = _cost("focal", floor, {"gamma": scalars["gamma_present"]})
    gamma, margin = scalars["gamma_absent"], scalars["margin"]
    value, gradient = mpf(0), []
    for (y, rest), weight in zip(chances, t, strict=True):
        slope = mpf(0)
        if weight:
            found, slope = present(y, rest)
            value, slope = value + weight * found, weight * slope
        beyond = max(mpf(0), y - margin)
        if weight != 1 and beyond:
            # focal's of 1 − u, but at y = 1, where no gradient is taken
            kept, held = rest + margin, floor != -mp.inf and rest == 0
            found, rise = _cost("focal", floor, {"gamma": gamma})(kept, beyond)
            value += (1 - weight) * found
            slope -= 0 if held else (1 - weight) * rise
        gradient.append(slope)
    return value, gradient


def _tversky(chances: list[Chance], t: Vector, scalars: dict[str, mpf]) -> tuple[mpf, Vector]:
    """1 − T, and −dT/dy_k by the rule of the quotient."""
    shared = sum(b * y for (y, _), b in zip(chances, t, strict=True)) + scalars["smooth"]
    extra = sum((1 - b) * y for (y, _), b in zip(chances, t, strict=True))
    missing = sum(b * rest for (_, rest), b in zip(chances, t, strict=True))
    off = scalars["alpha"] * extra + scalars["beta"] * missing
    slopes = []
    for b in t:
        rise = scalars["alpha"] * (1 - b) - scalars["beta"] * b
        slopes.append((rise * (shared + off) - off * (b + rise)) / (shared + off) ** 2)
    return off / (shared + off), slopes


def _se(chances: list[Chance], t: Vector) -> tuple[mpf, Vector]:
    d = _errors(chances, t)
    return sum(a * a for a in d) / 2, d


def _mae(chances: list[Chance], t: Vector) -> tuple[mpf, Vector]:
    d = _errors(chances, t)
    return sum(abs(a) for a in d), [mp.sign(a) for a in d]


def _hinge(chances: list[Chance], t: Vector) -> tuple[mpf, Vector]:
    value, slope = mpf(0), []
    for (y, rest), b in zip(chances, t, strict=True):
        # 1 + f = 2y and 1 − f = 2(1 − y), f = 2y − 1
        value += b * max(mpf(0), 2 * rest) + (1 - b) * max(mpf(0), 2 * y)
        slope.append(2 * ((1 - b) * (y > 0) - b * (rest > 0)))
    return value, slope


def _huber(d: mpf, delta: mpf) -> tuple[mpf, mpf]:
    if abs(d) <= delta:
        return d * d / 2, d
    return delta * (abs(d) - delta / 2), delta * mp.sign(d)


def _log_cosh(d: mpf, _: mpf) -> tuple[mpf, mpf]:
    # mpmath's cosh of large numbers has more digits than fit
    size = abs(d)
    value = size + mp.log1p(mp.exp(-2 * size)) - mp.log(2) if size > 1 else mp.log(mp.cosh(d))
    return value, mp.tanh(d)


def _pinball(d: mpf, tau: mpf) -> tuple[mpf, mpf]:
    weight = 1 - tau if d > 0 else tau
    return weight * abs(d), weight * mp.sign(d)


def _expectile(d: mpf, tau: mpf) -> tuple[mpf, mpf]:
    weight = 1 - tau if d > 0 else tau
    return weight * d * d, 2 * weight * d


ERRORS = {"huber": _huber, "log_cosh": _log_cosh, "pinball": _pinball, "expectile": _expectile}
"""ρ and ρ' of the error d and the loss's scalar."""


def _errors(chances: list[Chance], t: Vector) -> Vector:
    """y − t."""
    return [(1 - b) * y - b * rest for (y, rest), b in zip(chances, t, strict=True)]
