from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlr.analysis.grouping import check_keys, grouped, short, varied
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
