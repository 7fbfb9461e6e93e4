from __future__ import annotations

from math import inf, nan

from mlr.analysis.seed_groups import Cell, cells
from mlr.app.config.run_names import run_name
from mlr.records.outcome import Outcome


def outcome(accuracy: float, *overrides: str, pair: str = "sigmoid+se", status: str = "done"):
    metrics = {"accuracy/test": accuracy, "loss/test": 1 - accuracy}
    return Outcome(pair, overrides, status, metrics=metrics, pair=pair)


def test_a_cell_is_everything_but_the_seed():
    runs = [
        outcome(0.5, "seed=0", "optimizer.lr=0.1", "epochs=3"),
        outcome(0.7, "seed=1", "optimizer.lr=0.1", "epochs=3"),
        outcome(0.9, "seed=0", "optimizer.lr=1", "epochs=3"),
    ]
    low, high = cells(runs)
    assert (low.name, high.name) == ("sigmoid+se optimizer.lr=0.1", "sigmoid+se optimizer.lr=1")
    assert run_name(high.pair, high.chosen) == "sigmoid+se,lr=1"
    assert high.hparams == {"head": "sigmoid", "loss": "se", "lr": 1}
    assert (low.runs, high.runs) == (runs[:2], runs[2:])


def test_runs_without_an_end_have_no_cell():
    assert cells([outcome(0.5, status=status) for status in ("failed", "interrupted")]) == []


def test_a_sweeper_gets_infinity_for_what_is_no_number():
    assert outcome(0.5).objective("accuracy/test") == 0.5
    assert outcome(nan).objective("loss/test") == inf
    assert outcome(0.5, status="diverged").objective("loss/test") == inf
    assert outcome(0.5).objective("logit_grad/wrong") == inf


def test_folders_of_cells_name_keys_by_their_last_part_where_that_tells_them_apart():
    both = Cell("a+b", {"data.seed": "1", "model.seed": "2", "optimizer.lr": "3"}, [])
    assert run_name(both.pair, both.chosen) == "a+b,data.seed=1,model.seed=2,lr=3"
