from __future__ import annotations

from math import inf, nan

from mlr.records.outcome import Outcome


def outcome(accuracy: float, status: str = "done") -> Outcome:
    metrics = {"accuracy/test": accuracy, "loss/test": 1 - accuracy}
    return Outcome("run", [], status, metrics=metrics)


def test_a_sweeper_gets_infinity_for_what_is_no_number():
    assert outcome(0.5).objective("accuracy/test") == 0.5
    assert outcome(nan).objective("loss/test") == inf
    assert outcome(0.5, status="diverged").objective("loss/test") == inf
    assert outcome(0.5).objective("logit_grad/wrong") == inf
