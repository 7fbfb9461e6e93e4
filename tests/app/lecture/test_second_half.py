"""Slides 23–45: what needs no training holds, and would not if the numbers were others."""

from __future__ import annotations

import pytest

from mlr.app.lecture import cross_entropy, one_logit, softmax_limits, squared_error
from mlr.app.lecture.lab import Lab
from mlr.app.lecture.slides import SLIDES

QUICK = (24, 28, 29, 35, 42, 43)
BY_NUMBER = {slide.number: slide for slide in SLIDES}


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "slide")


def test_no_slide_is_missing():
    assert set(range(23, 46)) <= set(BY_NUMBER)


@pytest.mark.parametrize("number", QUICK)
def test_it_holds(number, lab):
    answer = BY_NUMBER[number].ask(lab)
    assert [claim for claim in answer.claims if not claim.holds] == []
    assert answer.pictures


@pytest.mark.parametrize("number", range(23, 46))
def test_it_asks_and_names_its_source(number):
    slide = BY_NUMBER[number]
    assert slide.question.endswith("?")
    assert any(note.startswith("Source: ") for note in slide.notes)


def test_another_gradient_would_be_noticed(lab, monkeypatch):
    true = one_logit.slopes
    monkeypatch.setattr(squared_error, "slopes", lambda *case: 1.001 * true(*case))
    assert not squared_error.vanishing_gradient(lab).holds


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
