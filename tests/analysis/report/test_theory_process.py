"""Curves by another process are those of this one."""

from __future__ import annotations

import sys
from math import exp, log

import pytest
import torch  # noqa: F401 - so that no process is started but by the tests

from mlr.analysis.report import theory_process
from mlr.analysis.report.theory import Pair, grid
from mlr.analysis.report.theory_process import Theory

PAIRS = [
    Pair({"_target_": "mlr.heads.Sigmoid"}, {"_target_": "mlr.losses.BinaryCrossEntropy"}, 2),
    Pair({"_target_": "mlr.heads.NoSuchHead"}, {"_target_": "mlr.losses.SquaredError"}, 2),
]


def by_process() -> Theory:
    """As a fresh report has it, which has not imported torch."""
    theory = Theory(PAIRS)
    theory._process = theory_process._started(PAIRS)
    return theory


def test_another_process_computes_the_same():
    theory = by_process()
    drawn, refused = theory.curves()
    assert theory._process.returncode == 0
    assert drawn["gradient"][1][grid().index(-2.0)] == pytest.approx(-1 / (1 + exp(-2)), rel=1e-3)
    assert "NoSuchHead" in refused["why"]


def test_the_work_of_a_process_that_failed_is_done_here(monkeypatch):
    monkeypatch.setattr(theory_process, "_PROGRAM", "import sys; sys.exit(1)")
    theory = by_process()
    drawn, refused = theory.curves()
    assert theory._process.returncode == 1
    assert drawn["loss"][1][grid().index(0.0)] == pytest.approx(log(2), rel=1e-3)
    assert "NoSuchHead" in refused["why"]


def test_a_process_is_started_only_where_torch_is_not_at_hand(monkeypatch):
    started = []
    monkeypatch.setattr(theory_process, "_started", started.append)
    Theory(PAIRS)
    assert started == []
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "torch")
        Theory(PAIRS)
    assert started == [PAIRS]
