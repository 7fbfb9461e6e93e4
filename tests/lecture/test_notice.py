"""Claims of slides 23–45 do not hold of other numbers."""

from __future__ import annotations

import pytest

from mlr.app.lab import Lab
from mlr.lecture import boundary, cross_entropy, linear_unit, one_logit, softmax_limits
from mlr.lecture import squared_error as squared


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "slide")


def test_another_gradient_would_be_noticed(lab, monkeypatch):
    true = one_logit.slopes
    monkeypatch.setattr(squared, "slopes", lambda *case: 1.001 * true(*case))
    assert not squared.vanishing_gradient(lab).holds


def test_another_cost_would_be_noticed(lab, monkeypatch):
    true = one_logit.costs
    monkeypatch.setattr(cross_entropy, "costs", lambda *case: true(*case) + 1e-6)
    assert not cross_entropy.linear_in_the_logit(lab).holds


def test_another_softmax_would_be_noticed(lab, monkeypatch):
    class Warm(softmax_limits.Softmax):
        def __call__(self, logits):
            return super().__call__(logits / 1.01)

    monkeypatch.setattr(softmax_limits, "Softmax", Warm)
    assert not softmax_limits.towards_arg_max(lab).holds


def test_another_point_would_be_noticed(lab, monkeypatch):
    monkeypatch.setattr(boundary, "POINTS", (0.0, 1.0, 2.0, 3.5))
    assert not linear_unit.threshold(lab).holds
