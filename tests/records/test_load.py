"""records.load, as from a notebook."""

from __future__ import annotations

import subprocess
import sys
from math import inf, nan

import numpy as np
import pytest

from mlr import records
from mlr.core.checks import InputError
from tests.records.written import write_run

SERIES = {
    "loss/train": [1.0, 1 / 3, inf, nan],
    "accuracy/val": [None, 0.5, None, 0.75],
}


@pytest.fixture
def sweep(tmp_path):
    typed = ["optimizer.lr=1", "model=mlp", "model.bias=true", "epochs=3"]
    write_run(tmp_path / "a", "sigmoid+se", 0, typed, metrics={"accuracy/test": 1}, series=SERIES)
    typed = ["optimizer.lr=0.5", "head=softmax", "epochs=4"]
    write_run(tmp_path / "b", "softmax+ce", 1, typed, "diverged", {"accuracy/test": nan})
    write_run(
        tmp_path / "c",
        "softmax+ce",
        2,
        ["seed=2"],
        "running",
        config="{epochs: 5, optimizer: {lr: 2}, model: {bias: null}}",
        choices="model: linear",
    )
    return tmp_path


def test_a_row_a_run(sweep):
    found = records.load(sweep)
    assert found["run"].tolist() == ["a", "b", "c"]
    assert found["folder"].tolist() == [str(sweep / name) for name in "abc"]
    assert found["status"].tolist() == ["done", "diverged", "running"]
    assert found["pair"].tolist() == ["sigmoid+se", "softmax+ce", "softmax+ce"]
    assert found["head"].tolist() == ["sigmoid", "softmax", "softmax"]
    assert found["loss"].tolist() == ["se", "ce", "ce"]
    assert found["seed"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(found["accuracy/test"], [1, nan, nan])


def test_columns_have_the_types_of_what_was_typed(sweep):
    found = records.load(sweep)
    # what one run left to its configuration is what that says
    assert found["optimizer.lr"].tolist() == [1.0, 0.5, 2.0]
    assert found["epochs"].tolist() == [3, 4, 5]
    assert found["model"].fillna("").tolist() == ["mlp", "", "linear"]
    assert found["model.bias"].isna().tolist() == [False, True, True]
    types = {column: str(found[column].dtype) for column in found}
    assert (types["seed"], types["epochs"], types["optimizer.lr"]) == ("int64", "int64", "float64")
    assert (types["accuracy/test"], types["model.bias"]) == ("float64", "boolean")
    assert types["model"] == types["head"] == types["run"] == types["status"]


def test_a_seed_that_is_missing_leaves_whole_numbers(tmp_path):
    for seed in (3, None):
        write_run(tmp_path / str(seed), seed=seed)
    found = records.load(tmp_path)["seed"]
    assert str(found.dtype) == "Int64"
    assert found[0] == 3
    assert found.isna().tolist() == [False, True]


def test_a_row_a_logged_step(sweep):
    write_run(sweep / "d", series={"loss/train": [2.0, 1.0], "grad_norm/total": [0.1, 0.2]})
    found = records.load(sweep, series=True)
    assert found["run"].tolist() == ["a"] * 4 + ["d"] * 2
    assert found["epochs"][:4].tolist() == [3] * 4
    assert found["step"].tolist() == [0, 10, 20, 30, 0, 10]
    assert found["epoch"].tolist() == [0, 0.5, 1, 1.5, 0, 0.5]
    # nan that was recorded is no missing value
    np.testing.assert_array_equal(found["loss/train"], [1, float("0.33333334"), inf, inf, 2, 1])
    np.testing.assert_array_equal(found["accuracy/val"], [nan, 0.5, nan, 0.75, nan, nan])
    np.testing.assert_array_equal(
        found["grad_norm/total"], [*[nan] * 4, *map(np.float64, ("0.1", "0.2"))]
    )
    assert str(found["step"].dtype) == "int64"
    assert {str(found[tag].dtype) for tag in ("epoch", "loss/train", "accuracy/val")} == {"float64"}
    means = found.groupby(["head", "loss"])["loss/train"].max()
    assert means["sigmoid", "se"] == inf


def test_float64_keeps_every_digit(tmp_path):
    write_run(tmp_path, series={"loss/train": [1 / 3, 1e-300]}, dtype="f8")
    assert records.load(tmp_path, series=True)["loss/train"].tolist() == [1 / 3, 1e-300]


def test_runs_that_recorded_nothing_are_a_table_without_rows(tmp_path):
    write_run(tmp_path)
    found = records.load(tmp_path, series=True)
    assert len(found) == 0
    assert list(found)[-2:] == ["step", "epoch"]


def test_several_folders_are_one_table(sweep):
    assert records.load(sweep / "a", sweep)["run"].tolist() == ["a", "b", "c"]


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        records.load(tmp_path)


def test_without_pandas_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas"):
        records.load(write_run(tmp_path))


def test_records_alone_imports_neither_pandas_nor_numpy():
    code = (
        "import sys; from mlr import records; records.RunFolder; "
        "print({'numpy', 'pandas', 'torch', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_whole_numbers_without_end(tmp_path):
    """As somebody may type them: no int64 holds them."""
    for place, epochs in enumerate((10**30, -(2**63), 2**63, 7)):
        typed = [f"epochs={epochs}", f"optimizer.lr={10**300 if place else 0.5}"]
        write_run(tmp_path / str(place), "sigmoid+se", place, typed)
    found = records.load(tmp_path)
    assert found["epochs"].tolist() == [10**30, -(2**63), 2**63, 7]
    assert found["optimizer.lr"].tolist() == [0.5, *[10**300] * 3]


def test_final_numbers_stand_as_they_were_written(tmp_path):
    write_run(tmp_path / "a", metrics={"loss/test": 1e300, "loss/val": "inf"})
    write_run(tmp_path / "b", metrics={"loss/val": 0.1})
    found = records.load(tmp_path)
    assert found["loss/test"].fillna(-1).tolist() == [1e300, -1]
    assert found["loss/val"].tolist() == [float("inf"), 0.1]


def test_a_seed_that_no_mlr_has_is_damaged(tmp_path):
    for place, seed in enumerate((10**30, 2**63, 7)):
        write_run(tmp_path / str(place), "sigmoid+se", seed)
    assert records.load(tmp_path)["seed"].isna().tolist() == [True, True, False]
