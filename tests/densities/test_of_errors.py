"""Densities of the losses of the error: proper, with the loss as −log density, against scipy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from mlr.losses import Expectile, Huber, LogCosh, Pinball

LOSSES = [
    LogCosh(),
    *(Huber(delta) for delta in (0.1, 1.0, 4.0)),
    *(Pinball(tau) for tau in (0.1, 0.5, 0.8)),
    *(Expectile(tau) for tau in (0.1, 0.5, 0.8)),
]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda one: f"{one.name} {vars(one)}")
PLACE = 0.7
LEVELS = (1e-6, 0.01, 0.2, 0.5, 0.77, 0.99, 1 - 1e-6)


def density(loss):
    """The density about 0.7, of numbers."""
    return loss.likelihood(torch.tensor([PLACE], dtype=torch.float64)).base_dist


def at(loss, t: float) -> float:
    return density(loss).log_prob(torch.tensor([t], dtype=torch.float64)).exp().item()


def integral(function, low: float, high: float) -> float:
    # in parts, for a density may have a kink at its place
    parts = sorted({low, high, *(one for one in (PLACE - 4, PLACE, PLACE + 4) if low < one < high)})
    return sum(
        integrate.quad(function, a, b, epsabs=1e-13, epsrel=1e-11)[0] for a, b in pairwise(parts)
    )


@every_loss
def test_it_is_proper_and_the_loss_is_its_minus_log(loss):
    far = 400.0
    assert integral(lambda t: at(loss, t), -far, far) == pytest.approx(1, abs=1e-8)
    t = torch.linspace(-4, 5, 31, dtype=torch.float64).unsqueeze(1)
    y = torch.full_like(t, PLACE)
    constant = loss(y, t) + loss.likelihood(y).log_prob(t)
    torch.testing.assert_close(constant, constant[:1].expand(31), rtol=1e-12, atol=1e-12)


@every_loss
def test_distribution_function_and_quantiles(loss):
    own = density(loss)
    for level in LEVELS:
        share = torch.tensor([level], dtype=torch.float64)
        place = own.icdf(share)
        assert own.cdf(place).item() == pytest.approx(level, rel=1e-9)
    for t in (-2.0, 0.6, 0.71, 3.0):
        below = integral(lambda x: at(loss, x), -400.0, t)
        assert own.cdf(torch.tensor([t]).double()).item() == pytest.approx(below, abs=1e-8)


@every_loss
def test_mean_and_variance(loss):
    own = density(loss)
    mean = integral(lambda t: t * at(loss, t), -400.0, 400.0)
    square = integral(lambda t: (t - mean) ** 2 * at(loss, t), -400.0, 400.0)
    assert own.mean.item() == pytest.approx(mean, rel=1e-7)
    assert own.variance.item() == pytest.approx(square, rel=1e-7)


@every_loss
def test_samples_and_larger_batches(loss):
    torch.manual_seed(0)
    own = density(loss)
    samples = own.sample((20_000,))
    assert samples.shape == (20_000, 1)
    off = (samples.mean() - own.mean).abs().item()
    assert off < 5 * own.stddev.item() / 20_000**0.5
    wide = own.expand((3, 1))
    value = torch.tensor([0.3]).double()
    assert torch.equal(wide.log_prob(value), own.log_prob(value).expand(3, 1))


def test_those_that_scipy_has():
    t = np.linspace(-3, 4, 15)
    values = torch.from_numpy(t)
    pairs = [
        (LogCosh(), stats.hypsecant(PLACE)),
        (Pinball(0.5), stats.laplace(PLACE, 2)),
        (Expectile(0.5), stats.norm(PLACE)),
    ]
    for loss, theirs in pairs:
        np.testing.assert_allclose(density(loss).log_prob(values), theirs.logpdf(t), rtol=1e-12)
        np.testing.assert_allclose(density(loss).cdf(values), theirs.cdf(t), rtol=1e-12)


@pytest.mark.parametrize(("loss", "quantity"), [(Pinball, "quantile"), (Expectile, "expectile")])
def test_the_minimum_is_the_quantile_or_expectile_of_the_targets(loss, quantity):
    t = torch.randn(400, 1, generator=torch.Generator().manual_seed(0)).double()
    y = torch.linspace(-3, 3, 6001, dtype=torch.float64).view(-1, 1, 1)
    best = y[loss(0.8)(y, t).mean(-1).argmin()].item()
    theirs = {
        "quantile": np.quantile(t.numpy(), 0.8),
        "expectile": stats.expectile(t.numpy().ravel(), 0.8),
    }[quantity]
    assert best == pytest.approx(theirs, abs=0.02)


def test_huber_is_torchs():
    y, t = torch.randn(2, 50, 1, generator=torch.Generator().manual_seed(0)).double() * 3
    for delta in (0.2, 1.0, 3.0):
        theirs = torch.nn.functional.huber_loss(y, t, reduction="none", delta=delta)[:, 0]
        torch.testing.assert_close(Huber(delta)(y, t), theirs)
    assert torch.equal(Huber(1e6)(y, t), 0.5 * ((y - t) ** 2)[:, 0])
