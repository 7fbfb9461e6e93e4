from __future__ import annotations

import pytest

from mlr.analysis.compare.comparison import compare
from mlr.analysis.report import content
from mlr.analysis.report.charts import charts
from mlr.analysis.report.content import PairPanel, ReportGroup, groups, untrained
from mlr.records.reading import Recorded, read_runs
from tests.analysis.report.making import add_run, refuse, small_sweep
from tests.records.written import write_run

PANEL = PairPanel("", "a+b")


def recorded(tmp_path, **entries) -> Recorded:
    return Recorded(tmp_path / "run", {"status": "done", **entries})


def test_a_matrix_has_what_was_tried_on_its_data_in_the_order_of_the_lecture(tmp_path):
    tried = {"neuron": ("sigmoid+bce", "linear+se"), "xor": ("softmax+ce", "sigmoid+se")}
    for data, pairs in tried.items():
        for pair in pairs:
            add_run(tmp_path, *pair.split("+"), 0, 0.5, data=data)
    refuse(tmp_path, ("linear+ce", "linear+ce,seed=0", "no"))  # nobody knows on which data
    found = content.read(tmp_path)
    assert (found.heads("neuron"), found.losses("neuron")) == (["linear", "sigmoid"], ["se", "bce"])
    assert (found.heads("xor"), found.losses("xor")) == (["sigmoid", "softmax"], ["se", "ce"])
    assert found.panels == [
        PairPanel("neuron", "linear+se"),
        PairPanel("neuron", "sigmoid+bce"),
        PairPanel("xor", "sigmoid+se"),
        PairPanel("xor", "softmax+ce"),
    ]
    assert found.panels[0].label == "linear + SE, neuron"
    drawn = charts(found)
    assert drawn["sets"] == ["neuron", "neuron", "xor", "xor"]
    assert drawn["losses"] == ["se", "bce", "se", "ce"]
    by_place = {one["pair"]: one["finals"]["accuracy/test"] for one in drawn["groups"]}
    assert by_place == {place: [0.5, 0.5, 0.5] for place in range(4)}
    assert set(drawn["theory"]["pairs"]) == {0, 1, 2, 3}
    assert drawn["theory"]["z"][0] == -10


def test_unknown_heads_come_behind_by_name(tmp_path):
    for head in ("zeta", "alpha", "softmax", "linear"):
        add_run(tmp_path, head, "se", 0, 0.5)
    assert content.read(tmp_path).heads("") == ["linear", "softmax", "alpha", "zeta"]


def test_charts_have_numbers_by_group(tmp_path):
    found = content.read(small_sweep(tmp_path / "sweep"))
    drawn = charts(found)
    first, *_, last = drawn["groups"]
    assert drawn["pairs"][first["pair"]] == "softmax + CE"
    assert [first[name] for name in ("label", "runs", "diverged", "best", "choice")] == [
        *("lr=10", 2, 0, True, 0)
    ]
    assert [last[name] for name in ("label", "runs", "diverged", "best", "choice")] == [
        *("lr=10", 3, 1, False, 1)
    ]
    assert first["finals"]["accuracy/test"] == pytest.approx([0.925, 0.921, 0.929])
    assert {one["tag"] for one in drawn["finals"]} >= {"accuracy/test", "stuck/fraction"}
    assert [one["tag"] for one in drawn["quantities"]] == [
        *("accuracy/val", "loss/train", "logit_grad/wrong", "stuck/fraction")
    ]


def test_a_quantity_that_a_group_lacks_is_none(tmp_path):
    add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    add_run(tmp_path, "sigmoid", "bce", 0, float("nan"))
    drawn = charts(content.read(tmp_path))
    finals = {drawn["losses"][one["pair"]]: one["finals"] for one in drawn["groups"]}
    assert finals["se"]["accuracy/test"] == [0.5, 0.5, 0.5]
    assert finals["bce"]["accuracy/test"] is None
    assert finals["bce"]["logit_grad/wrong"] == [0.5, 0.5, 0.5]


def test_pairs_in_words():
    panel = PairPanel("xor", "sigmoid+bce")
    assert (panel.head, panel.loss, panel.label) == ("sigmoid", "bce", "sigmoid + BCE, xor")
    assert (PairPanel("", "a").head, PairPanel("", "a").loss) == ("a", "")


