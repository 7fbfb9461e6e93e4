"""The further pairs against many digits: distances from the truth, and what must be equal.

Each lies within `bound` ulp, of the result for hard targets, and for soft ones of the largest
of the terms that they mix, since these may cancel.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from unittest.mock import patch

import pytest
import torch
from mpmath import mp, mpf

from mlr.heads import Sparsemax
from mlr.losses import (
    LOSSES,
    Focal,
    GaussianNll,
    GeneralisedCrossEntropy,
    SmoothedCrossEntropy,
)
from mlr.objectives import KERNELS, Objective
from mlr.objectives.kernels.matching import one_less_mills
from tests.looping import looped
from tests.objectives import oracle_parts
from tests.objectives.exactness import CLASSIC, lost_by_differences
from tests.objectives.exactness import PAIRS as ALL_PAIRS
from tests.objectives.mp_parts import ERRORS, reference
from tests.objectives.mp_reference import BITS, distance
from tests.objectives.oracle import term_sizes

PAIRS = [
    (head, loss, outputs)
    for head, loss in KERNELS
    if (head.name, loss.name) in ALL_PAIRS
    and (head.name, loss.name) not in CLASSIC
    and loss is not GaussianNll
    for outputs in ((1,) if head.range.least_outputs == 1 else (2, 5))
]
EDGES = (0.0, 1.0, 3.0, -3.0, 0.5)
"""Logits where pieces of some head meet, or that its docstring names."""
SCALARS = {
    "focal": [{"gamma": 0.0}, {"gamma": 0.5}, {"gamma": 1.0}, {"gamma": 5.0}],
    "gce": [{"q": 1.0}, {"q": 0.5}, {"q": 0.01}],
    "smoothed_ce": [{"epsilon": 0.0}, {"epsilon": 0.5}],
    "huber": [{"delta": 0.125}, {"delta": 3.0}],
    "pinball": [{"tau": 0.1}, {"tau": 0.9}],
    "expectile": [{"tau": 0.1}, {"tau": 0.9}],
    "symmetric_ce": [{"alpha": 0.0}, {"alpha": 6.0, "beta": 0.0}, {"log_zero": -0.5}],
    "phuber_ce": [{"tau": 1.5}, {"tau": 2.0}, {"tau": 5.0}],
    "poly1": [{"epsilon": -1.0}, {"epsilon": -0.5}, {"epsilon": 0.0}, {"epsilon": 7.0}],
    "asymmetric": [
        {"gamma_present": 1.0, "margin": 0.0},
        {"gamma_present": 0.5, "gamma_absent": 0.0},
        {"gamma_absent": 2.5, "margin": 0.4},
    ],
    "tversky": [{"alpha": 0.3, "beta": 0.7}, {"beta": 0.0}, {"smooth": 1e-6}],
}


def bound(head: str, loss: str) -> float:
    """Return ulp, with the measured worst of 1,300 points in brackets."""
    if loss == "gce":
        return 1000  # y^q is exp of a rounded q log y, off by its size in ulp (712)
    if head == "cloglog":
        return 500  # 1 − y is exp of a rounded e^z, off by its size in ulp (351)
    if loss == "asymmetric":
        return 1000  # y − m cancels near the margin (256)
    if head == "entmax15":
        return 400  # as of sparsemax, and squared (208)
    if head == "sparsemax":
        return 200  # z_k − τ cancels at the rim of the support (176)
    # 1 − x m(x) cancels below the continued fraction; focal multiplies three such (18)
    return 24 if head == "probit" else 10  # (6.4)


def test_the_probits_continued_fraction_has_enough_steps():
    """1 − x m(x) where it is slowest; the mean over many numbers leaves no rounding."""
    x = torch.linspace(2.5001, 2.51, 100, dtype=torch.float64)
    with mp.workdps(30):
        mills = [mp.ncdf(-mpf(one)) / mp.npdf(mpf(one)) for one in x.tolist()]
        true = [1 - mpf(one) * m for one, m in zip(x.tolist(), mills, strict=True)]
        rounded = torch.tensor([float(m) for m in mills], dtype=torch.float64)
        found = [mpf(one) for one in one_less_mills(x, rounded).tolist()]
        errors = [float((a - b) / b) for a, b in zip(found, true, strict=True)]
    assert abs(sum(errors) / len(errors)) < 1.2e-16


def drawn(head: str, outputs: int, count: int, *sizes: tuple[float, float]) -> tuple[list, list]:
    """The edges, and of each (least, most) logits of 10^least to 10^most, exact in float32.

    With ties, hard and soft targets.
    """
    z = [[edge] * outputs for edge in EDGES for _ in range(2)]
    t = [[float(k == one) for k in range(outputs)] for _ in EDGES for one in (0, 1)]
    rngs = [random.Random(f"{head} {outputs}") for _ in sizes]
    for rng, size in [one for one in zip(rngs, sizes, strict=True) for _ in range(count)]:
        scale = 10 ** rng.uniform(*size)
        row = [rng.gauss(0, scale) for _ in range(outputs)]
        if outputs > 1 and rng.random() < 0.2:
            row[-1] = row[0]
        soft = [rng.randint(0, 2**18 // outputs) / 2**18 for _ in range(outputs)]
        soft[0] = 1 - sum(soft[1:]) if outputs > 1 else soft[0]
        hard = [0.0] * outputs
        hard[rng.randrange(outputs)] = float(outputs > 1 or rng.random() < 0.5)
        # the rate e^z of cloglog and its square are to be numbers of float64
        z.append([min(x, 300.0) if head == "cloglog" else x for x in row])
        t.append(soft if rng.random() < 0.4 else hard)
    return torch.tensor(z).tolist(), t


@dataclass(frozen=True)
class Row:
    """One example: its true loss and gradient, and how large the terms are that they mix."""

    value: mpf
    gradient: list[mpf]
    value_scale: mpf
    gradient_scale: list[mpf]


def row(head: str, loss: str, z: list[float], t: list[float], scalars: dict) -> Row:
    value, gradient = reference(head, loss, z, t, **scalars)
    outputs = len(t)
    if loss in ERRORS and outputs > 1:  # whose slopes, of both signs, meet in the Jacobian
        own = {loss: {**oracle_parts.SCALARS.get(loss, {}), **scalars}}
        with patch.dict(oracle_parts.SCALARS, own):
            sizes = [mpf(str(one)) for one in term_sizes(head, loss, 24, z, t)]
        sizes = [max(a, abs(b)) for a, b in zip(sizes, [value, *gradient], strict=True)]
        return Row(value, gradient, sizes[0], sizes[1:])
    epsilon = scalars.get("epsilon", 0.1) if loss == "smoothed_ce" else 0
    weights = [(1 - epsilon) * x + epsilon / max(outputs, 2) for x in t]
    hard = [[float(i == k) for i in range(outputs)] for k in range(outputs)]
    if outputs == 1:
        weights, hard = [*weights, 1 - weights[0]], [[1.0], [0.0]]
    if max(weights) == 1:
        return Row(value, gradient, abs(value), [abs(x) for x in gradient])
    of_hard = [reference(head, "ce" if epsilon else loss, z, one, **scalars) for one in hard]
    value_scale = sum(w * abs(part) for w, (part, _) in zip(weights, of_hard, strict=True))
    gradient_scale = [
        max(w * abs(part[k]) for w, (_, part) in zip(weights, of_hard, strict=True))
        for k in range(outputs)
    ]
    return Row(value, gradient, value_scale, gradient_scale)


def measured(
    head: str, loss: str, outputs: int, count: int, *sizes: tuple[float, float], **scalars: float
) -> dict[str, float]:
    """The worst distances: of value and gradient, in float32 and float64."""
    z, t = drawn(head, outputs, count, *sizes)
    rows = [row(head, loss, a, b, scalars) for a, b in zip(z, t, strict=True)]
    objective = made(head, loss, **scalars)
    worst = {}
    for dtype in BITS:
        logits, targets = torch.tensor(z).to(dtype), torch.tensor(t).to(dtype)
        found = objective.losses(logits, targets).tolist()
        slopes = objective.gradient(logits, targets).tolist()
        name = str(dtype).removeprefix("torch.")
        lost = [0.0] * len(rows)
        if head == "softmax":
            lost = lost_by_differences(logits, loss).tolist()
        worst[f"{name} value"] = max(
            distance(got, one.value, one.value_scale, dtype) - slack
            for got, one, slack in zip(found, rows, lost, strict=True)
        )
        worst[f"{name} gradient"] = max(
            distance(got, true, scale, dtype) - slack
            for slope, one, slack in zip(slopes, rows, lost, strict=True)
            for got, true, scale in zip(slope, one.gradient, one.gradient_scale, strict=True)
        )
    return worst


def made(head: str, loss: str, **scalars: float) -> Objective:
    kinds = {one.name: one for one in LOSSES}
    return Objective(head, kinds[loss](**scalars) if scalars else loss)


@looped("head, loss, outputs", PAIRS)
def test_every_pair(head, loss, outputs):
    worst = measured(head.name, loss.name, outputs, 8, (-8, 2), (1, 4))
    assert_bounds(head.name, loss.name, worst)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(("head", "loss", "outputs"), PAIRS)
def test_every_pair_at_many_points(head, loss, outputs):
    for count, size in ((1000, (-8, 2)), (300, (1, 4))):
        worst = measured(head.name, loss.name, outputs, count, size)
        assert_bounds(head.name, loss.name, worst)


@looped(
    "head, loss, outputs, scalars",
    [(*pair, given) for pair in PAIRS for given in SCALARS.get(pair[1].name, [])],
)
def test_every_scalar(head, loss, outputs, scalars):
    worst = measured(head.name, loss.name, outputs, 6, (-4, 1.5), **scalars)
    assert_bounds(head.name, loss.name, worst)


def assert_bounds(head: str, loss: str, worst: dict[str, float]) -> None:
    for name, found in worst.items():
        assert found <= bound(head, loss), (name, found)


def test_the_distance_sees_what_is_wrong():
    """A formula that is composed instead loses its tail, and is found out."""
    z, t = torch.tensor([[40.0]], dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    true, (slope,) = reference("sigmoid", "focal", [40.0], [1.0])
    composed = Focal()(z.sigmoid(), t).item()
    assert distance(composed, true, mpf(0), torch.float64) > 1e6
    exact = Objective("sigmoid", "focal")
    assert distance(exact.losses(z, t).item(), true, mpf(0), torch.float64) < 10
    assert distance(exact.gradient(z, t).item(), slope, mpf(0), torch.float64) < 10


@looped(
    "head, loss, outputs, size",
    # of several logits that share one probability ∞ − ∞ is no number
    [(*pair, 1e4) for pair in PAIRS] + [(*pair, 1e20) for pair in PAIRS]
    + [(*pair, math.inf) for pair in PAIRS if pair[2] == 1],
)  # fmt: skip
def test_far_tails_are_no_nan(head, loss, outputs, size):
    """If the truth is no float, as e^z of cloglog, it is ∞."""
    for dtype in BITS:
        first = torch.tensor([size, -size] * 2, dtype=dtype)
        z = torch.zeros(4, outputs, dtype=dtype)
        z[:, 0] = first
        t = torch.zeros(4, outputs, dtype=dtype)
        t[:2, 0] = 1
        if outputs > 1:
            t[2:, 1] = 1
        objective = Objective(head(), loss())
        losses, gradient = objective.losses(z, t), objective.gradient(z, t)
        assert not losses.isnan().any()
        assert not gradient.isnan().any()
        assert (losses >= 0).all()


def test_a_class_outside_the_support_is_freed_by_the_matching_loss_alone():
    z, t = torch.tensor([[0.0, 3.0, -1.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    for loss in (one for one in LOSSES if (Sparsemax, one) in KERNELS):
        gradient = Objective("sparsemax", loss.name).gradient(z, t)
        expected = [[-1.0, 1.0, 0.0]] if loss.matches_head else [[0.0, 0.0, 0.0]]
        assert gradient.tolist() == expected, loss.name


@pytest.mark.parametrize("loss", ["focal", "gce", "smoothed_ce"])
@pytest.mark.parametrize(("z", "t", "slope"), [(0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_clipped_units_at_the_kinks(loss, z, t, slope):
    """The clip's derivative is 1 there, the floored logarithm's 0: 0 for the wrong target."""
    kinds = {"focal": Focal(0.0), "smoothed_ce": SmoothedCrossEntropy(0.0),
             "gce": GeneralisedCrossEntropy(0.7)}  # fmt: skip
    logits, targets = torch.tensor([[float(z)]]), torch.tensor([[float(t)]])
    assert Objective("clipped_linear", kinds[loss]).gradient(logits, targets).item() == slope


@pytest.mark.parametrize(("z", "t", "slope"), [(0, 0, 0), (0, 1, -2), (1, 0, 2), (1, 1, 0)])
@pytest.mark.parametrize("head", ["linear", "clipped_linear"])
def test_hinge_at_its_margins(head, z, t, slope):
    logits, targets = torch.tensor([[float(z)]]), torch.tensor([[float(t)]])
    assert Objective(head, "hinge").gradient(logits, targets).item() == slope


def test_formulas_follow_the_scalar():
    z, t = torch.tensor([[0.3]]), torch.tensor([[1.0]])
    costs = [Objective("sigmoid", Focal(gamma)).losses(z, t).item() for gamma in (0, 1, 2)]
    assert costs[0] > costs[1] > costs[2]
    assert Objective("sigmoid", "focal").losses(z, t).item() == costs[2]


def test_the_continued_fraction_of_the_probit_leaves_less_than_rounding():
    """At its shortest, just above 2.5, where a term fewer shifts the mean error by 2e-16."""
    z = torch.linspace(2.5, 2.55, 401, dtype=torch.float64)[1:, None]
    found = Objective("probit", "matching").losses(z, torch.ones_like(z))
    errors = []
    for (one,), loss in zip(z.tolist(), found.tolist(), strict=True):
        true = mp.npdf(one) - one * mp.erfc(one / mp.sqrt(2)) / 2
        errors.append(float((loss - true) / true))
    assert abs(sum(errors) / len(errors)) < 1e-16
