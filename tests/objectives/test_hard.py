"""The formulas of a training step for targets that are 0 or 1: near to the truth, and steady."""

from __future__ import annotations

import random

import pytest
import torch

from mlr.objectives import EXACT, Objective
from mlr.objectives.steps import REGISTERS, filled_up, sigmoid_
from tests.objectives.mp_reference import mp, mpf, reference, ulps

HARD = {
    (head.name, loss.name): hard
    for head, loss in EXACT
    if (hard := Objective(head(), loss()).formula.hard)
}
HALF_LOG_TAU = mp.log(2 * mp.pi) / 2
LIMIT = 4.0
"""ulp; measured worst 3.8 of squared error, 1.5 of the others."""
RANGE = {torch.float32: 87.0, torch.float64: 700.0}
"""|z| up to which e^z is a number; beyond, tails are rounded to 0."""


def logits(dtype: torch.dtype) -> torch.Tensor:
    rng = random.Random(0)
    wide = RANGE[dtype]
    drawn = [rng.uniform(-wide, wide) for _ in range(120)] + [rng.gauss(0, 3) for _ in range(120)]
    edges = [19.999, 20.0, 20.001, 39.999, 40.0, 40.001, 0.0, 1e-30]
    return torch.tensor([*drawn, *edges, *(-edge for edge in edges)]).to(dtype).unsqueeze(1)


def test_every_classical_loss_of_the_sigmoid_has_them():
    assert set(HARD) == {
        ("sigmoid", loss) for loss in ("se", "gaussian_nll", "bce", "ce", "matching")
    }


@pytest.mark.parametrize("dtype", RANGE)
@pytest.mark.parametrize(("head", "loss"), HARD)
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_they_are_the_formulas_to_a_few_ulp(head, loss, target, dtype):
    """Where 1 ulp of the truth is not below the smallest normal number."""
    z = logits(dtype)
    signs = torch.full_like(z, 1 - 2 * target)
    hard = HARD[head, loss]
    values, slopes = hard.losses(z, signs).tolist(), hard.gradient(z, signs).tolist()
    smallest = torch.finfo(dtype).smallest_normal
    # of one output ce and matching are bce
    literal, constant = {"se": ("se", 0), "gaussian_nll": ("se", HALF_LOG_TAU)}.get(
        loss, ("bce", 0)
    )
    for logit, value, (slope,) in zip(z[:, 0].tolist(), values, slopes, strict=True):
        true, (gradient,) = reference(head, literal, [logit], [target])
        for got, wanted in ((value, true + constant), (slope, gradient)):
            if abs(wanted) > smallest * 2**10:
                assert ulps(got, wanted, dtype) <= LIMIT, (logit, got, wanted)
            else:
                assert abs(mpf(got) - wanted) <= smallest * 2**10


@pytest.mark.parametrize("dtype", RANGE)
@pytest.mark.parametrize(("head", "loss"), HARD)
def test_a_number_is_the_same_wherever_it_lies(head, loss, dtype):
    """torch's own functions round otherwise at the end of an array: each place is tried."""
    z = logits(dtype)[:, 0]
    signs = torch.ones_like(z)
    signs[::3] = -1
    hard = HARD[head, loss]
    for function in (hard.losses, hard.gradient):
        whole = function(z.unsqueeze(1), signs.unsqueeze(1)).reshape(-1)
        for start in range(0, len(z), 7):
            for size in (1, 5, REGISTERS - 1, REGISTERS, REGISTERS + 9):
                part = slice(start, start + size)
                alone = function(z[part].unsqueeze(1), signs[part].unsqueeze(1)).reshape(-1)
                assert torch.equal(alone, whole[part]), (start, size)


def test_one_at_a_time_is_all_at_once():
    z = torch.linspace(-9, 9, 4000)
    alone = [sigmoid_(z[i : i + 1].clone()) for i in range(len(z))]
    assert torch.equal(torch.cat(alone), torch.sigmoid(z))


@pytest.mark.parametrize("shape", [(), (0, 1), (3, 1), (4, 8), (2, 3, 5)])
def test_filling_up_keeps_the_shape(shape):
    z = torch.randn(shape)
    found = filled_up(torch.exp, z)
    assert found.shape == z.shape
    torch.testing.assert_close(found, z.exp())
