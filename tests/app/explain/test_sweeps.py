"""Diagnoses of several runs: true of each of them, and no remedy that was tried in vain."""

from __future__ import annotations

import pytest

from mlr.app.explain import explain
from mlr.app.explain.diagnosis import Finding, sentence
from mlr.app.explain.facts import percent, whole
from tests.app.explain.made import METRICS, SOUND, changed, falling, run
from tests.app.explain.test_command import told
from tests.app.explain.test_rules import CLIPPED, DEAD

LOST = METRICS | {"loss/train": float("nan"), "accuracy/val": float("nan")}


def test_numbers_that_differ_are_a_range_and_the_same_once():
    def one(share, count):
        numbers = {"share": (share, percent), "count": (count, whole)}
        return Finding("{share} of {count}.", "", "", numbers)

    assert sentence([one(0.4, 3)]) == "40 % of 3."
    assert sentence([one(0.4, 3), one(0.38, 3), one(0.52, 3)]) == "38 to 52 % of 3."
    assert sentence([one(0.401, 3), one(0.4, 5)]) == "40 % of 3 to 5."


def test_a_share_is_only_all_or_none_where_it_is_exactly():
    shares = (0, 0.0001, 0.031, 0.4, 0.9996, 1)
    written = ["0 %", "under 0.1 %", "3.1 %", "40 %", "99.9 %", "100 %"]
    assert [percent(share) for share in shares] == written


def dead(folder, classes, seed):
    anatomy = changed(SOUND, DEAD)
    for k in range(10):
        gone = k in classes
        anatomy["classes"]["recall"][k] = 0.0 if gone else 0.97
        anatomy["classes"]["grad"][k] = 1e-5 if gone else 0.005
    overrides = ["head=sigmoid", "loss=se", f"seed={seed}"]
    return run(folder, "sigmoid+se", anatomy=anatomy, overrides=overrides)


def test_classes_of_one_seed_are_not_said_to_be_those_of_all(tmp_path):
    runs = [dead(tmp_path / f"seed={n}", own, n) for n, own in enumerate([[0, 6], [3], [1, 2, 4]])]
    (one,) = explain(runs)
    assert one.sentence.startswith("Some classes (1 to 3 of 10 in each run) are never found")
    assert one.count == "3 of 3 runs"
    assert one.evidence.startswith("seed=0: recall of class 0 0")  # whose numbers these are
    (alone,) = explain(runs[:1])
    assert alone.sentence.startswith("Classes 0 and 6 are never found")


def test_one_sentence_is_only_said_of_runs_of_which_it_is_true(tmp_path):
    grown = {"status": "diverged", "metrics": LOST, "curves": falling()}
    leaps = falling() | {"loss/val": [1.0, 3.0] * 10}
    kinds = [grown, grown, {"metrics": METRICS | {"loss/train": 1.0}, "curves": leaps}]
    runs = [
        run(tmp_path / str(n), overrides=["head=softmax", "loss=ce", f"seed={n}"], **kind)
        for n, kind in enumerate(kinds)
    ]
    found = explain(runs)
    assert [(one.rule, one.count) for one in found] == [
        ("lr_too_high", "2 of 3 runs"),
        ("lr_too_high", "1 of 3 runs"),
    ]
    assert "without bound" in found[0].sentence
    assert "leaps" in found[1].sentence


def test_cells_that_share_a_line_share_its_numbers(tmp_path):
    runs = []
    for number, start in enumerate((50.0, 80.0)):
        anatomy = changed(SOUND, {"start.loss": start})
        overrides = [f"optimizer.lr={number + 1}"]
        runs.append(run(tmp_path / str(number), anatomy=anatomy, overrides=overrides))
    (line, _) = told(runs, tmp_path)
    assert line.startswith("softmax+ce in 2 cells (2 of 2 runs): ")
    assert "the loss before the first update is 50 to 80" in line


def rated(folder, rate, seed=0, **more):
    config = {"optimizer": {"_target_": "mlr.training.SGD", "lr": rate}, "seed": seed}
    overrides = ["head=softmax", "loss=ce", f"optimizer.lr={rate}", f"seed={seed}"]
    return run(folder, config=config, overrides=overrides, **more)


