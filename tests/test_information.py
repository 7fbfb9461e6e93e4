"""Entropy, cross-entropy and KL divergence against many digits; likelihoods and their maxima."""

from __future__ import annotations

import json
import math
import os
import random
import re
from pathlib import Path

import pytest
import torch
from mpmath import mp, mpf
from torch.autograd import gradcheck, gradgradcheck
from torch.distributions import Bernoulli, Categorical, Laplace, Normal

from mlr import information as info
from mlr.core.checks import InputError
from tests.objectives.mp_reference import ulps

BESIDE = Path(__file__).parents[2] / "shared" / "reference"
NUMBERS = Path(os.environ.get("MLR_ORACLE", BESIDE)) / "lecture_numbers.json"
LIMIT = 5.0
"""ulp; measured worst 4.0 of the KL divergence, 1.9 of its gradient."""
DTYPES = (torch.float64, torch.float32)


@pytest.fixture(scope="module")
def numbers() -> dict:
    if not NUMBERS.exists():
        pytest.skip(f"the lecture's numbers {NUMBERS} are not here; set MLR_ORACLE to their folder")
    return json.loads(NUMBERS.read_text())


def double(values) -> torch.Tensor:
    return torch.tensor([float(value) for value in values], dtype=torch.float64)


def test_the_lectures_seven_pairs(numbers):
    """Rows 7 and 11: H, CE and KL, and CE = H + KL."""
    for case in numbers["kl"]:
        p, q = double(case["p"]), double(case["q"])
        wanted = [float(case[name]) for name in ("H", "CE", "KL")]
        found = info.entropy(p), info.cross_entropy(p, q), info.kl_divergence(p, q)
        assert [value.item() for value in found] == pytest.approx(wanted, rel=1e-15, abs=0)


