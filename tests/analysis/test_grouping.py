from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlr.analysis.grouping import SeedGroup, check_keys, grouped, seed_groups, short, varied
from mlr.app.config.run_names import run_name
from mlr.core.checks import InputError
from mlr.records.reading import Recorded

METRIC = "accuracy/test"


def run(value=0.9, *overrides: str, pair="sigmoid+se", seed=0, status="done", name="") -> Recorded:
    """Never read from disk; its folder is not there."""
    metrics = {} if value is None else {METRIC: value, "loss/test": value}
    entries = {"status": status, "pair": pair, "seed": seed, "overrides": overrides}
    place = name or "/".join([pair, *overrides, str(seed)])
    return Recorded(Path("nowhere", place), {**entries, "metrics": metrics})


def test_runs_are_grouped_by_any_keys_in_the_order_they_come():
    runs = [
        run(0.9, "model=mlp"),
        run(0.8, "model=linear", pair="softmax+ce"),
        run(0.7, "model=mlp", seed=1),
    ]
    assert list(grouped(runs, ["head", "loss"])) == [("sigmoid", "se"), ("softmax", "ce")]
    assert grouped(runs, ["model"]) == {("mlp",): [runs[0], runs[2]], ("linear",): [runs[1]]}
    assert list(grouped(runs, ["pair", "seed"])) == [
        ("sigmoid+se", 0),
        ("softmax+ce", 0),
        ("sigmoid+se", 1),
    ]


@pytest.mark.parametrize(
    ("classes", "keys"),
    [
        (["a.Arctan", "a.Wide"], []),  # the names of the heads already
        (["a.Arctan", "b.Arctan"], ["head._target_"]),
    ],
)
def test_an_own_class_is_no_column_beside_its_name(classes, keys):
    named = {one: f"{one.rpartition('.')[2]}+se" for one in classes}
    runs = [run(0.9, f"head._target_={one}", pair=pair) for one, pair in named.items()]
    assert varied(runs) == keys


def test_what_differs_apart_from_head_loss_and_seed():
    runs = [
        run(0.9, "head=sigmoid", "model=mlp", "seed=0", "epochs=3", "sweep.resume=a"),
        run(0.9, "head=softmax", "+model=linear", "seed=1", "epochs=3.0", pair="softmax+se"),
    ]
    assert varied(runs) == ["model"]


def test_unknown_keys_are_refused_with_those_known():
    runs = [run(0.9, "model=mlp", "optimizer.lr=1")]
    assert check_keys(runs, ["lr", "model", "seed"]) == ["optimizer.lr", "model", "seed"]
    message = (
        "Unknown --by=modle. Did you mean --by=model? "
        "Choose from head, loss, model, optimizer.lr, pair, seed."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        check_keys(runs, ["modle"])


def test_keys_are_short_where_that_tells_them_apart():
    assert short(["optimizer.lr", "model.n", "data.n"]) == ["lr", "model.n", "data.n"]


def test_a_group_is_everything_but_the_seed():
    runs = [
        run(0.9, "seed=0", "optimizer.lr=0.1", "epochs=3"),
        run(0.9, "seed=1", "optimizer.lr=0.1", "epochs=3"),
        run(0.9, "seed=0", "optimizer.lr=1", "epochs=3"),
    ]
    low, high = seed_groups(runs)
    assert (low.name, high.name) == ("sigmoid+se optimizer.lr=0.1", "sigmoid+se optimizer.lr=1")
    assert run_name(high.pair, high.chosen) == "sigmoid+se,lr=1"
    assert high.hparams == {"head": "sigmoid", "loss": "se", "lr": 1}
    assert (low.runs, high.runs) == (runs[:2], runs[2:])


def test_runs_without_an_end_are_in_no_group():
    assert seed_groups([run(0.9, status=status) for status in ("failed", "interrupted")]) == []


def test_folders_of_groups_name_keys_by_their_last_part_where_that_tells_them_apart():
    both = SeedGroup("a+b", {"data.seed": "1", "model.seed": "2", "optimizer.lr": "3"}, [])
    assert run_name(both.pair, both.chosen) == "a+b,data.seed=1,model.seed=2,lr=3"
