from __future__ import annotations

import pytest

from mlr.analysis.compare.comparison import compare
from mlr.analysis.report import groups
from mlr.analysis.report.groups import (
    ReportGroup,
    UntrainedJob,
    best_of_pairs,
    numeric_keys,
    untrained,
)
from mlr.records.reading import Recorded, read_runs
from tests.analysis.report.making import add_run, refuse, small_sweep
from tests.records.written import write_run


def recorded(tmp_path, **entries) -> Recorded:
    return Recorded(tmp_path / "run", {"status": "done", **entries})


def test_groups_are_runs_alike_but_for_the_seed_the_best_first(tmp_path):
    runs = read_runs(small_sweep(tmp_path / "sweep"))
    found = groups.groups(compare(runs, ["pair", "optimizer.lr"]))
    names = [(group.pair, group.label, len(group.runs), group.diverged) for group in found]
    assert names[0] == ("softmax+ce", "lr=10", 2, 0)
    assert names[-2:] == [("sigmoid+se", "lr=0.1", 2, 0), ("sigmoid+se", "lr=10", 3, 1)]
    assert {pair: group.label for (_, pair), group in best_of_pairs(found).items()} == {
        "softmax+ce": "lr=10",
        "sigmoid+bce": "lr=10",
        "sigmoid+se": "lr=0.1",
    }


def test_the_setting_of_a_pair_is_chosen_on_validation(tmp_path):
    for rate, test, val in ((0.1, 0.7, 0.9), (0.5, 0.8, 0.6)):
        numbers = {"accuracy/test": test, "accuracy/val": val}
        write_run(tmp_path / str(rate), overrides=[f"optimizer.lr={rate}"], metrics=numbers)
    found = groups.groups(compare(read_runs(tmp_path), ["pair", "optimizer.lr"]))
    assert [(group.label, group.choice) for group in found] == [("lr=0.5", 1), ("lr=0.1", 0)]
    assert [group.label for group in best_of_pairs(found).values()] == ["lr=0.1"]


def test_final_numbers_are_those_of_runs_that_ended_well(tmp_path):
    runs = [
        recorded(tmp_path, metrics={"loss/test": value}, status=status)
        for value, status in ((1.0, "done"), ("nan", "done"), (5.0, "diverged"), (2.0, "done"))
    ]
    assert ReportGroup("a+b", {}, runs).finals("loss/test") == [1.0, 2.0]
    assert ReportGroup("a+b", {}, runs).finals("accuracy/test") == []


@pytest.mark.parametrize(
    ("values", "numeric"),
    [((0.1, 1), True), ((1, 1), False), ((0.1, "auto"), False), ((True, False), False)],
)
def test_keys_that_are_numbers(values, numeric):
    made = [ReportGroup("a+b", {"key": value}, []) for value in values]
    assert numeric_keys(made) == (["key"] if numeric else [])


def test_jobs_without_a_folder_are_those_of_the_table(tmp_path):
    folder = add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    refuse(tmp_path, ("sigmoid+se", folder.name, ""), ("linear+ce", "linear+ce,seed=0", "no <b>"))
    assert untrained(tmp_path, read_runs(tmp_path)) == [
        UntrainedJob("linear+ce,seed=0", "refused", "linear+ce", "no <b>")
    ]


def test_a_refused_job_is_named_by_the_class_and_not_by_its_choice(tmp_path):
    add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    table = "run,status,head,loss,reason\n" + '"Arctan+ce,seed=0",refused,arctan,ce,no\n'
    (tmp_path / "runs.csv").write_text(table + "17,refused,linear,ce,no\n")
    found = untrained(tmp_path, read_runs(tmp_path))
    assert [one.pair for one in found] == ["Arctan+ce", "linear+ce"]


def test_a_table_of_somebody_else_is_none(tmp_path):
    add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    (tmp_path / "runs.csv").write_bytes(b"\xff\xfe,a\n1,2\n")
    assert untrained(tmp_path, read_runs(tmp_path)) == []
    (tmp_path / "runs.csv").write_text("a,b\n1,2\n")
    assert untrained(tmp_path, read_runs(tmp_path)) == []
    (tmp_path / "runs.csv").write_text("run,head\n,linear\nx,linear\n")
    assert untrained(tmp_path, read_runs(tmp_path)) == [UntrainedJob("x", "unknown", "linear", "")]


def test_a_group_without_series_has_no_aggregate(tmp_path):
    assert ReportGroup("a+b", {}, [recorded(tmp_path)]).aggregate is None


def test_a_label_names_what_tells_a_group_from_others(tmp_path):
    keys = {"optimizer.lr": 0.1, "model.bias": None, "batch_size": 8}
    named = [
        ReportGroup("a+b", keys, [], labelled=labelled) for labelled in (None, ["batch_size"], [])
    ]
    assert [group.label for group in named] == ["lr=0.1, batch_size=8", "batch_size=8", ""]
    assert [group.name for group in named] == [
        "a+b lr=0.1, batch_size=8",
        "a+b batch_size=8",
        "a+b",
    ]
    assert ReportGroup("", {}, [recorded(tmp_path)]).name == "run"
    assert ReportGroup("", keys, []).name == "lr=0.1, batch_size=8"
    assert named[0].choice == 0
