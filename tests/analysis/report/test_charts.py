from __future__ import annotations

import pytest

from mlr.analysis.compare.comparison import compare
from mlr.analysis.formatting import significant
from mlr.analysis.report import charts as module
from mlr.analysis.report.charts import FEWEST_POINTS, curves
from mlr.analysis.report.content import groups
from mlr.records.reading import read_runs
from tests.analysis.report.making import POINTS, add_run


@pytest.fixture
def made(tmp_path):
    for seed, accuracy in enumerate((0.4, 0.6)):
        add_run(tmp_path, "sigmoid", "se", seed, accuracy)
    add_run(tmp_path, "softmax", "ce", 0, 1.0)
    return groups(compare(read_runs(tmp_path), ["pair"]))


def test_curves_are_mean_and_quantiles_over_seeds(made):
    found = curves(made)
    alone, pair = found["groups"]
    place, mean, low, high = pair["accuracy/val"]
    assert found["steps"][place] == list(range(0, 10 * POINTS, 20))
    assert mean[-1] == pytest.approx(0.5)
    assert (low[-1], high[-1]) == pytest.approx((0.42, 0.58))
    assert len(alone["accuracy/val"]) == 2  # one run has no spread
    assert alone["accuracy/val"][1][-1] == 1.0


def test_tags_that_are_not_drawn_are_left_out(made):
    assert set(curves(made)["groups"][0]) == {
        *("loss/train", "accuracy/val", "logit_grad/wrong", "stuck/fraction")
    }


def test_a_page_has_room_for_so_many_numbers_only(made, monkeypatch):
    monkeypatch.setattr(module, "MOST_NUMBERS", 10)
    found = curves(made)
    place, mean, *_ = found["groups"][0]["loss/train"]
    steps = found["steps"][place]
    assert len(mean) == len(steps) == FEWEST_POINTS
    assert (steps[0], steps[-1]) == (0, 10 * (POINTS - 1))


def test_numbers_have_four_digits():
    assert significant([0.123456, 1234567.0, 1e-12]) == [0.1235, 1235000.0, 1e-12]
