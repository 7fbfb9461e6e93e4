from __future__ import annotations

from pathlib import Path

from mlr.analysis.grouping import SeedGroup, seed_groups
from mlr.app.config.run_names import run_name
from mlr.records.reading import Recorded


def run(*overrides: str, pair: str = "sigmoid+se", status: str = "done") -> Recorded:
    return Recorded(Path("x"), {"status": status, "pair": pair, "overrides": overrides})


def test_a_group_is_everything_but_the_seed():
    runs = [
        run("seed=0", "optimizer.lr=0.1", "epochs=3"),
        run("seed=1", "optimizer.lr=0.1", "epochs=3"),
        run("seed=0", "optimizer.lr=1", "epochs=3"),
    ]
    low, high = seed_groups(runs)
    assert (low.name, high.name) == ("sigmoid+se optimizer.lr=0.1", "sigmoid+se optimizer.lr=1")
    assert run_name(high.pair, high.chosen) == "sigmoid+se,lr=1"
    assert high.hparams == {"head": "sigmoid", "loss": "se", "lr": 1}
    assert (low.runs, high.runs) == (runs[:2], runs[2:])


def test_runs_without_an_end_are_in_no_group():
    assert seed_groups([run(status=status) for status in ("failed", "interrupted")]) == []


def test_folders_of_groups_name_keys_by_their_last_part_where_that_tells_them_apart():
    both = SeedGroup("a+b", {"data.seed": "1", "model.seed": "2", "optimizer.lr": "3"}, [])
    assert run_name(both.pair, both.chosen) == "a+b,data.seed=1,model.seed=2,lr=3"
