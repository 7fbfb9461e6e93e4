from __future__ import annotations

import pytest

from mlr.analysis.report.quantities import CURVES, FINALS, there

SHARES = ("accuracy/", "stuck/", "saturation/")


@pytest.mark.parametrize("one", [*CURVES, *FINALS], ids=lambda one: one.tag)
def test_a_quantity_is_drawn_as_its_tag_says(one):
    assert "/" in one.tag
    assert "/" not in one.label.replace("dL/dz", "")
    assert one.share == one.tag.startswith(SHARES)
    assert one.more == one.tag.startswith("accuracy/")
    assert one.of_loss == one.tag.startswith("loss/")
    assert one.log == one.tag.startswith(("logit_grad/", "predicted_std/", "grad_norm/"))
    if one.tag.startswith(("accuracy/", "loss/")):
        kind, _, split = one.tag.partition("/")
        words = {"val": "validation", "train": "training", "test": "test"}
        assert one.label == f"{words[split]} {kind}"


@pytest.mark.parametrize("table", [CURVES, FINALS])
def test_tags_and_labels_are_told_apart(table):
    assert len({one.tag for one in table}) == len({one.label for one in table}) == len(table)
    assert [one.tag for one in there(table, ["accuracy/val", "x", "stuck/fraction"])] == [
        *("accuracy/val", "stuck/fraction")
    ]