def test_a_rate_that_was_tried_in_vain_is_not_advised(tmp_path):
    lost = {"status": "diverged", "metrics": LOST}
    runs = [rated(tmp_path / "10", 10.0, **lost), rated(tmp_path / "1", 1.0, **lost)]
    advised = {one.cell: one.remedy for one in explain(runs)}
    assert advised == {
        "softmax+ce optimizer.lr=10.0": "optimizer.lr=0.1",  # 1 diverges too
        "softmax+ce optimizer.lr=1.0": "optimizer.lr=0.1",
    }
    runs.append(rated(tmp_path / "0.1", 0.1))
    assert {one.remedy for one in explain(runs)} == {"optimizer.lr=0.1"}
    runs += [rated(tmp_path / str(lr), lr, **lost) for lr in (0.01, 0.001)]
    runs[2] = rated(tmp_path / "0.1 again", 0.1, **lost)
    by_cell = {one.cell: one for one in explain(runs)}
    assert by_cell["softmax+ce optimizer.lr=10.0"].remedy == ""
    assert "too high" in by_cell["softmax+ce optimizer.lr=10.0"].sentence


@pytest.mark.parametrize(
    ("accuracy", "others", "advised"),
    [
        (0.12, {}, "loss=matching"),  # as bad as before: the first choice is gone
        (0.9, {}, "head=sigmoid loss=bce, or loss=matching"),
        (0.12, {"batch_size": 7}, "head=sigmoid loss=bce, or loss=matching"),  # another run
    ],
)
def test_an_alternative_that_was_tried_in_vain_is_left_out(tmp_path, accuracy, others, advised):
    def one(name, pair, accuracy, **kinds):
        head, loss = pair.split("+")
        config = {"head": {"_target_": head}, "loss": {"_target_": loss}, "batch_size": 32}
        anatomy = changed(SOUND, CLIPPED) if head == "clipped_linear" else SOUND
        metrics = METRICS | {"accuracy/val": accuracy}
        return run(tmp_path / name, pair, anatomy=anatomy, metrics=metrics, config=config | kinds)

    runs = [
        one("a", "clipped_linear+se", 0.1),
        one("b", "sigmoid+bce", accuracy, **others),
    ]
    found = {one.rule: one for one in explain(runs)}
    assert found["clipped_dead"].remedy == advised


@pytest.mark.parametrize("split", ["val", "train"])
def test_runs_without_a_validation_are_compared_by_what_they_have(tmp_path, split):
    def one(name, pair, accuracy):
        metrics = {"loss/train": 1.0, f"accuracy/{split}": accuracy}
        anatomy = changed(SOUND, CLIPPED) if pair.startswith("clipped") else SOUND
        return run(tmp_path / name, pair, anatomy=anatomy, metrics=metrics)

    first, second = one("a", "clipped_linear+se", 0.1), one("b", "sigmoid+bce", 0.12)
    third = one("c", "sigmoid+bce", 0.9)
    assert {found.remedy for found in explain([first, second])} == {"loss=matching"}
    assert {found.remedy for found in explain([first, third])} == {
        "head=sigmoid loss=bce, or loss=matching"
    }


def test_the_clip_is_the_cause_and_a_leaping_loss_the_symptom(tmp_path):
    leaps = falling() | {"loss/val": [1.0, 3.0] * 10}
    metrics = METRICS | {"loss/train": 1.0}
    anatomy = changed(SOUND, CLIPPED)
    one = run(tmp_path / "a", "clipped_linear+se", anatomy=anatomy, metrics=metrics, curves=leaps)
    assert [found.rule for found in explain([one])] == ["clipped_dead"]


def test_regressions_are_compared_by_the_loss_they_share(tmp_path):
    lost = {"status": "diverged", "metrics": {"loss/train": float("nan")}, "anatomy": None}
    high = [rated(tmp_path / "10", 10.0, **lost)]
    fine = rated(tmp_path / "1", 1.0, anatomy=None, metrics={"loss/train": 0.1, "loss/val": 0.1})
    assert {one.remedy for one in explain([*high, fine])} == {"optimizer.lr=1"}
