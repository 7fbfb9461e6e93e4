"""The Gaussian's −log-likelihood against many digits, at the ends of the numbers, beside se."""

from __future__ import annotations

import math
import random
import re

import pytest
import torch

from mlr.core.checks import InputError
from mlr.heads import HEADS
from mlr.heads.distributions.base import NumbersHead
from mlr.objectives import Objective
from mlr.objectives.kernels import gaussian
from tests.objectives.mp_reference import distance, mp, mpf

DTYPES = (torch.float64, torch.float32)
"""ulp of the largest term."""


def reference(z: list[float], t: list[float]) -> tuple[mpf, list[mpf], list[mpf], mpf]:
    """Value, dL/dm, dL/ds, literally, and the largest term of the value."""
    value, to_mean, to_log, terms = mpf(0), [], [], [mpf(1)]
    for m, s, target in zip(z[: len(t)], z[len(t) :], t, strict=True):
        d, inverse = mpf(target) - mpf(m), mp.exp(-2 * mpf(s))
        value += d * d * inverse / 2 + mpf(s) + mp.log(2 * mp.pi) / 2
        terms += [d * d * inverse / 2, abs(mpf(s))]
        to_mean.append(-d * inverse)
        to_log.append(1 - d * d * inverse)
    return value, to_mean, to_log, max(terms)


def one(rng: random.Random) -> tuple[float, float, float]:
    """Mean, log standard deviation and target of every kind."""
    kind = rng.randrange(5)
    if kind == 0:
        return rng.gauss(0, 3), rng.gauss(0, 2), rng.gauss(0, 3)
    if kind == 1:  # r near 1
        m, s = rng.gauss(0, 3), rng.gauss(0, 3)
        return m, s, m + math.exp(s) * (1 + 10 ** rng.uniform(-12, 0) * rng.gauss(0, 1))
    if kind == 2:  # the loss near 0
        m = rng.gauss(0, 1)
        return m, 10 ** rng.uniform(-9, 0) * rng.gauss(0, 1) - 0.9189385332046728, m
    m, t = (10 ** rng.uniform(-20, 20) * rng.choice([-1, 1]) for _ in range(2))
    if kind == 3:
        return m, rng.uniform(-50, 50), t
    # not −1e20 as well: float64, which float32 is computed in, holds no sum of both
    ends = [0.0, 1e4, -1e4, 1e20, rng.uniform(-800, 800)]
    return m, rng.choice(ends), rng.choice([m, t])