def drawn(count: int, closeness: float, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers p and q whose ratio is about e^±closeness."""
    rng = random.Random(0)
    p = [rng.random() ** 3 for _ in range(count)]
    q = [x * math.exp(closeness * rng.uniform(-1, 1)) for x in p]
    return torch.tensor(p, dtype=dtype), torch.tensor(q, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("closeness", [1e-12, 1e-7, 1e-3, 0.1, 0.3, 0.6, 1.0, 5.0, 60.0])
def test_kl_divergence_and_its_gradient_to_a_few_ulp(closeness, dtype):
    """Each term alone, so that no large one hides a small one; p and q need not be near."""
    p, q = drawn(300, closeness, dtype)
    zero = torch.zeros_like(p)
    pairs = torch.stack([p, zero], -1).requires_grad_(), torch.stack([q, zero], -1).requires_grad_()
    value = info.kl_divergence(*pairs)
    to_p, to_q = torch.autograd.grad(value.sum(), pairs)
    rows = torch.stack([p, q, value.detach(), to_p[:, 0], to_q[:, 0]], -1).tolist()
    for a, b, *got in rows:
        a, b = mpf(a), mpf(b)
        with mp.workdps(80):
            truths = a * mp.log(a / b) - a + b, mp.log(a / b), 1 - a / b
            for found, true in zip(got, truths, strict=True):
                assert ulps(found, true, dtype) <= LIMIT, (a, b, found, true)


def test_near_distributions_do_not_cancel():
    """The literal sum gives 0 or noise here; both p and q sum to 1 exactly."""
    p = double([0.5, 0.25, 0.25])
    shift = 2.0**-40
    q = p + double([shift, -shift, 0])
    pairs = zip(p.tolist(), q.tolist(), strict=True)
    true = sum(mpf(a) * mp.log(mpf(a) / mpf(b)) for a, b in pairs)
    assert ulps(info.kl_divergence(p, q).item(), true, torch.float64) <= 2
    literal = (p * (p / q).log()).sum()
    assert abs(literal.item() / float(true) - 1) > 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_distribution_from_itself_is_exactly_0(dtype):
    p = torch.rand(100, 7, dtype=dtype)
    p = p / p.sum(-1, keepdim=True) * (p > 0.3)
    assert torch.equal(info.kl_divergence(p, p), torch.zeros(100, dtype=dtype))


def test_zeros():
    one_hot, even = double([0, 1]), double([0.5, 0.5])
    assert info.entropy(one_hot) == 0
    assert info.cross_entropy(one_hot, one_hot) == 0
    assert info.cross_entropy(even, one_hot) == math.inf
    assert info.kl_divergence(even, one_hot) == math.inf
    assert info.kl_divergence(one_hot, even).item() == pytest.approx(math.log(2), rel=1e-15)
    tiny = double([5e-324, 1.0])
    assert info.kl_divergence(even, tiny).item() == pytest.approx(371.526, rel=1e-4)


def test_gradients_at_zeros_are_the_mathematical_ones():
    p, q = double([0, 0.5, 0.5]).requires_grad_(), double([0.25, 0.25, 0.5]).requires_grad_()
    to_p, to_q = torch.autograd.grad(info.cross_entropy(p, q), (p, q))
    assert to_p.tolist() == pytest.approx([-math.log(0.25), -math.log(0.25), -math.log(0.5)])
    assert to_q.tolist() == [0, -2, -1]
    to_p, to_q = torch.autograd.grad(info.kl_divergence(p, q), (p, q))
    assert to_p.tolist() == [-math.inf, pytest.approx(math.log(2)), 0]
    assert to_q.tolist() == [1, -1, 0]
    assert torch.autograd.grad(info.entropy(p), p)[0][0] == math.inf
    # where both are 0 nothing is NaN
    same = double([0, 1]).requires_grad_()
    for function in (info.cross_entropy, info.kl_divergence):
        for gradient in torch.autograd.grad(function(p[[0, 1]] * 2, same), (p, same)):
            assert not gradient.isnan().any()


def test_gradcheck_and_vmap():
    p, q = (torch.rand(4, 3, dtype=torch.float64).add_(0.1).requires_grad_() for _ in "pq")
    for function in (info.cross_entropy, info.kl_divergence):
        assert gradcheck(function, (p, q))
        assert gradgradcheck(function, (p, q))
        alone = torch.stack([function(a, b) for a, b in zip(p, q, strict=True)])
        torch.testing.assert_close(torch.func.vmap(function)(p, q), alone, rtol=1e-15, atol=0)
    assert gradcheck(info.entropy, p)


def test_cross_entropy_is_entropy_and_divergence():
    """Rows 9, 11 and 12: the entropy of the data has no effect on the model."""
    generator = torch.Generator().manual_seed(0)
    z, other = torch.randn(2, 500, 6, dtype=torch.float64, generator=generator) * 3
    p, logits = z.softmax(-1), other.requires_grad_()
    q = logits.softmax(-1)
    parts = info.entropy(p) + info.kl_divergence(p, q)
    torch.testing.assert_close(info.cross_entropy(p, q), parts, rtol=1e-14, atol=0)
    by_kl, by_ce = (
        torch.autograd.grad(function(p, q).sum(), logits, retain_graph=True)[0]
        for function in (info.kl_divergence, info.cross_entropy)
    )
    torch.testing.assert_close(by_kl, by_ce, rtol=1e-12, atol=1e-14)


def test_a_monte_carlo_estimate_of_the_divergence():
    """Row 8: E[log p − log q] over samples of p, within three standard errors."""
    p, q = double([0.7, 0.2, 0.1]), double([0.1, 0.2, 0.7])
    torch.manual_seed(0)
    samples = Categorical(p).sample((100_000,))
    terms = Categorical(p).log_prob(samples) - Categorical(q).log_prob(samples)
    error = terms.std() / len(samples) ** 0.5
    assert abs(terms.mean() - info.kl_divergence(p, q)) < 3 * error


def test_gaussians():
    """Against torch's own, and CE = H + KL."""
    generator = torch.Generator().manual_seed(0)
    mean, other_mean = torch.randn(2, 200, dtype=torch.float64, generator=generator)
    std, other_std = torch.rand(2, 200, dtype=torch.float64, generator=generator) + 0.1
    p, q = Normal(mean, std), Normal(other_mean, other_std)
    close = {"rtol": 1e-12, "atol": 1e-14}
    divergence = info.gaussian_kl_divergence(mean, std, other_mean, other_std)
    torch.testing.assert_close(info.gaussian_entropy(std), p.entropy(), **close)
    torch.testing.assert_close(divergence, torch.distributions.kl_divergence(p, q), **close)
    cross = info.gaussian_cross_entropy(mean, std, other_mean, other_std)
    torch.testing.assert_close(cross, info.gaussian_entropy(std) + divergence, **close)


@pytest.mark.parametrize("closeness", [1e-10, 1e-4, 0.3, 2.0])
def test_near_gaussians_do_not_cancel(closeness):
    rng = random.Random(1)
    for _ in range(100):
        a, s, t = rng.gauss(0, 1), rng.uniform(0.1, 3), rng.gauss(0, 1)
        b, r = a + closeness * t, s * math.exp(closeness * rng.gauss(0, 1))
        got = info.gaussian_kl_divergence(*double([a, s, b, r]).unbind())
        m, n, u, v = mpf(a), mpf(s), mpf(b), mpf(r)
        true = mp.log(v / n) + (n**2 + (m - u) ** 2) / (2 * v**2) - mpf(1) / 2
        assert ulps(got.item(), true, torch.float64) <= LIMIT


def test_squared_error_is_the_cross_entropy_of_a_gaussian(numbers):
    """Row 14: of a single point and N(y, 1), but for ½ log 2π."""
    assert float(numbers["gaussian_nll_constant_half_log_2pi"]) == info.HALF_LOG_TAU
    for case in numbers["gaussian_nll"]:
        t, y, zero, one = double([case["t"], case["y"], 0, 1]).unbind()
        y.requires_grad_()
        value = info.gaussian_cross_entropy(t, zero, y, one)
        assert value.item() == pytest.approx(float(case["nll_sigma1"]), rel=1e-15)
        assert value.item() == pytest.approx(float(case["se"]) + info.HALF_LOG_TAU, rel=1e-15)
        assert torch.autograd.grad(value, y)[0].item() == float(case["grad"])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", ["0.5", "0.1", "0.01"])
def test_the_likelihood_is_soon_0_and_its_logarithm_never(numbers, dtype, p):
    """Row 4: the first n where the product of n probabilities p is 0."""
    key = "underflow_first_n_where_sequential_product_of_p_is_0"
    first = numbers[key][f"{str(dtype).removeprefix('torch.')}:p={p}"]
    coin = Categorical(torch.tensor([1 - float(p), float(p)], dtype=dtype))
    ones = torch.ones(first, dtype=torch.int64)
    assert info.likelihood(coin, ones) == 0
    assert info.likelihood(coin, ones[1:]) > 0
    wanted = first * math.log(float(p))
    assert info.log_likelihood(coin, ones).item() == pytest.approx(wanted, rel=1e-5)


def test_a_thousand_factors(numbers):
    tenth = Categorical(double([0.9, 0.1]))
    found = info.log_likelihood(tenth, torch.ones(1000, dtype=torch.int64)).item()
    assert found == pytest.approx(float(numbers["log_sum_1000_p0.1"]), rel=1e-14)
    halves = Categorical(double([0.5, 0.5]))
    assert info.likelihood(halves, torch.ones(1000, dtype=torch.int64)).item() == 2.0**-1000


def test_product_sum_and_mean_have_one_maximum(numbers):
    """Rows 2, 5 and 6: 7 of 10."""
    wanted = numbers["bernoulli_mle"]
    samples = torch.tensor([1.0] * 7 + [0.0] * 3, dtype=torch.float64)
    grid = torch.arange(1, 1000, dtype=torch.float64) / 1000
    every = Bernoulli(grid), samples.unsqueeze(-1)
    product, logs = info.likelihood(*every), info.log_likelihood(*every)
    for curve in (product, logs, logs / 10):
        assert grid[curve.argmax()].item() == float(wanted["argmax"])
    fitted = info.fit_bernoulli(samples)
    assert fitted.probs.item() == float(wanted["argmax"])
    mean = info.log_likelihood(fitted, samples).item() / 10
    assert mean == pytest.approx(float(wanted["mean_loglik_at_argmax"]), rel=1e-15)


def test_one_interface_for_every_family():
    """Row 13: each −log-likelihood is its known loss."""
    x, y = double([0.3, -1.2, 2.0]), torch.tensor(0.5, dtype=torch.float64)
    laplace = -info.log_likelihood(Laplace(y, 1.0), x)
    torch.testing.assert_close(laplace, (x - y).abs().sum() + 3 * math.log(2))
    normal = -info.log_likelihood(Normal(y, 1.0), x)
    torch.testing.assert_close(normal, 0.5 * (x - y).square().sum() + 3 * info.HALF_LOG_TAU)
    labels, q = torch.tensor([0, 2, 2]), double([0.2, 0.3, 0.5])
    empirical = info.fit_categorical(labels, 3).probs
    chosen = -info.log_likelihood(Categorical(q), labels)
    torch.testing.assert_close(chosen, 3 * info.cross_entropy(empirical, q))


SAMPLES = torch.tensor([1.0, 0, 1, 1, 0, 1, 1, 1, 0, 1], dtype=torch.float64)
LABELS = torch.tensor([0, 2, 2, 1, 2, 2, 0, 1])
REALS = double([0.3, -1.2, 2.0, 0.7, 0.1])


def test_closed_forms():
    assert info.fit_categorical(LABELS, 4).probs.tolist() == [0.25, 0.25, 0.5, 0]
    normal = info.fit_gaussian(REALS)
    assert normal.mean.item() == pytest.approx(REALS.mean().item())
    assert normal.variance.item() == pytest.approx((REALS - REALS.mean()).square().mean().item())
    # any other is less likely
    for fitted, parameter in ((normal, "loc"), (normal, "scale")):
        for factor in (0.99, 1.01):
            moved = {"loc": normal.loc, "scale": normal.scale}
            moved[parameter] = moved[parameter] * factor
            least = info.log_likelihood(Normal(**moved), REALS)
            assert least < info.log_likelihood(fitted, REALS)


@pytest.mark.parametrize(
    ("family", "start", "samples", "closed"),
    [
        (info.bernoulli, 0.0, SAMPLES, info.fit_bernoulli(SAMPLES).probs),
        (info.categorical, [0.0, 0, 0], LABELS, info.fit_categorical(LABELS, 3).probs),
        (info.gaussian, [0.0, 0], REALS, info.fit_gaussian(REALS)),
    ],
)
def test_gradient_descent_finds_the_closed_form(family, start, samples, closed):
    """To 1e-14, whatever the family; and every step is downhill."""
    start = torch.tensor(start, dtype=torch.float64)
    found = info.fit_by_descent(family, start, samples)
    got, wanted = found.distribution, closed
    if isinstance(closed, Normal):
        got = torch.stack([got.mean, got.stddev])
        wanted = torch.stack([closed.mean, closed.stddev])
    else:
        got = got.probs
    torch.testing.assert_close(got, wanted, rtol=1e-14, atol=0)
    assert found.parameters.shape == (1001, *start.shape)
    assert torch.equal(found.parameters[0], start)
    assert found.losses.shape == (1001,)
    assert (found.losses.diff() < 1e-15).all()
    last = info.log_likelihood(found.distribution, samples) / -len(samples)
    torch.testing.assert_close(found.losses[-1], last)


def test_many_descents_at_once():
    """Each along an axis of its own; they do not disturb each other."""
    samples = torch.stack([SAMPLES, 1 - SAMPLES], -1)
    both = info.fit_by_descent(info.bernoulli, torch.zeros(2, dtype=torch.float64), samples)
    torch.testing.assert_close(both.parameters[:, 0], -both.parameters[:, 1])
    torch.testing.assert_close(both.distribution.probs, double([0.7, 0.3]))


P, Q = torch.full((4, 2), 0.5), torch.full((4, 3), 1 / 3)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: info.entropy(P[..., :1]), "p of shape (4, 1) and type torch.float32 is not a "
         "distribution: probabilities must be floating point (…, K) with K at least 2"),
        (lambda: info.entropy(torch.ones(2).long()), "type torch.int64 is not a distribution"),
        (lambda: info.kl_divergence(P, Q[0, 0]), "q of shape () and type"),
        (lambda: info.cross_entropy(P, Q), "p (4, 2) and q (4, 3) must be distributions over the "
         "same K outcomes."),
        (lambda: info.fit_bernoulli(torch.tensor([0.5])), "must be 0 or 1"),
        (lambda: info.fit_bernoulli(torch.ones(0)), "samples of shape (0,) hold none"),
        (lambda: info.fit_categorical(LABELS, 2), "with classes=2 must be whole numbers from 0 "
         "to 1."),
        (lambda: info.fit_categorical(SAMPLES, 2), "must be whole numbers"),
        (lambda: info.fit_gaussian(torch.ones(3)), "their likelihood is unbounded as σ → 0"),
        (lambda: info.fit_by_descent(info.gaussian, torch.zeros(2), REALS * 1e3, rate=1e4),
         "rate=10000.0 is too large: step 1 leaves the finite numbers."),
        (lambda: info.fit_by_descent(info.bernoulli, torch.zeros(()), SAMPLES, steps=0),
         "steps=0 must be"),
    ],
)  # fmt: skip
def test_refusals(call, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        call()
