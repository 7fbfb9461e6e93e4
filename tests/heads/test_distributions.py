"""Heads that predict a density or quantiles, against scipy, torch and their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from mlr.core.checks import InputError
from mlr.densities.quantiles import cdf, incomplete_beta, within
from mlr.heads import HEADS, Gaussian, MixtureOfGaussians, Poisson, Quantiles, StudentT
from mlr.heads.distributions.base import DistributionHead, NumbersHead

OF_NUMBERS = [head() for head in HEADS if issubclass(head, NumbersHead)]
OF_DENSITIES = [head for head in OF_NUMBERS if isinstance(head, DistributionHead)]
every_head = pytest.mark.parametrize("head", OF_NUMBERS, ids=lambda head: head.name)
every_density = pytest.mark.parametrize("head", OF_DENSITIES, ids=lambda head: head.name)
HEAD_OF = {head.name: head for head in OF_NUMBERS}
LEVELS = (0.001, 0.1, 0.5, 0.9, 0.999)


def drawn(head: NumbersHead, *shape: int, targets: int = 2, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(*shape, targets * head.range.per_target, generator=generator).double()
    return z.to(dtype)


def sigmoid(a: float) -> float:
    return 1 / (1 + np.exp(-a))


def of_mixture(z: list[float]):
    w, m, s = np.exp(z[:3]), np.array(z[3:6]), np.exp(z[6:])
    return stats.Mixture(
        [stats.Normal(mu=a, sigma=b) for a, b in zip(m, s, strict=True)], weights=w / w.sum()
    )


BY_SCIPY = {
    "gaussian": lambda m, s: stats.norm(m, np.exp(s)),
    "poisson": lambda z: stats.poisson(np.exp(z)),
    "negative_binomial": lambda a, b: stats.nbinom(np.exp(b), 1 / (1 + np.exp(a - b))),
    "laplace": lambda m, s: stats.laplace(m, np.exp(s)),
    "student_t": lambda m, s, n: stats.t(2 + np.exp(n), m, np.exp(s)),
    "gamma": lambda a, b: stats.gamma(np.exp(b), scale=np.exp(a - b)),
    "log_normal": lambda m, s: stats.lognorm(np.exp(s), scale=np.exp(m)),
    "beta": lambda a, b: stats.beta(sigmoid(a) * np.exp(b), sigmoid(-a) * np.exp(b)),
}
"""Logits of one target → the frozen distribution of scipy."""


@pytest.mark.parametrize(
    "head", [one() for one in HEADS if one.name in BY_SCIPY], ids=lambda one: one.name
)
def test_density_mean_deviation_and_quantiles_are_scipys(head):
    rows = drawn(head, 6, targets=1)
    y = head(rows)
    for place, logits in enumerate(rows.tolist()):
        theirs, own = BY_SCIPY[head.name](*logits), y[place : place + 1]
        assert head.point(own).item() == pytest.approx(theirs.mean(), rel=1e-9)
        assert head.std(own).item() == pytest.approx(theirs.std(), rel=1e-9)
        for level in LEVELS:
            found = head.quantile(own, level).item()
            assert found == pytest.approx(theirs.ppf(level), rel=1e-7, abs=1e-9), level
            value = torch.tensor([[found]], dtype=torch.float64)
            log = theirs.logpmf if hasattr(theirs.dist, "logpmf") else theirs.logpdf
            assert head.cost(own, value).item() == pytest.approx(-log(found), rel=1e-8, abs=1e-9)


def test_a_mixture_is_the_weighted_sum_of_its_gaussians():
    head = MixtureOfGaussians()
    rows = drawn(head, 5, targets=1)
    y = head(rows)
    t = torch.linspace(-3, 3, 7, dtype=torch.float64)
    for logits, own in zip(rows.numpy(), y, strict=True):
        w = np.exp(logits[:3]) / np.exp(logits[:3]).sum()
        m, s = logits[3:6], np.exp(logits[6:])
        density = sum(a * stats.norm(b, c).pdf(t.numpy()) for a, b, c in zip(w, m, s, strict=True))
        found = (-head.cost(own.expand(7, 9), t.unsqueeze(1))).exp()
        np.testing.assert_allclose(found.numpy(), density, rtol=1e-12)
        mean = (w * m).sum()
        assert head.point(own).item() == pytest.approx(mean)
        assert head.std(own).item() == pytest.approx(np.sqrt((w * (s**2 + (m - mean) ** 2)).sum()))
        for level in LEVELS:
            at = head.quantile(own, level).item()
            below = sum(a * stats.norm(b, c).cdf(at) for a, b, c in zip(w, m, s, strict=True))
            assert below == pytest.approx(level, rel=1e-9)


@every_density
def test_values_within_quantiles_are_those_between_them(head):
    y = head(drawn(head, 60, targets=1))
    torch.manual_seed(2)
    t = head.distribution(y).sample()
    ends = [(0.25, 0.75), (0.1, 0.9)]
    for (low, high), found in zip(ends, within(head.distribution(y), t, ends), strict=True):
        between = (head.quantile(y, low) <= t) & (t <= head.quantile(y, high))
        assert torch.equal(found, between)
        assert found.any()
        assert not found.all()


@pytest.mark.parametrize(
    "head", [*map(HEAD_OF.get, ("gaussian", "laplace", "student_t", "mdn", "quantiles"))],
    ids=lambda head: head.name,
)  # fmt: skip
def test_predictions_of_another_unit_say_the_same(head):
    y = head(drawn(head, 5))
    o, d = torch.tensor([3.0, -2.0]).double(), torch.tensor([10.0, 0.5]).double()
    scaled = head.rescaled(y, o, d)
    torch.testing.assert_close(head.point(scaled), head.point(y) * d + o)
    torch.testing.assert_close(head.quantile(scaled, 0.9), head.quantile(y, 0.9) * d + o)
    if isinstance(head, DistributionHead):
        torch.testing.assert_close(head.std(scaled), head.std(y) * d)
        t = torch.randn(5, 2, dtype=torch.float64)
        torch.testing.assert_close(head.cost(scaled, t * d + o), head.cost(y, t) + d.log().sum())


def test_other_families_have_no_other_unit():
    one = torch.ones(1)
    for name in ("poisson", "gamma", "beta", "log_normal", "negative_binomial"):
        head = HEAD_OF[name]
        with pytest.raises(InputError, match=r"train with data\.target_scale=none"):
            head.rescaled(torch.ones(head.range.per_target), one, one)


@every_density
def test_samples_are_of_the_distribution(head):
    y = head(0.5 * drawn(head, 1, targets=1))
    torch.manual_seed(0)
    samples = head.distribution(y).sample((20_000,)).squeeze()
    # five standard errors of a mean of 20,000
    off = (samples.mean() - head.point(y).item()).abs().item()
    assert off < 5 * head.std(y).item() / 20_000**0.5
    share = (samples <= head.quantile(y, 0.7).item()).double().mean().item()
    exact = cdf(head.distribution(y), head.quantile(y, 0.7)).item()
    assert share == pytest.approx(exact, abs=0.02)


@every_head
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shapes_types_and_axes(head, dtype):
    z = drawn(head, 2, 5, dtype=dtype)
    assert head(z).shape == head.slope(z).shape == z.shape
    assert head(z).dtype == head.slope(z).dtype == dtype
    for function in (head, head.slope):
        assert torch.equal(function(z)[1, 3], function(z[1, 3]))
    assert head.point(head(z)).shape == (2, 5, 2)


@every_head
def test_slopes_are_those_of_each_own_logit(head):
    z = drawn(head, 3).requires_grad_()
    for k in range(z.shape[-1]):
        own = torch.autograd.grad(head(z)[..., k].sum(), z)[0][..., k]
        torch.testing.assert_close(own, head.slope(z)[..., k].detach(), rtol=1e-12, atol=1e-15)


@every_head
def test_targets_are_numbers_and_no_classes(head):
    with pytest.raises(InputError, match=f"head={head.name} predicts numbers, but the data have 7"):
        head.outputs(7)
    with pytest.raises(TypeError, match="predicts numbers and no classes"):
        head.classify(drawn(head, 3))


@every_head
def test_potentials(head):
    z = drawn(head, 4)
    assert head.has_potential == (head.name in ("gaussian", "poisson"))
    if head.has_potential:
        leaf = z.requires_grad_()
        gradient = torch.autograd.grad(head.potential(leaf).sum(), leaf)[0]
        torch.testing.assert_close(gradient, head(z).detach())
        return
    with pytest.raises(TypeError, match=f"head={head.name} has no potential") as refused:
        head.potential(z)
    assert str(refused.value).endswith(f"{head.range}, and data have no targets for them.")


def test_blocks_of_targets_come_parameter_by_parameter():
    z = torch.tensor([[1.0, 2.0, 0.0, 0.5]])
    assert Gaussian()(z).tolist() == [[1.0, 2.0, 1.0, pytest.approx(np.exp(0.5))]]
    z = torch.tensor([[1.0, 2.0, 0.0, 0.5, 0.0, -0.5]])
    wanted = [[1, 2, 1, np.exp(0.5), 3, 2 + np.exp(-0.5)]]
    torch.testing.assert_close(StudentT()(z), torch.tensor(wanted, dtype=torch.float32))


@pytest.mark.parametrize("levels", [(0.5,), (0.1, 0.9), (0.1, 0.5, 0.9), (0.05, 0.25, 0.5, 0.75)])
def test_quantiles_never_cross(levels):
    head = Quantiles(levels)
    z = 30 * drawn(head, 200)
    q = torch.stack(head.parts(head(z)))
    assert (q.diff(dim=0) >= 0).all()
    centre = (len(levels) - 1) // 2
    assert torch.equal(q[centre], head.parts(z)[centre])
    assert torch.equal(head.point(head(z)), q[centre])
    gaps = torch.nn.functional.softplus(torch.stack(head.parts(z)), threshold=60)
    for place in range(1, len(levels)):
        gap = gaps[place if place > centre else place - 1]
        torch.testing.assert_close(q[place] - q[place - 1], gap, rtol=1e-9, atol=1e-12)


def test_a_quantile_is_one_of_the_levels():
    head = Quantiles((0.2, 0.8))
    y = head(drawn(head, 3))
    assert torch.equal(head.quantile(y, 0.8), y[..., 2:])
    with pytest.raises(InputError, match=r"level=0.5 is none of head.levels=\[0.2, 0.8\]"):
        head.quantile(y, 0.5)


@pytest.mark.parametrize("levels", [[], [0.5, 0.5], [0.9, 0.1], [0.0, 0.5], [0.5, 1.0], 0.5, ["a"]])
def test_levels_that_are_none(levels):
    with pytest.raises(InputError, match=r"must list increasing numbers in \(0, 1\), as in"):
        Quantiles(levels)


@pytest.mark.parametrize("components", [0, -1, 1.5, "3"])
def test_components_that_are_none(components):
    with pytest.raises(InputError, match=r"head\.components=.* whole number of at least 1"):
        MixtureOfGaussians(components)


def test_a_head_has_the_range_of_its_own_options():
    assert Quantiles((0.1, 0.9)).range.per_target == 2
    assert Quantiles.range.per_target == Quantiles().range.per_target == 3
    assert MixtureOfGaussians(5).range.per_target == 15
    assert str(Quantiles((0.1, 0.9)).range) == "the quantiles of 0.1, 0.9"


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, float("nan")])
def test_levels_of_densities_lie_in_the_open_unit_interval(level):
    with pytest.raises(InputError, match="level="):
        Poisson().quantile(torch.ones(1, 1), level)


@pytest.mark.parametrize("a", [0.03, 0.5, 2.0, 70.0, 5000.0])
@pytest.mark.parametrize("b", [0.03, 0.5, 2.0, 70.0, 5000.0])
def test_the_incomplete_beta_function_is_scipys(a, b):
    from scipy.special import betainc

    x = np.concatenate([np.linspace(0, 1, 41), a / (a + b) + np.linspace(-1e-2, 1e-2, 9)])
    x = x.clip(0, 1)
    numbers = (torch.tensor(one, dtype=torch.float64) for one in (a, b))
    found = incomplete_beta(*numbers, torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, betainc(a, b, x), rtol=1e-9, atol=1e-15)


@every_density
def test_predictions_of_a_diverged_run_give_nan_and_no_error(head):
    y = torch.full((3, head.range.per_target), torch.nan)
    assert head.point(y).isnan().all()
    assert head.std(y).isnan().all()
    assert head.quantile(y, 0.1).isnan().all()
    assert head.cost(y, torch.full((3, 1), 0.5)).isnan().all()
