import csv

import pytest

from mlr.core.durable import WriteError
from mlr.records.sweep import read_runs_table, write_runs_table
from tests.records.reading import names


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_columns_are_the_union_in_a_stable_order(tmp_path):
    write_runs_table(
        tmp_path / "runs.csv",
        [
            {"loss/val": 0.5, "run": "0", "reason": None, "head": "größe, ü", "status": "done"},
            {"run": "1", "status": "refused", "reason": 'loss=bce needs\n"[0, 1]"', "lr": 0.1},
            {"run": "2", "status": "done", "loss/val": float("nan"), "nesterov": True},
            {"run": "3", "status": "done", "nesterov": False},
        ],
    )
    assert read(tmp_path / "runs.csv") == [
        ["run", "status", "head", "lr", "nesterov", "loss/val", "reason"],
        ["0", "done", "größe, ü", "", "", "0.5", ""],
        ["1", "refused", "", "0.1", "", "", 'loss=bce needs\n"[0, 1]"'],
        ["2", "done", "", "", "true", "nan", ""],
        ["3", "done", "", "", "false", "", ""],
    ]


def test_a_sweep_without_runs_has_a_header(tmp_path):
    write_runs_table(tmp_path / "runs.csv", [])
    assert read(tmp_path / "runs.csv") == [["run", "status"]]


def test_the_table_is_replaced_at_once(tmp_path):
    write_runs_table(tmp_path / "runs.csv", [{"run": str(number)} for number in range(100)])
    write_runs_table(tmp_path / "runs.csv", [{"run": "a"}])
    assert read(tmp_path / "runs.csv") == [["run", "status"], ["a", ""]]
    assert names(tmp_path) == ["runs.csv"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(WriteError, match=r"nowhere.runs\.csv"):
        write_runs_table(tmp_path / "nowhere" / "runs.csv", [])


TEXTS = {
    "=1+1": "'=1+1",
    "+cmd|x": "'+cmd|x",
    "-2+3": "'-2+3",
    "@SUM(A1)": "'@SUM(A1)",
    "\tx": "'\tx",
    "\rx": "'\rx",
    "\nx": "'\nx",
    "＝1": "'＝1",
    # marked twice, so that it is read back as it was
    "'=1": "''=1",
    # numbers, and texts that no spreadsheet runs
    "-0.5": "-0.5",
    "+1e-3": "+1e-3",
    "-inf": "-inf",
    "'a'": "'a'",
    "a=1": "a=1",
    "": "",
}


def test_no_text_is_a_formula_and_each_is_read_back(tmp_path):
    rows = [{"run": str(place), "=key": text} for place, text in enumerate(TEXTS)]
    write_runs_table(tmp_path / "runs.csv", rows)
    (head, *found) = read(tmp_path / "runs.csv")
    assert head == ["run", "status", "'=key"]
    assert [cells[2] for cells in found] == list(TEXTS.values())
    again = read_runs_table(tmp_path / "runs.csv")
    assert again == [row | {"status": ""} for row in rows]
