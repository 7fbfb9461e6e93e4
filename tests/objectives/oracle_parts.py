"""The oracle's further heads and losses, each by its definition."""

from __future__ import annotations

from collections.abc import Callable

import gmpy2
from gmpy2 import mpfr

from tests.objectives.oracle_base import (
    FARTHEST,
    LOG_FLOOR,
    Numbers,
    Outputs,
)

FAR = 300
"""|z| from which the probit's tail is its asymptotic series."""
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


def hard_sigmoid(z: Numbers) -> Outputs:
    """y = (z + 3)/6 on [−3, 3], where the derivative is 1/6, ends included; 0 outside."""
    inside = [min(max(x, mpfr(-3)), mpfr(3)) for x in z]
    y, rest = [(x + 3) / 6 for x in inside], [(3 - x) / 6 for x in inside]
    slopes = [mpfr(a == b) / 6 for a, b in zip(z, inside, strict=True)]
    return _piecewise(y, rest, lambda g: [a * b for a, b in zip(g, slopes, strict=True)])


def sparsemax(z: Numbers) -> Outputs:
    """y_k = max(0, z_k − τ), Σ y = 1: (1 + Σ_S (z_k − z_j))/|S| in the support S."""
    ordered = sorted(z, reverse=True)
    sums = [(n, sum(ordered[n - 1] - x for x in ordered[:n])) for n in range(1, len(z) + 1)]
    size = max(n for n, gap in sums if 1 + gap > 0)
    support = ordered[:size]
    y = [max(1 + sum(x - b for b in support), mpfr(0)) / size for x in z]
    rest = [sum(a for j, a in enumerate(y) if j != k) for k in range(len(z))]

    def back(g: Numbers) -> Numbers:
        mean = sum(b for a, b in zip(y, g, strict=True) if a > 0) / size
        return [b - mean if a > 0 else mpfr(0) for a, b in zip(y, g, strict=True)]

    def largest(sizes: Numbers) -> Numbers:
        shared = max(b for a, b in zip(y, sizes, strict=True) if a > 0) / size
        return [max(b, shared) if a > 0 else mpfr(0) for a, b in zip(y, sizes, strict=True)]

    return _piecewise(y, rest, back, largest)


def entmax15(z: Numbers) -> Outputs:
    """y_k = max(0, z_k/2 − τ)², Σ y = 1."""
    roots = _entmax_roots(z)[0]
    y, whole = [s * s for s in roots], sum(roots)
    rest = [sum(a for j, a in enumerate(y) if j != k) for k in range(len(z))]

    def back(g: Numbers) -> Numbers:
        mean = sum(s * a for s, a in zip(roots, g, strict=True)) / whole
        return [s * (a - mean) for s, a in zip(roots, g, strict=True)]

    def largest(sizes: Numbers) -> Numbers:
        products = [s * a for s, a in zip(roots, sizes, strict=True)]
        return [max(p, s * max(products) / whole) for s, p in zip(roots, products, strict=True)]

    return _piecewise(y, rest, back, largest)


def _entmax_roots(z: Numbers) -> tuple[Numbers, mpfr]:
    """√y and τ: of each possible support the root of a quadratic, the consistent one."""
    ordered = sorted(z, reverse=True)
    x = [(a - ordered[0]) / 2 for a in ordered]
    for n in range(1, len(z) + 1):
        mean = sum(x[:n]) / n
        spread = sum((a - mean) ** 2 for a in x[:n])
        if spread > 1:
            continue
        tau = mean - gmpy2.sqrt((1 - spread) / n)
        if x[n - 1] > tau and (n == len(z) or x[n] <= tau):
            return [max((a - ordered[0]) / 2 - tau, mpfr(0)) for a in z], tau
    raise AssertionError("no support fits")


def entmax15_matching(z: Numbers, t: Numbers) -> Numbers:
    """⟨y − t, z⟩ − Ω(y) + Ω(t), Ω(p) = (4/3)(Σ p^1.5 − 1), for Σ t = 1, and y − t."""
    out, top, roots = entmax15(z), max(z), _entmax_roots(z)[0]
    d = out.errors(t)
    value = sum(e * (x - top) for e, x in zip(d, z, strict=True))
    value += (sum(c * gmpy2.sqrt(c) for c in t) - sum(s**3 for s in roots)) * 4 / 3
    return [value, *d]


