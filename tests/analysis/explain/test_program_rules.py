"""Rules for programs of one's own: all are on the page, and their remedies are code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlr.analysis.explain.diagnose import PROGRAM_RULES, RULES, page
from mlr.analysis.explain.in_code import in_code
from mlr.diagnosis.findings import Finding
from mlr.diagnosis.program import ProgramCourse, WatchedProgram
from mlr.docs.links import anchors
from mlr.records.evidence import Evidence, Look

ROOT = Path(__file__).parents[3]


def test_each_rule_is_on_its_page():
    assert len(PROGRAM_RULES) > 50
    for rule in PROGRAM_RULES:
        place, _, anchor = page(rule).partition("#")
        text = (ROOT / place).read_text(encoding="utf-8")
        section = text
        if anchor:
            assert anchor in anchors(ROOT / place)
            section = next(
                part
                for part in re.split(r"^#+ ", text, flags=re.MULTILINE)
                if part.partition("\n")[0].lower().replace(",", "").replace(" ", "-") == anchor
            )
        assert f"`{rule}`" in section


@pytest.mark.parametrize(
    ("remedy", "line"),
    [
        ("optimizer.lr=0.01", "lr=0.01"),
        ("loss=ce", "loss = F.cross_entropy(outputs, targets)"),
        ("head=sigmoid loss=bce, or loss=matching",
         "loss = F.binary_cross_entropy_with_logits(outputs, targets)"),
        ("data.scale=standardize", ""),
    ],
)  # fmt: skip
def test_overrides_become_code(remedy, line):
    told = in_code(Finding("optimizer.lr=0.1 is too high", "with optimizer.lr=0.1", remedy))
    assert told.remedy == line
    assert (told.sentence, told.evidence) == ("lr=0.1 is too high", "with lr=0.1")


def test_rules_of_trainings_keep_their_order():
    both = [rule for rule in PROGRAM_RULES if rule in RULES]
    assert both == ["not_finite", *both[1:]]
    assert set(both) == {
        *("not_finite", "clipped_dead", "lr_too_high", "saturated", "starved", "lr_too_low"),
        "overfitting",
    }


def program(forms, *, integer=True, outputs=3, updates=50, losses=(1.0,), **entries):
    shape = [8] if integer else [8, outputs]
    look = Look(known=True, forms=forms, output_shape=[8, outputs], target_integer=integer,
                target_shape=shape, target_low=0, target_high=1)  # fmt: skip
    return WatchedProgram(Evidence(updates=updates, looks=[look], **entries), ProgramCourse(losses))


@pytest.mark.parametrize(
    ("forms", "entries", "constant"),
    [
        # entropies of (1/2, 1/4, 1/4) in nats: 1.5 ln 2
        (["ce:mean"], {"class_counts": [20, 10, 10]}, 1.0397207708399179),
        (["log_softmax+nll:mean"], {"class_counts": [20, 10, 10]}, 1.0397207708399179),
        # Σ p (1 − p) = 1/4 + 3/16 + 3/16, of three outputs
        (["softmax+mse:mean"], {"class_counts": [20, 10, 10]}, 0.625 / 3),
        (["softmax+mse:rows"], {"class_counts": [20, 10, 10]}, 0.625),
        (["mse:mean"], {"integer": False, "target_variance": 2.5}, 2.5),
        (["mse:rows"], {"integer": False, "target_variance": 2.5, "target_columns": 3}, 7.5),
        (["bce_logits:mean"], {"integer": False, "target_entropy": 0.6}, 0.6),
    ],
)
def test_the_best_constant(forms, entries, constant):
    assert program(forms, **entries).constant == pytest.approx(constant)


@pytest.mark.parametrize("form", ["", "ce:sum", "-ce:mean", "l1:mean", "broadcast+mse:mean"])
def test_no_constant_is_known_of_other_losses(form):
    one = program([form] if form else [], class_counts=[20, 10, 10])
    assert one.constant != one.constant
    assert not one.unlearned


@pytest.mark.parametrize(
    ("losses", "updates", "unlearned"),
    [([1.04] * 8, 50, True), ([1.04] * 6 + [0.9] * 2, 50, False), ([1.04] * 8, 19, False)],
)
def test_unlearned_by_the_last_quarter(losses, updates, unlearned):
    one = program(["ce:mean"], class_counts=[20, 10, 10], losses=losses, updates=updates)
    assert one.unlearned is unlearned
