"""Parts of likelihoods with gamma functions, to a few ulp of mpmath's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from mpmath import mp, mpf

from mlr.densities import special

EPS = 2.0**-52
WIDE = torch.cat([torch.logspace(-6, 8, 80), torch.linspace(9.5, 12, 30)]).double()
AROUND = torch.cat([torch.linspace(-3, 3, 90), torch.logspace(-12, 0, 20)]).double()


def farthest(
    found: Callable, true: Callable[[mpf], mpf], at: torch.Tensor, least: float = 0
) -> float:
    """The largest distance in ulp of the truth, or of `least` where it is smaller."""
    with mp.workdps(40):
        errors = [
            abs(mpf(got) - true(mpf(x))) / max(abs(true(mpf(x))), mpf(least))
            for x, got in zip(at.tolist(), found(at).tolist(), strict=True)
        ]
    return float(max(errors)) / EPS


def stirling(x: mpf) -> mpf:
    return mp.loggamma(x) - (x - mpf(0.5)) * mp.log(x) + x - mp.log(2 * mp.pi) / 2


def test_what_stirlings_formula_leaves():
    assert farthest(special.stirling, stirling, WIDE) < 10
    assert farthest(special.stirling, stirling, WIDE, least=1) < 4


def test_digamma_less_the_logarithm():
    def rest(x: torch.Tensor) -> torch.Tensor:
        return special.times_rest_of_rate(x, x.log())

    def true(x: mpf) -> mpf:
        return x * (mp.digamma(x) - mp.log(x)) + mpf(0.5)

    assert farthest(rest, true, WIDE, least=0.5) < 4
    assert farthest(rest, true, WIDE[WIDE > 10]) < 4


def test_excess_of_the_exponential_and_the_logarithm():
    u = AROUND[AROUND != 0]
    assert farthest(special.excess_of_exp, lambda u: mp.expm1(u) - u, u) < 4
    u = u[u > -0.999]
    assert farthest(special.excess_of_log1p, lambda u: u - mp.log1p(u), u) < 4


@pytest.mark.parametrize("u", [-800.0, -1.0, 0.3, 2.0, 700.0])
def test_an_exponential_that_is_no_number_alone(u):
    log_x = torch.tensor([-u], dtype=torch.float64)
    found = special.times_excess_of_exp(log_x.exp(), log_x, torch.tensor([u]).double()).item()
    with mp.workdps(700):
        true = mp.exp(-mpf(u)) * (mp.exp(mpf(u)) - 1 - mpf(u)) if u > -700 else mp.inf
    assert found == pytest.approx(float(true))