def test_groups_are_runs_alike_but_for_the_seed_the_best_first(tmp_path):
    found = content.read(small_sweep(tmp_path / "sweep"))
    names = [
        (group.panel.pair, group.label, len(group.runs), group.diverged) for group in found.groups
    ]
    assert names[0] == ("softmax+ce", "lr=10", 2, 0)
    assert names[-2:] == [("sigmoid+se", "lr=0.1", 2, 0), ("sigmoid+se", "lr=10", 3, 1)]
    assert {panel.pair: group.label for panel, group in found.best.items()} == {
        "softmax+ce": "lr=10",
        "sigmoid+bce": "lr=10",
        "sigmoid+se": "lr=0.1",
    }


def test_the_setting_of_a_pair_is_chosen_on_validation(tmp_path):
    for rate, test, val in ((0.1, 0.7, 0.9), (0.5, 0.8, 0.6)):
        numbers = {"accuracy/test": test, "accuracy/val": val}
        write_run(tmp_path / str(rate), overrides=[f"optimizer.lr={rate}"], metrics=numbers)
    found = groups(compare(read_runs(tmp_path), ["pair", "optimizer.lr"]))
    assert [(group.label, group.choice) for group in found] == [("lr=0.5", 1), ("lr=0.1", 0)]
    assert [group.label for group in content.read(tmp_path).best.values()] == ["lr=0.1"]


def test_final_numbers_are_those_of_runs_that_ended_well(tmp_path):
    runs = [
        recorded(tmp_path, metrics={"loss/test": value}, status=status)
        for value, status in ((1.0, "done"), ("nan", "done"), (5.0, "diverged"), (2.0, "done"))
    ]
    assert ReportGroup(PANEL, {}, runs).finals("loss/test") == [1.0, 2.0]
    assert ReportGroup(PANEL, {}, runs).finals("accuracy/test") == []


@pytest.mark.parametrize(
    ("values", "numeric"),
    [((0.1, 1), True), ((1, 1), False), ((0.1, "auto"), False), ((True, False), False)],
)
def test_keys_that_are_numbers(values, numeric):
    made = [ReportGroup(PANEL, {"key": value}, []) for value in values]
    found = content.Content(None, [], [], [], None, [], made)
    assert found.numeric_keys == (["key"] if numeric else [])


def jobs(folder):
    found = untrained(folder, {run.name for run in read_runs(folder)})
    return [(one.name, one.status, one.pair, one.entries["reason"]) for one in found]


def test_jobs_without_a_folder_are_those_of_the_table(tmp_path):
    folder = add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    refuse(tmp_path, ("sigmoid+se", folder.name, ""), ("linear+ce", "linear+ce,seed=0", "no <b>"))
    assert jobs(tmp_path) == [("linear+ce,seed=0", "refused", "linear+ce", "no <b>")]


def test_a_refused_job_is_named_by_the_class_and_not_by_its_choice(tmp_path):
    add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    table = "run,status,head,loss,reason\n" + '"Arctan+ce,seed=0",refused,arctan,ce,no\n'
    (tmp_path / "runs.csv").write_text(table + "17,refused,linear,ce,no\n")
    assert [pair for _, _, pair, _ in jobs(tmp_path)] == ["Arctan+ce", "linear+ce"]


def test_a_table_of_somebody_else_is_none(tmp_path):
    add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    (tmp_path / "runs.csv").write_bytes(b"\xff\xfe,a\n1,2\n")
    assert jobs(tmp_path) == []
    (tmp_path / "runs.csv").write_text("a,b\n1,2\n")
    assert jobs(tmp_path) == []
    (tmp_path / "runs.csv").write_text("run,head\n,linear\nx,linear\n")
    assert jobs(tmp_path) == [("x", "unknown", "linear", "")]


def test_a_group_without_series_has_no_aggregate(tmp_path):
    assert ReportGroup(PANEL, {}, [recorded(tmp_path)]).aggregate is None


def test_a_label_names_what_tells_a_group_from_others(tmp_path):
    keys = {"optimizer.lr": 0.1, "model.bias": None, "batch_size": 8}
    named = [
        ReportGroup(PANEL, keys, [], labelled=labelled) for labelled in (None, ["batch_size"], [])
    ]
    assert [group.label for group in named] == ["lr=0.1, batch_size=8", "batch_size=8", ""]
