"""The formulas that a training step calls: near to the truth, and steady."""

from __future__ import annotations

import math
import random

import pytest
import torch

from mlr.objectives import EXACT, Objective
from mlr.objectives.steps import REGISTERS, filled_up, sigmoid_
from tests.objectives.drawing import widths
from tests.objectives.exactness import PAIRS
from tests.objectives.mp_reference import mp, mpf, reference, ulps
from tests.objectives.oracle import truth

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


LN3, LN4 = math.log(3), math.log(4)
# σ(ln 3) = 3/4; softmax(0, ln 2, ln 5) = (1/8, 2/8, 5/8)
THREE = [0.0, math.log(2), math.log(5)]
BY_HAND = [
    # ½(3/4 − 1/4)² = 1/8, slope 3/4 · 1/4
    ("sigmoid", "se", [LN3], [0.25], 0.125, [0.5 * 0.1875]),
    ("sigmoid", "se", [-LN3], [0.75], 0.125, [-0.5 * 0.1875]),
    ("sigmoid", "se", [LN3], [0.75], 0.0, [0.0]),
    ("sigmoid", "bce", [LN3], [0.25], 0.25 * (LN4 - LN3) + 0.75 * LN4, [0.5]),
    ("sigmoid", "bce", [-LN3], [0.75], 0.25 * (LN4 - LN3) + 0.75 * LN4, [-0.5]),
    ("sigmoid", "ce", [LN3], [0.25], 0.25 * (LN4 - LN3) + 0.75 * LN4, [0.5]),
    # several outputs, which are no distribution: −t log y
    (
        *("sigmoid", "ce", [LN3, -LN3], [0.5, 0.5]),
        0.5 * (LN4 - LN3) + 0.5 * LN4,
        [-0.125, -0.375],
    ),
    (
        *("clipped_linear", "ce", [0.75, 0.5], [0.5, 0.5]),
        0.5 * (LN4 - LN3) + 0.25 * LN4,
        [-2 / 3, -1.0],
    ),
    # y − t = (−3, 0, 3)/8, ⟨y, y − t⟩ = 12/64
    ("softmax", "se", THREE, [0.5, 0.25, 0.25], 9 / 64, [-4.5 / 64, -3 / 64, 7.5 / 64]),
    (
        *("softmax", "ce", THREE, [0.5, 0.25, 0.25]),
        0.5 * math.log(8) + 0.25 * math.log(4) + 0.25 * math.log(8 / 5),
        [-0.375, 0.0, 0.375],
    ),
    # dL/dy = (y − t)/(y(1 − y)) = (−24/7, 0, 8/5), ⟨y, dL/dy⟩ = −3/7 + 1 = 4/7
    (
        *("softmax", "bce", THREE, [0.5, 0.25, 0.25]),
        -(math.log(1 / 8) + math.log(7 / 8)) / 2
        - (math.log(1 / 4) + 3 * math.log(3 / 4) + math.log(5 / 8) + 3 * math.log(3 / 8)) / 4,
        [-28 / 56, -1 / 7, 9 / 14],
    ),
    ("linear", "se", [0.75], [0.25], 0.125, [0.5]),
    ("clipped_linear", "se", [0.75], [0.25], 0.125, [0.5]),
    # (y − t)/(y(1 − y)) = ½ · 16/3
    ("clipped_linear", "bce", [0.75], [0.25], 0.25 * (LN4 - LN3) + 0.75 * LN4, [8 / 3]),
    # ½(1 − ¼)² + (2 − 1)(1 − ¼)
    ("clipped_linear", "matching", [2.0], [0.25], 33 / 32, [0.75]),
]


@pytest.mark.parametrize(("head", "loss", "z", "t", "value", "slopes"), BY_HAND)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_soft_targets_by_hand(head, loss, z, t, value, slopes, dtype):
    objective, rel = Objective(head, loss, strict=False), 8 * torch.finfo(dtype).eps
    z, t = torch.tensor([z], dtype=dtype), torch.tensor([t], dtype=dtype)
    for functions in (objective, objective.formula):
        assert functions.losses(z, t).item() == pytest.approx(value, rel=rel, abs=rel)
        assert functions.gradient(z, t)[0].tolist() == pytest.approx(slopes, rel=rel, abs=rel)


@pytest.mark.parametrize(("head", "loss"), PAIRS)
def test_a_step_is_the_truth_to_a_few_ulp_of_the_largest_term(head, loss):
    """Of 50 digits, on both sides of 0 and of the clips, for soft targets and for hard ones."""
    formula = Objective(head, loss).formula
    for outputs in (k for k in widths(head, loss) if k <= 3):
        rng = random.Random(outputs)
        z = [[rng.uniform(-2, 2) for _ in range(outputs)] for _ in range(6)]
        t = [[rng.uniform(0.02, 0.98) for _ in range(outputs)] for _ in range(6)]
        if outputs > 1:
            t = [[x / sum(row) for x in row] for row in t]
        t[-2:] = [[1.0] + [0.0] * (outputs - 1), [0.0] * (outputs - 1) + [float(outputs > 1)]]
        rows = torch.tensor(z, dtype=torch.float64), torch.tensor(t, dtype=torch.float64)
        found = torch.cat([formula.losses(*rows)[:, None], formula.gradient(*rows)], -1)
        true = [[float(x) for x in truth(head, loss, *row)] for row in zip(z, t, strict=True)]
        torch.testing.assert_close(
            found, torch.tensor(true, dtype=torch.float64), rtol=1e-13, atol=1e-14
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_softmax_leaves_a_confident_class_is_the_share_of_the_others(dtype):
    """1 − y is 2e⁻²⁰/(1 + 2e⁻²⁰), of which a y rounded to 1 in float32 keeps nothing."""
    formula = Objective("softmax", "ce").formula
    z, t = torch.tensor([[20.0, 0, 0]], dtype=dtype), torch.tensor([[1.0, 0, 0]], dtype=dtype)
    share = math.exp(-20) / (1 + 2 * math.exp(-20))
    rel = 8 * torch.finfo(dtype).eps
    assert formula.gradient(z, t)[0].tolist() == pytest.approx(
        [-2 * share, share, share], rel=rel, abs=0
    )


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
