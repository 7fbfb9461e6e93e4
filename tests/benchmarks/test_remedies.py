"""The judge of remedies that were tried: twins, cures, and what counts as cured."""

from __future__ import annotations

from collections import Counter

import pytest

from mlr.benchmarks import remedies
from mlr.benchmarks.explain import PLANTED, Fault
from mlr.benchmarks.remedies import CURES, TriedFault, curable, try_faults

DEAD = Fault(
    "clipped_dead", "data=blobs epochs=9 head=clipped_linear loss=se model.weight=1 model.bias=8", 1
)
CURE = "head=sigmoid loss=bce model.weight=null model.bias=null"


def test_every_planted_fault_has_its_entry():
    counts = Counter(case.rule for case in PLANTED)
    assert {rule: len(cures) for rule, cures in CURES.items()} == dict(counts)
    left_out = {case.rule for case in PLANTED} - {case.rule for case, _ in curable()}
    assert left_out == {"label_noise", "overfitting", "rare_class"}


@pytest.mark.parametrize(
    ("faulty", "cured", "harmful", "is_cured", "in_vain"),
    [
        (0.1, 0.95, True, True, False),
        (0.1, 0.93, True, False, False),
        (0.1, 0.99, True, True, False),
        (0.5, 0.4, True, False, True),
        (0.95, 0.96, False, True, False),
    ],
)
def test_cured_is_as_good_as_healthy(faulty, cured, harmful, is_cured, in_vain):
    one = TriedFault(DEAD, "loss=bce", faulty, cured, healthy=0.97)
    assert (one.is_harmful, one.is_cured, one.in_vain) == (harmful, is_cured, in_vain)


@pytest.mark.slow
def test_a_fault_is_tried_and_judged_with_other_seeds(tmp_path):
    (one,) = try_faults(tmp_path, [(DEAD, CURE)])
    assert one.remedy in ("head=sigmoid loss=bce", "loss=matching")
    assert one.is_cured
    assert one.faulty == pytest.approx(0.5, abs=0.05)
    assert one.healthy > 0.9
    first, second = remedies.rows(1, [(DEAD, CURE)])
    assert (first.mlr, first.kept) == ("1 of 1", True)
    assert (second.mlr, second.kept) == ("0 of 1", True)


def test_faults_that_cost_nothing_are_not_counted(tmp_path, monkeypatch):
    found = [
        TriedFault(DEAD, "loss=bce", 0.5, 0.97, 0.97),
        TriedFault(DEAD, "", 0.5, 0.5, 0.97),
        TriedFault(DEAD, "", 0.96, 0.96, 0.97),
    ]
    monkeypatch.setattr(remedies, "try_faults", lambda folder, cases: found)
    first, second = remedies.rows(1)
    assert (first.mlr, first.value, first.kept) == ("1 of 2", 50, False)
    assert first.other == f"none: {DEAD.overrides}"
    assert second.mlr == "0 of 1"
