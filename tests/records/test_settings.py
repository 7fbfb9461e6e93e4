from __future__ import annotations

from math import inf

import pytest

from mlr.analysis.grouping import known_keys
from mlr.records.reading import read_runs
from mlr.records.settings import hyperparameters, parse_value, split_overrides, value_text
from tests.records.written import write_run

CONFIG = """
model: {_target_: mlr.models.MLP, hidden: [128, 10], init: torch}
optimizer: {lr: 0.5}
epochs: 3
patience: null
"""


@pytest.fixture
def run(tmp_path):
    overrides = ["optimizer.lr=1e-3", "+extra=[1, 2]", "~probes", "data='my file'"]
    choices = "model: mlp, data: csv, experiment: null, hydra/launcher: batched"
    write_run(tmp_path, "softmax+ce", 4, overrides, config=CONFIG, choices=choices)
    return read_runs(tmp_path)[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pair", "softmax+ce"),
        ("head", "softmax"),
        ("loss", "ce"),
        ("seed", 4),
        ("optimizer.lr", 0.001),
        ("extra", "[1,2]"),
        ("data", "my file"),
        ("model", "mlp"),
        ("model.init", "torch"),
        ("model.hidden", "[128,10]"),
        ("epochs", 3),
        ("patience", None),
        ("experiment", None),
        ("model.init.deeper", None),
        ("nothing", None),
    ],
)
def test_typed_before_configured_before_chosen(run, key, value):
    assert run.setting(key) == value


def test_every_key_that_may_be_asked_for(run):
    assert known_keys([run, run]) == [
        *("pair", "head", "loss", "seed", "optimizer.lr", "extra", "data"),
        *("model", "experiment", "model.hidden", "model.init", "epochs", "patience"),
    ]


def test_a_key_that_one_run_has_is_known(run, tmp_path):
    config = "model: {width: 3}"
    (other,) = read_runs(write_run(tmp_path / "other", config=config))
    assert known_keys([run, other])[-1] == "model.width"


def test_a_run_without_files_of_hydra_knows_what_was_typed(tmp_path):
    write_run(tmp_path, "", None, ["head=softmax", "epochs=2"])
    (run,) = read_runs(tmp_path)
    assert [run.setting(key) for key in ("head", "loss", "seed", "epochs")] == [
        "softmax",
        None,
        None,
        2,
    ]
    assert run.choices == run.config == {}


@pytest.mark.parametrize(
    ("typed", "value", "shown"),
    [
        ("3", 3, "3"),
        ("0.50", 0.5, "0.5"),
        ("1e-3", 0.001, "0.001"),
        ("True", True, "true"),
        ("false", False, "false"),
        ("null", None, ""),
        ("[1, 2]", "[1,2]", "[1,2]"),
        ('"a b"', "a b", "a b"),
        ("mlp", "mlp", "mlp"),
        ("'", "'", "'"),
        ("1e999", inf, "inf"),
        ("9" * 308, int("9" * 308), "9" * 308),
        ("-" + "9" * 309, "-" + "9" * 309, "-" + "9" * 309),
        ("9" * 5000, inf, "inf"),
    ],
)
def test_texts_are_the_values_they_stand_for(typed, value, shown):
    assert parse_value(typed) == value
    assert type(parse_value(typed)) is type(value)
    assert value_text(value) == shown


def test_overrides_by_key():
    assert split_overrides(["a=1", "+b=x=y", "++c=", "~d", "~e=1"]) == {
        "a": "1",
        "b": "x=y",
        "c": "",
    }


def test_hyperparameters_are_flat_scalars_with_the_parts_by_name():
    config = {
        "head": {"_target_": "mlr.heads.Sigmoid"},
        "model": {"_target_": "mlr.models.Mlp", "widths": [8, 4]},
        "optimizer": {"_target_": "mlr.training.SGD", "lr": 0.5, "nesterov": False},
        "seed": 3,
        "steps": None,
    }
    assert hyperparameters(config, {"head": "sigmoid"}) == {
        "head": "sigmoid",
        "lr": 0.5,
        "seed": 3,
        "model.widths": "[8, 4]",
        "optimizer.nesterov": False,
        "steps": "None",
    }
