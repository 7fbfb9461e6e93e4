from __future__ import annotations

import pytest

from mlr.analysis.quantities import CURVES, FINALS, Quantity, recorded


@pytest.mark.parametrize("one", [*CURVES, *FINALS], ids=lambda one: one.tag)
def test_a_quantity_is_drawn_as_its_tag_says(one):
    assert "/" in one.tag
    assert "/" not in one.label.replace("dL/dz", "")
    about = one.as_object()
    assert (about["tag"], about["label"]) == one
    scores = ("accuracy/", "f1_micro/", "f1_macro/", "label_accuracy/", "exact_match/")
    assert about["share"] == one.tag.startswith((*scores, "stuck/", "saturation/", "coverage_"))
    assert about["more"] == one.tag.startswith(scores)
    assert about["of_loss"] == one.tag.startswith("loss/")
    assert about["log"] == one.tag.startswith(("logit_grad/", "predicted_std/", "grad_norm/"))
    if one.tag.startswith(("accuracy/", "loss/")):
        kind, _, split = one.tag.partition("/")
        words = {"val": "validation", "train": "training", "test": "test"}
        assert one.label == f"{words[split]} {kind}"


@pytest.mark.parametrize("table", [CURVES, FINALS])
def test_tags_and_labels_are_told_apart(table):
    assert len({one.tag for one in table}) == len({one.label for one in table}) == len(table)
    assert [one.tag for one in recorded(table, ["accuracy/val", "x", "stuck/fraction"])] == [
        *("accuracy/val", "stuck/fraction")
    ]


@pytest.mark.parametrize(
    ("tag", "head"),
    [
        ("accuracy/val", "x ↑"),
        ("loss/test", "x ↓"),
        ("rmse/test", "x ↓"),
        ("stuck/fraction", "x ↓"),
        ("logit_grad/wrong", "x"),
        ("saturation/fraction", "x"),
    ],
)
def test_a_head_has_the_direction_that_is_better(tag, head):
    assert Quantity(tag, "x").heading == head
