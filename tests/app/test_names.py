from __future__ import annotations

import pytest

from mlr.app.names import LONGEST_NAME, hyperparameters, run_name


def test_the_pair_comes_first_and_the_rest_as_typed():
    assert run_name("sigmoid", "se", ["seed=0", "loss=se", "head=sigmoid"]) == "sigmoid+se,seed=0"
    assert run_name("linear", "se", []) == "linear+se"


@pytest.mark.parametrize(
    "override",
    [
        "data.path=/a/b c.csv",
        "note=ü😀",
        "note=a\nb",
        "x=" + "long" * 100,
        "x=" + "漢" * 120,
        "a=..",
    ],
)
def test_any_override_gives_a_name_that_file_systems_take(override):
    name = run_name("sigmoid", "se", [override])
    assert name.startswith("sigmoid+se,")
    assert len(name.encode()) <= LONGEST_NAME
    assert not set(name) & set("/\\\n\0 :*?\"<>|'$")


def test_names_that_had_to_change_stay_apart():
    names = {run_name("a", "b", [f"path=x{mark}y"]) for mark in "/ :*"}
    assert len(names) == 4


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


def test_many_names_cut_alike_stay_apart():
    long = [f"data.path={'x' * 150}{number}" for number in range(20_000)]
    assert len({run_name("sigmoid", "se", [path]) for path in long}) == len(long)


@pytest.mark.parametrize("override", ["sweep.resume=a/b", "+sweep.resume=a", "objective_metric=x"])
def test_what_is_no_part_of_a_run_is_none_of_its_name(override):
    assert run_name("sigmoid", "se", ["seed=0", override]) == "sigmoid+se,seed=0"
