"""Folders of own loops in compare, report and explain: what is told of them is true of them."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.analysis.compare.command import as_csv, as_json
from mlr.analysis.compare.comparison import compare, compare_apart
from mlr.analysis.compare.headline import headline
from mlr.analysis.compare.table import print_comparison
from mlr.analysis.explain import explain
from mlr.analysis.explain.command import as_object, print_in_full, reassurance
from mlr.analysis.explain.diagnose import tried
from mlr.analysis.grouping import seed_groups
from mlr.analysis.ranking import by_data, shared_metric
from mlr.analysis.report.content import read
from mlr.analysis.report.page import html
from mlr.records.reading import read_runs
from tests.analysis.explain import made


def program(folder, lr=0.5, seed=0, width=4, optimizer=torch.optim.SGD, labels=None, **more):
    """A classifier of three blobs, trained for 40 updates on the same examples."""
    torch.manual_seed(seed)
    centres = 2 * torch.eye(3)[torch.arange(30) % 3]
    inputs = centres + 0.3 * torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    targets = torch.arange(30) % 3 if labels is None else labels
    model = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 3))
    steps = optimizer(model.parameters(), lr=lr)
    options = {"head": "softmax", "schedule": "every:1", **more}
    validate = options.pop("validate", None)
    loss_of = options.pop("loss_of", F.cross_entropy)
    with GradientProbe(model, steps, folder, **options) as probe:
        for number in range(40):
            steps.zero_grad()
            logits = model(inputs)
            loss = loss_of(logits, targets)
            probe.watch(logits, targets, loss)
            loss.backward()
            steps.step()
            if validate is not None and number % 10 == 9:
                probe.log_validation(**validate(number))


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    top = tmp_path_factory.mktemp("several")
    for seed in range(3):
        for lr in (0.5, 0.01):
            program(top / f"lr{lr}-{seed}", lr, seed)
    program(top / "wide", width=16)
    program(top / "adam", lr=0.05, optimizer=torch.optim.Adam)
    return top


def printed(comparison, width=200):
    out = Console(file=io.StringIO(), width=width)
    print_comparison(out, comparison)
    return out.file.getvalue()


def rows_of(folder):
    return np.genfromtxt(folder / "metrics.csv", delimiter=",", names=True, deletechars="")


def test_runs_are_seeds_of_one_cell_only_if_all_else_is_equal(several):
    groups = seed_groups(read_runs(several))
    assert sorted(sorted(run.name for run in one.runs) for one in groups) == [
        ["adam"],
        ["lr0.01-0", "lr0.01-1", "lr0.01-2"],
        ["lr0.5-0", "lr0.5-1", "lr0.5-2"],
        ["wide"],
    ]
    assert [run.seed for one in groups for run in one.runs if len(one.runs) > 1] == [0, 1, 2] * 2


def test_compare_shows_what_differs_and_says_what_ranks(several):
    runs = read_runs(several)
    found = compare_apart(runs)
    (ranking,) = found.rankings
    assert ranking.keys == ["head", "loss", "model.layers", "optimizer"]
    assert ranking.metric == "accuracy/train"
    row = next(one for one in ranking.rows if one.seeds == 3)
    # the rate is chosen among the two, and the numbers are those of the files
    assert sorted(row.rates) == [0.01, 0.5]
    assert row.lr == 0.5
    for rate in (0.5, 0.01):
        finals = []
        for seed in range(3):
            table = rows_of(several / f"lr{rate}-{seed}")
            finals.append(table["accuracy/train"][table["step"] >= 0.75 * 39].mean())
        assert row.rates[rate] == pytest.approx(np.mean(finals), rel=1e-6)
    text = printed(found)
    assert "training accuracy ↑" in text
    assert "in the measured batches of the last quarter" in text
    said = headline(compare_apart(runs, metric="loss/train").rankings[0])
    assert "train with further seeds to see what is chance" in said
    assert "seed=range" not in said
    assert said.endswith(
        "Neither test nor validation numbers were recorded: these are of the training (means over "
        "the last quarter of the measured batches), and do not tell how well new examples are "
        "predicted."
    )


def test_compare_knows_the_updates_to_the_target_and_writes_all_forms(several):
    found = compare(read_runs(several), ["lr"], "loss/train")
    by = {row.keys["optimizer.lr"]: row for row in found.rows}
    best = min(row.mean for row in found.rows)
    times = []
    for name in ("lr0.5-0", "lr0.5-1", "lr0.5-2", "wide"):
        table = rows_of(several / name)
        losses = table["loss/train"]
        there = losses <= losses[0] - 0.9 * (losses[0] - best)
        times.append(table["step"][there.argmax()] if there.any() else np.inf)
    median = np.median(times)
    assert by[0.5].updates_to_90 == (None if np.isinf(median) else median)
    assert by[0.01].updates_to_90 is None  # the slow ones never get there
    assert all(row.epochs_to_90 is None for row in found.rows)
    json.loads(as_json(found))
    assert as_csv(found).count("\n") == len(found.rows) + 1
    printed(found)


def test_validation_numbers_rank_where_there_are_any(tmp_path):
    for name, best, width in (("one", 0.75, 4), ("other", 0.5, 5)):

        def rising(step, best=best):
            return {"loss": 1 / best, "accuracy": best * step / 39}

        program(tmp_path / name, width=width, validate=rising)
    runs = read_runs(tmp_path)
    assert shared_metric([runs]) == "accuracy/val"
    (ranking,) = compare_apart(runs).rankings
    assert [row.mean for row in ranking.rows] == pytest.approx([0.75, 0.5])
    assert "No test numbers were recorded: these are of the validation." in headline(ranking)
    assert "validation accuracy ↑" in printed(compare_apart(runs))
    asked = compare(runs, metric="accuracy/train").rankings[0]
    assert "Neither" not in headline(asked)


def test_test_numbers_rank_before_those_of_validation(tmp_path):
    program(tmp_path / "it", validate=lambda _: {"accuracy": 0.5})
    (run,) = read_runs(tmp_path)
    numbers = {**run.entries, "metrics": {**run.metrics, "accuracy/test": 0.25}}
    assert shared_metric([[type(run)(run.folder, numbers)]]) == "accuracy/test"


def test_runs_of_one_command_on_different_data_are_not_ranked_together(tmp_path):
    for data in ("mine", "yours"):
        program(tmp_path / data, hyperparameters={"data": data})
    found = compare_apart(read_runs(tmp_path))
    assert [one.data for one in found.rankings] == ["mine", "yours"]
    assert not found.unknown
    assert list(by_data(read_runs(tmp_path))) == ["mine", "yours"]


def test_several_runs_with_remedies_of_code_are_explained(tmp_path):
    for seed in range(2):
        program(tmp_path / f"double-{seed}", seed=seed,
                loss_of=lambda z, t: F.cross_entropy(z.softmax(1), t))  # fmt: skip
    runs = read_runs(tmp_path)
    (one,) = explain(runs)
    assert (one.rule, len(one.runs)) == ("softmax_before_cross_entropy", 2)
    out = Console(file=io.StringIO(), width=200)
    print_in_full(out, runs, [one])
    text = out.file.getvalue()
    assert "write" in text
    assert "paste" not in text
    assert "train.py" not in text
    (row,) = as_object(runs, [one])["diagnoses"]
    assert "command" not in row


def test_a_rate_that_was_tried_in_vain_is_found_by_the_hyperparameters(tmp_path):
    def run(name, lr, layers="Linear 3"):
        entries = {"program": {"calls": 1}, "overrides": None}
        given = {"optimizer.lr": lr, "model.layers": layers}
        return made.run(tmp_path / name, "softmax+ce", hyperparameters=given, **entries)

    slow, fast, other = run("a", 0.01), run("b", 0.1), run("c", 0.1, "Linear 9")
    assert tried([slow, fast, other], [slow], "lr=0.1") == [fast]
    assert tried([slow, fast, other], [slow], "lr=0.2") == []
    assert tried([slow, fast, other], [slow], "loss = F.cross_entropy(outputs, targets)") == []


def test_a_program_that_learns_nothing_is_told_so(tmp_path):
    smoothed = lambda z, t: F.cross_entropy(z, t, label_smoothing=0.1)  # noqa: E731
    labels = torch.randint(3, (30,), generator=torch.Generator().manual_seed(3))
    program(tmp_path / "it", lr=1e-3, labels=labels, loss_of=smoothed)
    runs = read_runs(tmp_path)
    assert explain(runs) == []
    table = rows_of(tmp_path / "it")
    late = table["loss/train"][table["step"] >= 30]
    assert late.mean() >= 0.98 * table["loss/train"][0]
    assert reassurance(runs).startswith("No rule explains it, but it")
    program(tmp_path / "too", labels=labels, lr=1e-3, loss_of=smoothed, seed=1)
    assert reassurance(read_runs(tmp_path)) == (
        "No fault found in 2 programs. No rule explains it, but 2 of them learned next to nothing."
    )


def test_a_program_that_learns_is_not(tmp_path):
    program(tmp_path / "it")
    runs = read_runs(tmp_path)
    assert explain(runs) == []
    table = rows_of(tmp_path / "it")
    late = table["accuracy/train"][table["step"] >= 0.75 * 39].mean()
    assert late == 1
    assert reassurance(runs).startswith("No fault found: loss from ")
    assert ", 100 % right, means over the last quarter;" in reassurance(runs)


@pytest.mark.parametrize(
    ("test", "words", "evidence"),
    [
        (None, "its validation accuracy 60 %", "accuracy/train 1, accuracy/val 0.6;"),
        (0.5, "the mean of its validation and test accuracy 55 %",
         "accuracy/train 1, mean of accuracy/val and accuracy/test 0.55;"),
    ],
)  # fmt: skip
def test_overfitting_names_the_splits_there_are(tmp_path, test, words, evidence):
    def rising(step):
        return {"loss": 0.1 + step / 4, "accuracy": 0.6}

    program(tmp_path / "it", lr=1.0, validate=rising)
    (run,) = read_runs(tmp_path)
    if test is not None:
        entries = {**run.entries, "metrics": {**run.metrics, "accuracy/test": test}}
        run = type(run)(run.folder, entries)
    (one,) = explain([run])
    assert one.rule == "overfitting"
    assert one.sentence == f"The model overfits: its training accuracy is 100 %, {words}."
    assert one.evidence.startswith(evidence)
    assert "loss/val 9.85 (lowest 2.35)" in one.evidence


def test_a_report_says_nothing_that_an_own_loop_lacks(several):
    content = read(several)
    page = html(content, explain(content.runs))
    assert 'id="theory"' not in page
    assert "chosen on training data, for there are no validation numbers" in page
    assert "in the measured batches of the last quarter" in page
    assert len(content.groups) == 4
