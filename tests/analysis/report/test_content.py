from __future__ import annotations

import pytest

from mlr.analysis.report import content
from mlr.analysis.report.charts import charts
from mlr.analysis.report.content import PairPanel, display_pair
from tests.analysis.report.making import add_run, refuse, small_sweep


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
        PairPanel("neuron", "linear", "se"),
        PairPanel("neuron", "sigmoid", "bce"),
        PairPanel("xor", "sigmoid", "se"),
        PairPanel("xor", "softmax", "ce"),
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
    assert display_pair("sigmoid+bce") == "sigmoid + BCE"
    assert (display_pair("sigmoid"), display_pair("")) == ("sigmoid", "unknown pair")
    assert (PairPanel("", "a", "").pair, PairPanel("", "", "").pair) == ("a", "")
    assert PairPanel("xor", "sigmoid", "bce").key == ("xor", "sigmoid+bce")