def drawn(count: int, outputs: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    rng = random.Random(outputs)
    rows = [list(zip(*(one(rng) for _ in range(outputs)), strict=True)) for _ in range(count)]
    z = torch.tensor([[*m, *s] for m, s, _ in rows], dtype=torch.float64)
    return z.to(dtype), torch.tensor([t for *_, t in rows], dtype=torch.float64).to(dtype)


def assert_near(got: float, true: mpf, dtype: torch.dtype, term: mpf | int = 0) -> None:
    """Within 5 ulp of the term or the truth, infinite where no number is as large, never NaN."""
    assert distance(got, true, mpf(term), dtype) <= 5, (got, true)


def compared(count: int, outputs: int, dtype: torch.dtype) -> None:
    z, t = drawn(count, outputs, dtype)
    objective = Objective("gaussian", "gaussian_nll")
    values, slopes = objective.losses(z, t).tolist(), objective.gradient(z, t).tolist()
    with mp.workdps(60):
        for row in range(count):
            value, to_mean, to_log, term = reference(z[row].tolist(), t[row].tolist())
            assert_near(values[row], value, dtype, term)
            for got, true in zip(slopes[row][:outputs], to_mean, strict=True):
                assert_near(got, true, dtype)
            for got, true in zip(slopes[row][outputs:], to_log, strict=True):
                assert_near(got, true, dtype, max(1, 1 - true))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("outputs", [1, 3])
def test_value_and_gradient_to_four_ulp(outputs, dtype):
    compared(600, outputs, dtype)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_value_and_gradient_of_a_hundred_thousand_points(dtype):
    compared(100_000, 1, dtype)


ENDS = [
    (0.0, 1e4, 3.0, 1e4 + 0.9189385332, 0.0, 1.0),
    (0.0, -1e4, 0.0, -1e4 + 0.9189385332, 0.0, 1.0),
    (0.0, -1e4, 3.0, math.inf, -math.inf, -math.inf),
    (math.inf, 0.0, 0.0, math.inf, math.inf, -math.inf),
    (0.0, math.inf, 1.0, math.inf, 0.0, 1.0),
    (0.0, -math.inf, 1.0, math.inf, -math.inf, -math.inf),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("m", "s", "t", "value", "to_mean", "to_log"), ENDS)
def test_the_ends_of_the_numbers(m, s, t, value, to_mean, to_log, dtype):
    """Infinite or 0 where the truth is beyond the numbers, and NaN nowhere."""
    objective = Objective("gaussian", "gaussian_nll")
    logits, targets = torch.tensor([[m, s]], dtype=dtype), torch.tensor([[t]], dtype=dtype)
    assert objective.losses(logits, targets).item() == pytest.approx(value, rel=1e-7)
    assert objective.gradient(logits, targets)[0].tolist() == [to_mean, to_log]


@pytest.mark.parametrize("s", [-1e4, -200.0, -100.0, 0.0, 100.0, 200.0, 1e4])
def test_the_formula_of_a_training_step_in_float32_has_no_nan(s):
    """Called itself, without float64."""
    for d in (0.0, 1e-45, 1.0, 3e38):
        z, t = torch.tensor([[0.0, s]]), torch.tensor([[d]])
        value, slopes = gaussian.gaussian_losses(z, t), gaussian.gaussian_gradient(z, t)
        assert not value.isnan().any()
        assert not slopes.isnan().any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("head", [head for head in HEADS if not issubclass(head, NumbersHead)])
def test_without_a_deviation_it_is_squared_error_and_a_constant(head, dtype):
    """The gradient to the bit."""
    z = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    t = torch.eye(3, dtype=dtype)[torch.arange(40) % 3]
    nll, se = Objective(head(), "gaussian_nll"), Objective(head(), "se")
    assert torch.equal(nll.gradient(z, t), se.gradient(z, t))
    constant = 1.5 * math.log(2 * math.pi)
    torch.testing.assert_close(nll.losses(z, t), se.losses(z, t) + constant, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_at_deviation_one_the_gradient_in_the_mean_is_the_error(dtype):
    z = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    t = z.flip(0)
    found = Objective("gaussian", "gaussian_nll").gradient(
        torch.cat([z, torch.zeros_like(z)], -1), t
    )
    assert torch.equal(found[:, :3], z - t)
    torch.testing.assert_close(found[:, 3:], 1 - (z - t) ** 2)


def test_the_curvature_at_the_maximum_is_2_whatever_the_unit():
    """In the logarithm of σ; why the head has it for a logit."""
    for scale in (1e-3, 1.0, 1e3):
        t = torch.tensor([[-1.0], [1.0]], dtype=torch.float64) * scale
        at = torch.tensor([0.0, math.log(scale)], dtype=torch.float64)
        objective = Objective("gaussian", "gaussian_nll")
        curvature = torch.autograd.functional.hessian(
            lambda z, t=t, o=objective: o(z.expand(2, 2), t).mean(), at
        )
        wanted = torch.tensor([[scale**-2, 0.0], [0.0, 2.0]], dtype=torch.float64)
        torch.testing.assert_close(curvature, wanted)


@pytest.mark.parametrize("method", ["losses", "gradient", "forward"])
def test_targets_need_half_as_many_numbers_as_logits(method):
    function = getattr(Objective("gaussian", "gaussian_nll"), method)
    sentence = (
        "targets of shape (4, 2) do not fit logits of shape (4, 2): the shapes must be (…, 2K) "
        "and (…, K), 2 logits for each target; nothing is broadcast."
    )
    with pytest.raises(InputError, match=re.escape(sentence)):
        function(torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(InputError, match="do not fit"):
        function(torch.zeros(4, 3), torch.zeros(4, 1))
    with pytest.raises(InputError, match="do not fit"):
        function(torch.zeros(2), torch.zeros(()))
    with pytest.raises(InputError, match="needs 2 outputs for each target, but there are 5"):
        Objective("gaussian", "gaussian_nll", outputs=5)


def test_a_loss_of_which_only_the_square_overflows():
    z, t = torch.tensor([[0.0, 0.0]]), torch.tensor([[2e19]])
    assert Objective("gaussian", "gaussian_nll").losses(z, t).item() == pytest.approx(
        2e38, rel=1e-6
    )
