from __future__ import annotations

from math import inf, isnan, nan, sqrt

import pytest

from mlr.app.cells import Cell, cells
from mlr.app.outcome import Outcome


def outcome(accuracy: float, *overrides: str, pair: str = "sigmoid+se", status: str = "done"):
    metrics = {"accuracy/test": accuracy, "loss/test": 1 - accuracy}
    return Outcome(pair, overrides, status, metrics=metrics, pair=pair)


def test_a_cell_is_everything_but_the_seed_and_the_best_comes_first():
    runs = [
        outcome(0.5, "seed=0", "optimizer.lr=0.1", "epochs=3"),
        outcome(0.7, "seed=1", "optimizer.lr=0.1", "epochs=3"),
        outcome(0.9, "seed=0", "optimizer.lr=1", "epochs=3"),
    ]
    best, other = cells(runs)
    assert (best.name, other.name) == ("sigmoid+se optimizer.lr=1", "sigmoid+se optimizer.lr=0.1")
    assert best.folder == "sigmoid+se,lr=1"
    assert best.hparams == {"head": "sigmoid", "loss": "se", "lr": 1}
    mean, std = other.spread["accuracy/test"]
    assert mean == pytest.approx(0.6)
    assert std == pytest.approx(0.1 * sqrt(2))
    assert isnan(best.spread["accuracy/test"][1])


def test_diverged_runs_are_counted_and_have_no_share_in_the_mean():
    runs = [outcome(0.5, "seed=0"), outcome(nan, "seed=1", status="diverged")]
    (cell,) = cells(runs)
    assert (len(cell.runs), cell.diverged) == (2, 1)
    assert cell.spread["accuracy/test"][0] == 0.5


def test_cells_of_nothing_but_diverged_runs_come_last():
    bad = outcome(nan, "seed=0", pair="linear+se", status="diverged")
    ranked = cells([bad, outcome(0.1, "seed=0")])
    assert [cell.pair for cell in ranked] == ["sigmoid+se", "linear+se"]


def test_runs_without_an_end_have_no_cell():
    assert cells([outcome(0.5, status=status) for status in ("failed", "interrupted")]) == []


def test_a_sweeper_gets_infinity_for_what_is_no_number():
    assert outcome(0.5).objective("accuracy/test") == 0.5
    assert outcome(nan).objective("loss/test") == inf
    assert outcome(0.5, status="diverged").objective("loss/test") == inf
    assert outcome(0.5).objective("logit_grad/wrong") == inf


def test_folders_of_cells_name_keys_by_their_last_part_where_that_tells_them_apart():
    both = Cell("a+b", {"data.seed": "1", "model.seed": "2", "optimizer.lr": "3"}, [], 0, {})
    assert both.folder == "a+b,data.seed=1,model.seed=2,lr=3"
