"""Likelihoods against many digits: values and gradients, wherever the logits and targets lie.

The scale of a distance is the largest of the number itself, of 1 for a value, and of what one ulp
of a logit or of a target makes of it: its derivative times their size.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable

import pytest
import torch
from mpmath import mp, mpf

from mlr.core.checks import InputError
from mlr.heads import HEADS, MixtureOfGaussians, Quantiles
from mlr.losses import BetaNll
from mlr.objectives import Objective, check_pair

DTYPES = (torch.float64, torch.float32)
BOUND = 16
"""ulp"""
PER_TARGET = {head.name: head.range.per_target for head in HEADS}


def negative_binomial(t: mpf, a: mpf, b: mpf) -> mpf:
    size, odds = mp.exp(b), mp.exp(a - b)
    counts = mp.loggamma(t + size) - mp.loggamma(size) - mp.loggamma(t + 1)
    return size * mp.log1p(odds) + t * mp.log1p(1 / odds) - counts


def student(t: mpf, m: mpf, s: mpf, n: mpf) -> mpf:
    freedom, r = 2 + mp.exp(n), (t - m) * mp.exp(-s)
    constant = mp.loggamma(freedom / 2) - mp.loggamma((freedom + 1) / 2)
    constant += mp.log(freedom * mp.pi) / 2 + s
    return constant + (freedom + 1) / 2 * mp.log1p(r * r / freedom)


def gamma(t: mpf, a: mpf, b: mpf) -> mpf:
    shape = mp.exp(b)
    return mp.loggamma(shape) - shape * (b - a) - (shape - 1) * mp.log(t) + shape * t / mp.exp(a)


def beta(t: mpf, a: mpf, b: mpf) -> mpf:
    one, two = mp.exp(b) / (1 + mp.exp(-a)), mp.exp(b) / (1 + mp.exp(a))
    constant = mp.loggamma(one) + mp.loggamma(two) - mp.loggamma(one + two)
    return constant - (one - 1) * mp.log(t) - (two - 1) * mp.log1p(-t)


def mixture(t: mpf, *z: mpf) -> mpf:
    count = len(z) // 3
    parts = list(zip(z[:count], z[count : 2 * count], z[2 * count :], strict=True))
    density = sum(mp.exp(a - ((t - m) * mp.exp(-s)) ** 2 / 2 - s) for a, m, s in parts)
    whole = sum(mp.exp(a) for a in z[:count])
    return mp.log(whole) - mp.log(density) + mp.log(2 * mp.pi) / 2


def gaussian(t: mpf, m: mpf, s: mpf) -> mpf:
    return ((t - m) * mp.exp(-s)) ** 2 / 2 + s + mp.log(2 * mp.pi) / 2


TRUE: dict[str, Callable[..., mpf]] = {
    "poisson": lambda t, z: mp.exp(z) - t * z + mp.loggamma(t + 1),
    "negative_binomial": negative_binomial,
    "laplace": lambda t, m, s: abs(t - m) * mp.exp(-s) + s + mp.log(2),
    "student_t": student,
    "gamma": gamma,
    "log_normal": lambda t, m, s: gaussian(mp.log(t), m, s) + mp.log(t),
    "beta": beta,
    "mdn": mixture,
}
"""−log p of a target and its logits, literally."""
COUNTED = ("poisson", "negative_binomial")
SEEN = {
    "poisson": lambda t: math.log(t + 0.5),
    "negative_binomial": lambda t: math.log(t + 0.5),
    "gamma": math.log,
    "log_normal": math.log,
    "beta": lambda t: math.log(t) - math.log1p(-t),
}
"""The first logit that fits a target; of all others the target itself."""


def target(name: str, rng: random.Random) -> float:
    if name in COUNTED:
        return float(rng.choice([0, 0, 1, 2, 3, rng.randrange(50), int(10 ** rng.uniform(0, 6))]))
    if name in ("gamma", "log_normal"):
        return 10 ** rng.uniform(-4, 4)
    if name == "beta":
        return rng.choice(
            [rng.random(), 10 ** rng.uniform(-6, -1), 1 - 0.5 ** rng.randrange(1, 20)]
        )
    return rng.gauss(0, 1) * 10 ** rng.uniform(-2, 4)


def logits(name: str, t: float, rng: random.Random) -> list[float]:
    near = SEEN.get(name, lambda t: t)(t) + rng.gauss(0, 1) * 10 ** rng.uniform(-6, 0.3)
    first = near if rng.random() < 0.5 else rng.gauss(0, 6)
    others = [
        rng.choice([rng.gauss(0, 2), rng.uniform(-12, 12), rng.uniform(-30, 30)])
        for _ in range(PER_TARGET[name] - 1)
    ]
    if name == "mdn":  # the logit that fits is the first mean
        others[2], first = first, rng.gauss(0, 3)
        others[-3:] = [rng.gauss(0, 2) for _ in range(3)]
    return [first, *others]


def scale(formula: Callable, at: list[mpf], place: int, true: mpf) -> mpf:
    """The largest of dL/dz and what one ulp of the target or of a logit makes of it."""
    sizes = [abs(true)]
    for other in range(len(at)):
        order = [0] * len(at)
        order[other] += 1
        order[place] += 1
        sizes.append(abs(mp.diff(formula, tuple(at), tuple(order)) * max(1, abs(at[other]))))
    return max(sizes)


def compared(name: str, dtype: torch.dtype, count: int) -> None:
    rng, eps = random.Random(name), torch.finfo(dtype).eps
    rows = [target(name, rng) for _ in range(count)]
    t = torch.tensor(rows, dtype=torch.float64).unsqueeze(1).to(dtype)
    z = torch.tensor([logits(name, one, rng) for one in t[:, 0].tolist()]).to(dtype)
    objective, formula = Objective(name, "nll"), TRUE[name]
    values, slopes = objective.losses(z, t).tolist(), objective.gradient(z, t).tolist()
    with mp.workdps(60):
        for row in range(count):
            at = [mpf(t[row].item()), *map(mpf, z[row].tolist())]
            true = formula(*at)
            gradient = [
                mp.diff(formula, tuple(at), tuple(int(i == k) for i in range(len(at))))
                for k in range(len(at))
            ]
            terms = [abs(a * b) for a, b in zip(at, gradient, strict=True)]
            off = abs(mpf(values[row]) - true) / max(1, abs(true), *terms)
            assert off <= BOUND * eps, (at, values[row], float(true))
            for k, (got, exact) in enumerate(zip(slopes[row], gradient[1:], strict=True), start=1):
                wrong = abs(mpf(got) - exact)
                if wrong > 8 * eps * abs(exact):
                    assert wrong <= BOUND * eps * scale(formula, at, k, exact), (at, k, got)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TRUE)
def test_value_and_gradient(name, dtype):
    compared(name, dtype, 8 if name == "mdn" else 30)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TRUE)
def test_value_and_gradient_of_many_points(name, dtype):
    compared(name, dtype, 40 if name == "mdn" else 400)


def test_every_head_of_a_density_is_tested():
    able = {head.name for head in HEADS if legal(head.name, "nll")}
    assert able == {*TRUE, "gaussian"}


def legal(head: str, loss: str) -> bool:
    try:
        check_pair(head, loss, None)
    except InputError:
        return False
    return True


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*TRUE, "quantiles"])
@pytest.mark.parametrize("size", [40.0, 90.0, 800.0, 1e4])
def test_extreme_logits_are_no_nan(name, dtype, size):
    """Infinite where the truth is beyond the numbers, and NaN nowhere."""
    count = PER_TARGET[name]
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * min(count, 3))
    z = signs.reshape(len(signs), -1).repeat(1, -(-count // 3))[:, :count] * size
    objective = Objective(name, "quantile_score" if name == "quantiles" else "nll")
    for value in (
        (0.25, 0.75) if name == "beta" else (1.0, 7.0) if name == "gamma" else (1.0, 3.0, 7.0)
    ):
        t = torch.full((len(z), 1), value)
        losses = objective.losses(z.to(dtype), t.to(dtype))
        assert not losses.isnan().any(), z[losses.isnan()]
        gradient = objective.gradient(z.to(dtype), t.to(dtype))
        assert not gradient.isnan().any(), z[gradient.isnan().any(1)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_negative_binomial_of_a_large_size_is_a_poisson(dtype):
    t = torch.tensor([[0.0], [1.0], [5.0], [400.0]], dtype=dtype)
    z = torch.tensor([[0.3], [0.1], [1.5], [6.0]], dtype=dtype)
    large = torch.cat([z, torch.full_like(z, 60.0)], -1)
    poisson, both = Objective("poisson", "nll"), Objective("negative_binomial", "nll")
    torch.testing.assert_close(both.losses(large, t), poisson.losses(z, t))
    torch.testing.assert_close(both.gradient(large, t)[:, :1], poisson.gradient(z, t))


def test_a_student_of_many_degrees_is_a_gaussian():
    z = torch.tensor([[0.3, -0.2], [2.0, 0.5]], dtype=torch.float64)
    t = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    many = torch.cat([z, torch.full((2, 1), 36.0).double()], -1)
    student_t, plain = Objective("student_t", "nll"), Objective("gaussian", "nll")
    torch.testing.assert_close(student_t.losses(many, t), plain.losses(z, t))
    torch.testing.assert_close(student_t.gradient(many, t)[:, :2], plain.gradient(z, t))


def test_one_component_is_a_gaussian():
    z = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).double()
    t = z.flip(0)[:, :1]
    one = Objective(MixtureOfGaussians(1), "nll")
    with_weight = torch.cat([torch.zeros(20, 1).double(), z], -1)
    plain = Objective("gaussian", "gaussian_nll")
    torch.testing.assert_close(one.losses(with_weight, t), plain.losses(z, t))
    torch.testing.assert_close(one.gradient(with_weight, t)[:, 1:], plain.gradient(z, t))


def test_nll_of_a_gaussian_is_gaussian_nll():
    assert Objective("gaussian", "nll").kernel is Objective("gaussian", "gaussian_nll").kernel


@pytest.mark.parametrize("beta", [0.0, 0.25, 0.5, 1.0])
def test_beta_nll_weighs_the_gradient_of_the_likelihood(beta):
    z = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)).double()
    t = z[:, :2].flip(0)
    # one target at a time, for each has its own weight
    found = Objective("gaussian", BetaNll(beta)).gradient(z, t)
    plain = Objective("gaussian", "gaussian_nll").gradient(z, t)
    weight = (2 * beta * z[:, 2:]).exp().repeat(1, 2)
    torch.testing.assert_close(found, weight * plain)
    if beta == 1:
        torch.testing.assert_close(found[:, :2], z[:, :2] - t)


def test_beta_nll_is_that_of_its_authors():
    """Written as in their section 3: the detached variance to the power of β, times the loss."""
    z = torch.randn(30, 2, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    t = torch.randn(30, 1, generator=torch.Generator().manual_seed(2)).double()
    mean, variance = z[:, :1], (2 * z[:, 1:]).exp()
    theirs = torch.nn.functional.gaussian_nll_loss(mean, t, variance, full=True, reduction="none")
    theirs = (theirs * variance.detach() ** 0.5).sum(-1)
    objective = Objective("gaussian", "beta_nll")
    torch.testing.assert_close(objective.losses(z, t), theirs.detach())
    expected = torch.autograd.grad(theirs.sum(), z)[0]
    torch.testing.assert_close(objective.gradient(z.detach(), t), expected)


@pytest.mark.parametrize("levels", [(0.5,), (0.1, 0.5, 0.9), (0.05, 0.3, 0.6, 0.95)])
def test_the_quantile_score_is_the_sum_of_sklearns_pinball_losses(levels):
    from sklearn.metrics import mean_pinball_loss

    head = Quantiles(levels)
    z = torch.randn(50, len(levels), generator=torch.Generator().manual_seed(0)).double()
    t = torch.randn(50, 1, generator=torch.Generator().manual_seed(1)).double()
    quantiles = head.parts(head(z))
    theirs = sum(
        mean_pinball_loss(t.numpy(), q.numpy(), alpha=level)
        for level, q in zip(levels, quantiles, strict=True)
    )
    objective = Objective(head, "quantile_score")
    assert objective.losses(z, t).mean().item() == pytest.approx(theirs, rel=1e-12)


def test_poisson_and_negative_binomial_are_torchs_where_it_keeps_its_digits():
    z = torch.tensor([[0.5], [1.5]], dtype=torch.float64)
    t = torch.tensor([[2.0], [7.0]], dtype=torch.float64)
    theirs = torch.nn.functional.poisson_nll_loss(z, t, reduction="none")[:, 0]
    found = Objective("poisson", "nll").losses(z, t) - torch.lgamma(t + 1)[:, 0]
    torch.testing.assert_close(found, theirs)


IMPOSSIBLE = [
    ("poisson", [1.0, -2.0], "targets hold -2, but head=poisson needs targets that are whole "
     "numbers, 0 or above. Use head=gaussian."),
    ("poisson", [1.0, 0.5], "targets hold 0.5, but head=poisson needs targets that are whole "
     "numbers, 0 or above. Use head=gamma."),
    ("negative_binomial", [0.25, 0.5], "whole numbers, 0 or above. Use head=beta."),
    ("gamma", [1.0, 0.0], "targets hold 0, but head=gamma needs targets above 0. "
     "Use head=poisson."),
    ("log_normal", [1.5, -1.0], "head=log_normal needs targets above 0. Use head=gaussian."),
    ("beta", [0.5, 1.0], "targets hold 1, but head=beta needs targets in (0, 1). Use head=gamma."),
    ("laplace", [0.5, math.inf], "targets hold inf, which no density holds for possible"),
]  # fmt: skip


@pytest.mark.parametrize(("head", "targets", "sentence"), IMPOSSIBLE)
def test_targets_that_a_density_cannot_have(head, targets, sentence):
    t = torch.tensor(targets).unsqueeze(1)
    z = torch.zeros(2, PER_TARGET[head])
    for function in (Objective(head, "nll").losses, Objective(head, "nll")):
        if head == "laplace":  # any real number is not looked at
            assert function(z, t).isinf().any()
            continue
        with pytest.raises(InputError, match=re.escape(sentence)):
            function(z, t)


def test_a_missing_target_costs_nan_in_its_own_example():
    for head in (*TRUE, "quantiles"):
        value = 0.5 if head == "beta" else 1.0
        t = torch.tensor([[value], [math.nan], [value]])
        objective = Objective(head, "nll" if head in TRUE else "quantile_score")
        z = torch.zeros(3, PER_TARGET[head])
        assert objective.losses(z, t).isnan().tolist() == [False, True, False], head
        lost = objective.gradient(z, t).isnan()
        assert lost[1].all(), head
        assert not lost[[0, 2]].any(), head


@pytest.mark.parametrize("name", ["nll", "quantile_score"])
def test_a_loss_of_the_head_refuses_predictions_alone(name):
    head = "gaussian" if name == "nll" else "quantiles"
    with pytest.raises(TypeError, match=f"loss={name} has the formula of the head"):
        Objective(head, name).loss(torch.zeros(1, 2), torch.zeros(1, 1))
    with pytest.raises(TypeError, match="likelihood"):
        Objective(head, name).loss.likelihood(torch.zeros(1, 2))