def probit(z: Numbers) -> Outputs:
    """y = Φ(z)."""
    tails, hazards = zip(*(_tail(abs(x)) for x in z), strict=True)
    y = [1 - p if x > 0 else p for p, x in zip(tails, z, strict=True)]
    rest = [p if x > 0 else 1 - p for p, x in zip(tails, z, strict=True)]
    half = gmpy2.log(2 * gmpy2.const_pi()) / 2

    def log_below(k: int, x: mpfr) -> mpfr:
        # log Φ(x): of the tail φ/h for x < 0, of what the tail leaves for x > 0
        if x > 0:
            return gmpy2.log1p(-tails[k])
        return -x * x / 2 - half - gmpy2.log(hazards[k])

    return Outputs(
        y,
        rest,
        lambda k: log_below(k, z[k]),
        lambda k: log_below(k, -z[k]),
        lambda g: [d * p * h for d, p, h in zip(g, tails, hazards, strict=True)],
    )


def cloglog(z: Numbers) -> Outputs:
    """y = 1 − exp(−e^z)."""
    rates = [gmpy2.exp(min(max(x, mpfr(-FARTHEST)), mpfr(10**4))) for x in z]
    held = [min(rate, mpfr(FARTHEST)) for rate in rates]
    y, rest = [-gmpy2.expm1(-a) for a in held], [gmpy2.exp(-a) for a in held]
    return Outputs(
        y,
        rest,
        lambda k: gmpy2.log1p(-rest[k]) if held[k] > 1 else z[k] + gmpy2.log(y[k] / held[k]),
        lambda k: -rates[k],
        lambda g: [d * a * b for d, a, b in zip(g, rates, rest, strict=True)],
    )


