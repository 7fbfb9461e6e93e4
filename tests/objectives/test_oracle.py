"""Values and gradients against the 50-digit oracle of shared/reference, and at marked points."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import pytest
import torch

from mlr.core.domains import REALS, Distributions, Levels
from mlr.heads import HEADS, ClippedLinear, Corn, Cumulative, Evidential, Linear, Sigmoid, Softmax
from mlr.losses import LOSSES, ArcFace, CosFace, EvidentialSquaredError, Matching, OrdinalNll
from mlr.objectives import KERNELS, Objective
from tests.looping import looped
from tests.objectives.exactness import limit, lost_by_differences
from tests.objectives.mp_reference import BITS, distance, mpf, reference, ulps
from tests.objectives.oracle import term_sizes
from tests.objectives.test_objective import possible

DTYPES = (torch.float64, torch.float32)
BESIDE = Path(__file__).parents[3] / "shared" / "reference"
ORACLE = Path(os.environ.get("MLR_ORACLE", BESIDE)) / "heads_losses_oracle.json"


@cache
def oracle() -> dict[tuple[str, str, int], list[dict]]:
    if not ORACLE.exists():
        pytest.skip(f"the oracle {ORACLE} is not here; set MLR_ORACLE to its folder")
    groups: dict[tuple[str, str, int], list[dict]] = {}
    for case in json.loads(ORACLE.read_text())["cases"]:
        groups.setdefault((case["head"], case["loss"], case["K"]), []).append(case)
    return groups


def admitted(case: dict, dtype: torch.dtype) -> bool:
    """Return True if the row follows our conventions and its input exists in `dtype`.

    The oracle's ce of one elementwise output is the literal −t log y; ours is over
    (1 − y, y) as the lecture has it, so that only rows with t = 1 agree. The rest of our
    one-output ce is tested against the bce rows.
    """
    one_output_ce = case["loss"] == "ce" and case["K"] == 1
    inputs = [float(x) for x in case["z"] + case["t"]]
    fits = all(torch.tensor(x, dtype=torch.float64).to(dtype).item() == x for x in inputs)
    return fits and (not one_output_ce or case["t"] == ["1.0"])


def tensors(rows: list[list[str]], dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor([[float(x) for x in row] for row in rows], dtype=torch.float64).to(dtype)


def compared(head: str, loss: str, cases: list[dict], dtype: torch.dtype) -> float:
    """The worst distance of value and gradient from the oracle, in ulp of the largest term."""
    objective = Objective(head, loss, strict=False)
    z, t = tensors([c["z"] for c in cases], dtype), tensors([c["t"] for c in cases], dtype)
    losses, gradients = objective.losses(z, t).tolist(), objective.gradient(z, t).tolist()
    lost = lost_by_differences(z, loss).tolist() if head == "softmax" else [0.0] * len(cases)
    worst = 0.0
    for row, case in enumerate(cases):
        found, true = [losses[row], *gradients[row]], [case["loss_value"], *(case["grad"] or [])]
        terms = term_sizes(head, loss, BITS[dtype][0], z[row].tolist(), t[row].tolist())
        for got, exact, term in zip(found, true, terms, strict=False):
            if exact != "inf":
                far = distance(got, mpf(exact), mpf(str(term)), dtype) - lost[row]
                if head == "softmax" and abs(got) < 64 * torch.finfo(dtype).smallest_normal:
                    far -= 2 * len(t[row])  # sums of subnormal numbers, each off by half an ulp
                worst = max(worst, far)
    return worst


PAIRS = [
    ("linear", "se", 1), ("clipped_linear", "se", 1), ("clipped_linear", "se", 3),
    ("clipped_linear", "bce", 1), ("clipped_linear", "ce", 1),
    *[("sigmoid", loss, k) for loss in ("se", "bce", "ce") for k in (1, 3)],
    *[("softmax", loss, k) for loss in ("se", "bce", "ce") for k in (2, 3, 10)],
]  # fmt: skip


@looped("dtype", DTYPES)
@looped("head, loss, outputs", PAIRS)
def test_every_admitted_case_of_the_oracle(head, loss, outputs, dtype):
    cases = [case for case in oracle()[head, loss, outputs] if admitted(case, dtype)]
    assert cases
    assert compared(head, loss, cases, dtype) <= limit(head, loss)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("head", ["sigmoid", "clipped_linear"])
def test_one_output_ce_is_bce(head, dtype):
    cases = [case for case in oracle()[head, "bce", 1] if admitted(case, dtype)]
    assert compared(head, "ce", cases, dtype) <= limit(head, "ce")


def test_the_oracle_groups_are_all_tested_or_refused():
    assert set(oracle()) - set(PAIRS) == {("linear", "bce", 1), ("linear", "ce", 1)}


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinite_cells_of_the_oracle_are_our_floor(dtype):
    cases = [
        case
        for case in oracle()["clipped_linear", "bce", 1]
        if admitted(case, dtype) and case["loss_value"] == "inf"
    ]
    objective = Objective("clipped_linear", "bce")
    z, t = tensors([c["z"] for c in cases], dtype), tensors([c["t"] for c in cases], dtype)
    wrong = torch.where(z <= 0, t, 1 - t)  # the weight of the floored logarithm
    assert torch.equal(objective.losses(z, t), (100 * wrong).sum(-1))
    assert (objective.gradient(z, t)[(z < 0) | (z > 1) | (wrong == 1)] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("z", "t"), [(20.0, 1.0), (-20.0, 0.0), (-1000.0, 1.0), (1000.0, 0.0)])
def test_tails_of_sigmoid_bce(z, t, dtype):
    logits, targets = torch.tensor([[z]], dtype=dtype), torch.tensor([[t]], dtype=dtype)
    objective = Objective("sigmoid", "bce")
    true, (slope,) = reference("sigmoid", "bce", [z], [t])
    assert ulps(objective.losses(logits, targets).item(), true, dtype) <= 1
    assert ulps(objective.gradient(logits, targets).item(), slope, dtype) <= 2
    assert objective.gradient(logits, targets).item() != 0


def test_the_confident_and_right_keep_value_and_gradient_in_float32():
    z, t = torch.tensor([[20.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    objective = Objective("softmax", "ce")
    expected = torch.tensor([[-4.1223073e-09, 2.0611537e-09, 2.0611537e-09]])
    torch.testing.assert_close(objective.gradient(z, t), expected, rtol=1e-6, atol=0)
    assert objective.losses(z, t).item() == pytest.approx(4.1223073e-09, rel=1e-6)


@looped("head, loss", [(h, lo) for h, lo in KERNELS if lo is not Matching])
def test_halves_are_rounded_once(head, loss):
    width = 3 * head.range.per_target
    objective = Objective(head(), loss(), strict=False)
    for dtype in (torch.bfloat16, torch.float16):
        z = (torch.randn(40, width, generator=torch.Generator().manual_seed(0)) * 4).to(dtype)
        t = possible(head, torch.eye(3)[torch.arange(40) % 3]).to(dtype)
        for function in (objective.losses, objective.gradient, objective):
            assert function(z, t).dtype == dtype
            expected = function(z.double(), t.double()).to(dtype)
            assert (function(z, t) == expected).float().mean() > 0.99
            torch.testing.assert_close(function(z, t), expected, rtol=1e-2, atol=1e-7)


def test_the_table_holds_every_legal_pair_and_every_matching_loss():
    legal = {
        (head, loss)
        for head in HEADS
        for loss in LOSSES
        if (loss.domain.entries.contains(head.range.entries) and not loss.on_logits)
        or (loss.matches_head and not isinstance(head.range, Distributions))
    }
    of_order = {
        pair for pair in legal if isinstance(pair[0].range, Levels) or pair[1] is OrdinalNll
    }
    ordered = {(Cumulative, OrdinalNll), (Corn, OrdinalNll)}  # as exact as test_ordinal has it
    of_logits = {(Softmax, ArcFace), (Softmax, CosFace), (Evidential, EvidentialSquaredError)}
    composed = {pair for pair in legal if pair[0] is Evidential}
    assert {*KERNELS} == (legal - of_order - composed) | ordered | of_logits
    for head, usual in ((Linear, "se"), (Sigmoid, "bce"), (Softmax, "ce")):
        assert Objective(head(), "matching").kernel is Objective(head(), usual).kernel
    clipped = ClippedLinear()
    assert Objective(clipped, "matching").kernel is not Objective(clipped, "se").kernel
    assert REALS.contains(Linear.range)


@pytest.mark.parametrize("loss", ["se", "bce", "matching"])
@pytest.mark.parametrize("start", [-3.0, -1e-30, 1.0000001, 4.0])
def test_a_strayed_clipped_unit_is_freed_by_its_matching_loss_alone(loss, start):
    z, t = torch.tensor([[start]]), torch.tensor([[float(start < 0)]])
    gradient = Objective("clipped_linear", loss).gradient(z, t)
    assert gradient.item() == ((1.0 if start > 1 else -1.0) if loss == "matching" else 0.0)


@pytest.mark.parametrize(("z", "t", "slope"), [(0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_clipped_bce_at_the_kinks(z, t, slope):
    """The clip's derivative is 1 there, the floored logarithm's 0: 0 for the wrong target."""
    logits, targets = torch.tensor([[float(z)]]), torch.tensor([[float(t)]])
    assert Objective("clipped_linear", "bce").gradient(logits, targets).item() == slope


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("head", "loss"), [("sigmoid", "bce"), ("softmax", "ce")])
def test_infinite_logits_that_are_right_cost_nothing(head, loss, dtype):
    z = torch.tensor([[torch.inf, -torch.inf]], dtype=dtype)
    t = torch.tensor([[1.0, 0.0]], dtype=dtype)
    if head == "softmax":  # a masked class; +inf itself is nan, as inf − inf is
        z[0, 0] = 0
    assert Objective(head, loss).losses(z, t).item() == 0
    assert torch.equal(Objective(head, loss).gradient(z, t), torch.zeros_like(z))


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_stays_nan_and_in_its_own_example_of_the_gaussian(dtype):
    """As tests/objectives/test_infinite.py has it of every other pair."""
    z, t = torch.zeros(2, 6, dtype=dtype), torch.eye(3, dtype=dtype)[:2]
    z[0] = torch.nan
    objective = Objective("gaussian", "gaussian_nll")
    assert objective.losses(z, t).isnan().tolist() == [True, False]
    assert objective.gradient(z, t)[1].isfinite().all()
