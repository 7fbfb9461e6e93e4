"""Claims of slides 23–45 fail with other numbers."""

from __future__ import annotations

import pytest

from mlr.lecture.lab import Lab
from mlr.lecture.slides import cross_entropy, linear_unit, one_logit, softmax
from mlr.lecture.slides import squared_error as squared


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
    class Warm(softmax.Softmax):
        def __call__(self, logits):
            return super().__call__(logits / 1.01)

    monkeypatch.setattr(softmax, "Softmax", Warm)
    assert not softmax.towards_arg_max(lab).holds


def test_another_point_would_be_noticed(lab, monkeypatch):
    monkeypatch.setattr(linear_unit, "POINTS", (0.0, 1.0, 2.0, 3.5))
    assert not linear_unit.threshold_at_half(lab).holds