def mae(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """Σ |y_k − t_k|."""
    d = out.errors(t)
    return sum(abs(x) for x in d), [mpfr(gmpy2.sign(x)) for x in d]


def hinge(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """2 Σ t_k max(0, 1 − y_k) + (1 − t_k) max(0, y_k)."""
    value, g = mpfr(0), []
    for y, rest, c in zip(out.y, out.rest, t, strict=True):
        value += 2 * (c * max(rest, mpfr(0)) + (1 - c) * max(y, mpfr(0)))
        g.append(2 * ((1 - c) * (y > 0) - c * (rest > 0)))
    return value, g


def focal(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """−Σ t_k (1 − y_k)^γ log y_k."""
    gamma = mpfr(SCALARS["focal"]["gamma"])

    def cost(p: mpfr, rest: mpfr, log: mpfr, slope: mpfr) -> tuple[mpfr, mpfr]:
        if not slope or not rest:
            return -(rest**gamma) * log, mpfr(0)
        return -(rest**gamma) * log, rest ** (gamma - 1) * (gamma * log - rest * slope)

    return _of_classes(cost, out, t)


def gce(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """Σ t_k (1 − y_k^q)/q."""
    q = mpfr(SCALARS["gce"]["q"])

    def cost(p: mpfr, rest: mpfr, log: mpfr, slope: mpfr) -> tuple[mpfr, mpfr]:
        return -gmpy2.expm1(q * log) / q, -gmpy2.exp(q * log) * slope

    return _of_classes(cost, out, t)


def smoothed_ce(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """−Σ t'_k log y_k, t' = (1 − ε)t + ε/K."""
    return _of_classes(lambda p, rest, log, slope: (-log, -slope), out, smoothed(t))


def smoothed(t: Numbers) -> Numbers:
    """(1 − ε)t + ε/K."""
    share = mpfr(SCALARS["smoothed_ce"]["epsilon"])
    return [(1 - share) * c + share / max(len(t), 2) for c in t]


def symmetric_ce(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """Σ t_k [−α log y_k − βA(1 − y_k)]."""
    alpha, beta, log_zero = (mpfr(x) for x in SCALARS["symmetric_ce"].values())

    def cost(p: mpfr, rest: mpfr, log: mpfr, slope: mpfr) -> tuple[mpfr, mpfr]:
        rise = beta * log_zero - alpha * slope if slope else mpfr(0)
        return -alpha * log - beta * log_zero * rest, rise

    return _of_classes(cost, out, t)


def phuber_ce(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """Σ t_k f(y_k), f a straight line of slope −τ below 1/τ."""
    tau = mpfr(SCALARS["phuber_ce"]["tau"])

    def cost(p: mpfr, rest: mpfr, log: mpfr, slope: mpfr) -> tuple[mpfr, mpfr]:
        if p > 1 / tau:
            return -log, -slope
        return 1 + gmpy2.log(tau) - tau * p, -tau if slope else mpfr(0)

    return _of_classes(cost, out, t)


def poly1(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """Σ t_k [−log y_k + ε(1 − y_k)]."""
    epsilon = mpfr(SCALARS["poly1"]["epsilon"])

    def cost(p: mpfr, rest: mpfr, log: mpfr, slope: mpfr) -> tuple[mpfr, mpfr]:
        return -log + epsilon * rest, -slope - epsilon if slope else mpfr(0)

    return _of_classes(cost, out, t)


def asymmetric(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """Σ −t(1 − y)^γ₊ log y − (1 − t)u^γ₋ log(1 − u), u = max(0, y − m)."""
    gamma_present, gamma_absent, margin = (mpfr(x) for x in SCALARS["asymmetric"].values())
    value, g = mpfr(0), []
    for k, (y, rest, c) in enumerate(zip(out.y, out.rest, t, strict=True)):
        slope = mpfr(0)
        if c:
            log, rise = out.log_y(k), out.slope_of_log(y)
            value -= c * rest**gamma_present * log
            if rise:
                of_power = gamma_present * rest ** (gamma_present - 1) * log if rest else mpfr(0)
                slope += c * (of_power - rest**gamma_present * rise)
        u = y - margin
        if c != 1 and u > 0:
            left = rest + margin
            log = gmpy2.log1p(-u) if u < 0.5 else gmpy2.log(left)
            value -= (1 - c) * u**gamma_absent * log
            if out.slope_of_log(rest):
                rise = u**gamma_absent / left - gamma_absent * u ** (gamma_absent - 1) * log
                slope += (1 - c) * rise
        g.append(slope)
    return value, g


def tversky(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """1 − (TP + s)/(TP + αFP + βFN + s)."""
    alpha, beta, smooth = (mpfr(x) for x in SCALARS["tversky"].values())
    sets = list(zip(out.y, out.rest, t, strict=True))
    off = sum(alpha * (1 - c) * y + beta * c * rest for y, rest, c in sets)
    top = sum(c * y for y, _, c in sets) + smooth
    whole = top + off
    # of (TP + s)/whole: c/whole − top·whole'/whole², whole' = c + α(1 − c) − βc
    return off / whole, [top * (c + alpha * (1 - c) - beta * c) / whole**2 - c / whole for c in t]


def probit_matching(z: Numbers, t: Numbers) -> Numbers:
    """Σ zΦ(z) + φ(z) − tz, and y − t."""
    value = mpfr(0)
    for x, c in zip(z, t, strict=True):
        tail, hazard = _tail(abs(x))
        # φ − |z| Φ(−|z|) ≥ 0, and what is asked for but not given
        value += tail * (hazard - abs(x)) + ((1 - c) * x if x > 0 else -c * x)
    return [value, *probit(z).errors(t)]


def cloglog_matching(z: Numbers, t: Numbers) -> Numbers:
    """Σ Ein(e^z) − tz − γt, Ein(x) = γ + log x + E₁(x), and y − t."""
    value, euler = mpfr(0), gmpy2.const_euler()
    for x, c in zip(z, t, strict=True):
        if x <= 0:
            value += _ein(gmpy2.exp(max(x, mpfr(-FARTHEST)))) - c * (x + euler)
        else:
            rate = gmpy2.exp(min(x, mpfr(13)))
            value += (1 - c) * (x + euler) - gmpy2.eint(-rate)
    return [value, *cloglog(z).errors(t)]


def hard_sigmoid_matching(z: Numbers, t: Numbers) -> Numbers:
    """Σ A(z) − tz + 3t² − 3t, A = 0, (z + 3)²/12, z on the three pieces, and y − t."""
    potential = [mpfr(0) if x < -3 else x if x > 3 else (x + 3) ** 2 / 12 for x in z]
    value = sum(a - c * x + 3 * c * c - 3 * c for a, x, c in zip(potential, z, t, strict=True))
    return [value, *hard_sigmoid(z).errors(t)]


def sparsemax_matching(z: Numbers, t: Numbers) -> Numbers:
    """⟨y − t, z⟩ − ½‖y‖² + ½‖t‖² for Σ t = 1, and y − t."""
    out, top = sparsemax(z), max(z)
    d = out.errors(t)
    value = sum(
        e * (x - top) - (a * a - c * c) / 2 for e, x, a, c in zip(d, z, out.y, t, strict=True)
    )
    return [value, *d]


def gaussian_nll(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """½ Σ (y_k − t_k)² + ½ log 2π: a Gaussian with σ = 1."""
    d = out.errors(t)
    constant = len(t) * gmpy2.log(2 * gmpy2.const_pi()) / 2
    return sum(x * x for x in d) / 2 + constant, d


def huber(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """Σ ½d² within δ, δ|d| − ½δ² beyond."""
    delta = mpfr(SCALARS["huber"]["delta"])
    d = out.errors(t)
    value = sum(x * x / 2 if abs(x) <= delta else delta * abs(x) - delta**2 / 2 for x in d)
    return value, [min(max(x, -delta), delta) for x in d]


def log_cosh(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """Σ log cosh d, by its half-angle form: log(1 + 2 sinh²(½d))."""
    d = [min(max(x, mpfr(-FARTHEST)), mpfr(FARTHEST)) for x in out.errors(t)]
    beyond = sum(abs(x) - abs(y) for x, y in zip(out.errors(t), d, strict=True))
    value = beyond + sum(gmpy2.log1p(2 * gmpy2.sinh(x / 2) ** 2) for x in d)
    return value, [gmpy2.tanh(x) for x in d]


def pinball(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """Σ max(−τd, (1 − τ)d)."""
    tau = mpfr(SCALARS["pinball"]["tau"])
    d = out.errors(t)
    slopes = [(1 - tau) * (x > 0) - tau * (x < 0) for x in d]
    return sum(max(-tau * x, (1 - tau) * x) for x in d), slopes


def expectile(out: Outputs, t: Numbers) -> tuple[mpfr, Numbers]:
    """Σ |τ − [d > 0]| d²."""
    tau = mpfr(SCALARS["expectile"]["tau"])
    d = out.errors(t)
    return (
        sum(abs(tau - (x > 0)) * x * x for x in d),
        [2 * abs(tau - (x > 0)) * x for x in d],
    )


HEADS = {f.__name__: f for f in (hard_sigmoid, sparsemax, entmax15, probit, cloglog)}
OF_ERROR = {f.__name__: f for f in (huber, log_cosh, pinball, expectile)}
LOSSES = OF_ERROR | {
    f.__name__: f
    for f in (
        *(gaussian_nll, mae, hinge, focal, gce, smoothed_ce),
        *(symmetric_ce, phuber_ce, poly1, asymmetric, tversky),
    )
}
MATCHING = {
    "probit": probit_matching,
    "cloglog": cloglog_matching,
    "hard_sigmoid": hard_sigmoid_matching,
    "sparsemax": sparsemax_matching,
    "entmax15": entmax15_matching,
}


def _tail(x: mpfr) -> tuple[mpfr, mpfr]:
    """Φ(−x) and φ(x)/Φ(−x) for x ≥ 0; far out a number in place of the tail, as good as 0."""
    if x <= FAR:
        tail = gmpy2.erfc(x / gmpy2.sqrt(mpfr(2))) / 2
        return tail, gmpy2.exp(-x * x / 2) / gmpy2.sqrt(2 * gmpy2.const_pi()) / tail
    # x Φ(−x)/φ(x) = 1 − 1/x² + 3/x⁴ − 15/x⁶ …
    term = total = mpfr(1)
    n = 1
    while abs(term) > gmpy2.div_2exp(mpfr(1), gmpy2.get_context().precision):
        term *= -(2 * n - 1) / (x * x)
        total += term
        n += 1
    return gmpy2.exp(mpfr(-FARTHEST)), x / total


def _ein(x: mpfr) -> mpfr:
    """Σ (−1)ⁿ⁺¹ xⁿ/(n n!) for 0 < x ≤ 1."""
    power, total, n = x, x, 1
    while abs(power) > gmpy2.div_2exp(x, gmpy2.get_context().precision):
        n += 1
        power *= -x / n
        total += power / n
    return total


def _piecewise(
    y: Numbers,
    rest: Numbers,
    back: Callable[[Numbers], Numbers],
    largest: Callable[[Numbers], Numbers] | None = None,
) -> Outputs:
    """Outputs that reach 0 and 1, where logarithms are floored."""

    def log(p: mpfr, other: mpfr) -> mpfr:
        return max(gmpy2.log1p(-other) if other < 0.5 else gmpy2.log(p), mpfr(LOG_FLOOR))

    return Outputs(
        y,
        rest,
        lambda k: log(y[k], rest[k]),
        lambda k: log(rest[k], y[k]),
        back,
        floored=True,
        largest=largest,
    )


def _of_classes(
    cost: Callable[[mpfr, mpfr, mpfr, mpfr], tuple[mpfr, mpfr]], out: Outputs, t: Numbers
) -> tuple[mpfr, Numbers]:
    """Σ t f(y), and Σ (1 − t) f(1 − y) of one output; `cost`: p, 1 − p, log p, (log p)' → f, f'."""
    value, g = mpfr(0), []
    for k, (y, rest, c) in enumerate(zip(out.y, out.rest, t, strict=True)):
        slope = mpfr(0)
        if c:
            found, slope = cost(y, rest, out.log_y(k), out.slope_of_log(y))
            value, slope = value + c * found, c * slope
        if len(t) == 1 and c != 1:
            found, rise = cost(rest, y, out.log_rest(k), out.slope_of_log(rest))
            value, slope = value + (1 - c) * found, slope - (1 - c) * rise
        g.append(slope)
    return value, g
