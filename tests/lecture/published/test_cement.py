from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import torch

from mlr.core.checks import InputError
from mlr.lecture.lab import Lab
from mlr.lecture.published import cement, files
from mlr.lecture.published.files import cement_file
from mlr.training.checkpoint import load_checkpoint
from tests.lecture.published.support import need_cement
from tests.lecture.published.test_networks import by_hand

PAGE = Path(cement.__file__).parents[2] / "docs" / "lecture.md"
LABELS = [1 + (i * i + i // 7) % 5 for i in range(63)]
TEST_ROWS = [6, 16, 17, 18, 22, 34, 38, 42, 43, 44, 54, 56, 58]
"""scikit-learn's train_test_split(range(63), test_size=0.2, random_state=1, stratify=LABELS)."""


def write_table(folder: Path) -> Path:
    """A small table of the same columns."""
    folder.mkdir(exist_ok=True)
    numbers = np.random.default_rng(0).normal(size=(len(LABELS), 8)) * [1, 2, 3, 4, 5, 6, 7, 8]
    path = folder / "cement_strength.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["response", *(f"V{number}" for number in range(1, 9))])
        writer.writerows([label, *row] for label, row in zip(LABELS, numbers.tolist(), strict=True))
    return path


def test_the_split_is_that_of_the_notebooks(tmp_path):
    source = write_table(tmp_path / "data")
    with cement.write_split(source, tmp_path / "split.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [number for number, row in enumerate(rows) if row["split"] == "test"] == TEST_ROWS
    assert {row["split"] for row in rows} == {"train", "test"}
    with source.open(encoding="utf-8") as file:
        before = list(csv.DictReader(file))
    assert [{key: row[key] for key in before[0]} for row in rows] == before


def test_the_errors_are_of_the_networks_classes_in_each_mode(tmp_path):
    """A run of a few updates, whose logits are computed again from its checkpoint and the file."""
    split = tmp_path / "split.csv"
    lines = write_table(tmp_path / "data").read_text(encoding="utf-8").splitlines()
    test = np.arange(3 * len(LABELS)) % 4 > 0  # 141: a whole batch and some
    parts = np.where(test, "test", "train").tolist()
    rows = [f"{line},{part}" for line, part in zip(3 * lines[1:], parts, strict=True)]
    split.write_text("\n".join([f"{lines[0]},split", *rows]), encoding="utf-8")
    run = Lab(tmp_path / "lab").run(
        *("experiment=cement", "head=corn", f"data.path={split}", "data.split_column=split"),
        *("batch_size=16", "epochs=3", "optimizer.lr=0.01"),
    )
    table = np.loadtxt(split, delimiter=",", skiprows=1, usecols=range(9))
    features, train = table[:, 1:], table[~test, 1:]
    scaled = torch.from_numpy((features - train.mean(0)) / train.std(0))[test].float()
    state = load_checkpoint(run.folder / "checkpoint.safetensors")[0].state_dict
    network = cement_network(state)
    running = [
        (state[f"features.{at}.running_mean"], state[f"features.{at}.running_var"]) for at in (3, 7)
    ]

    def error(logits):  # CORN: levels whose product of probabilities is one half or more
        levels = (logits.sigmoid().cumprod(1) >= 0.5).sum(1).numpy()
        return np.abs(levels - (table[test, 0] - 1)).mean()

    with torch.no_grad():
        evaluated = error(by_hand(network, scaled, running))
        torch.manual_seed(0)
        batches = [by_hand(network, scaled[:128]), by_hand(network, scaled[128:])]
        training = error(torch.cat(batches))
    assert len(scaled) == 141
    assert cement.mean_error(run) == pytest.approx(evaluated)
    assert cement.mean_error(run, training=True) == pytest.approx(training)
    assert evaluated != training


def cement_network(state):
    """The parameters of a CementNetwork, in its order."""
    names = [f"features.{at}.{kind}" for at in (0, 3, 4, 7) for kind in ("weight", "bias")]
    names = [name for name in (*names, "output.weight", "output.bias") if name in state]
    return type("Parameters", (), {"parameters": lambda self: [state[name] for name in names]})()


def test_class_error_is_a_mean_distance():
    assert cement.class_error(torch.tensor([0, 4, 2, 1]), torch.tensor([3, 4, 1, 1])) == 1.0


ERRORS = {
    "CE": cement.Errors([0.25, 0.3, 0.28], [0.35, 0.4, 0.36], [0.3, 0.3, 0.2]),
    "CORAL": cement.Errors([0.3, 0.31, 0.2], [0.3, 0.4, 0.37], [0.2, 0.4, 0.2]),
    "CORN": cement.Errors([0.2, 0.25, 0.3], [0.33, 0.4, 0.31], [0.2, 0.2, 0.1]),
}


def test_the_answer_counts_and_compares():
    answer = cement.answer_of(ERRORS)
    assert answer.holds
    assert "Of 3 other splits CORN has a smaller error than CE on 3, and CORAL on 1." in (
        answer.sentence
    )
    assert "CE 0.280, CORAL 0.300, CORN 0.250; in training mode" in answer.sentence
    assert answer.sentence.endswith("they are CE 0.360, CORAL 0.370, CORN 0.330.")
    rows = {row.what: row for row in answer.rows}
    assert len(rows) == 15
    ours = {what: row.ours for what, row in rows.items() if row.what.startswith("CORN")}
    assert ours == {
        "CORN: test error in training mode, median of 3 seeds": 0.33,
        "CORN: test error in evaluation mode, median of 3 seeds": 0.25,
        "CORN: range over 3 seeds, training mode": "0.310 to 0.400",
        "CORN: range over 3 seeds, evaluation mode": "0.200 to 0.300",
        "CORN: range over 3 other splits, evaluation mode": "0.100 to 0.200",
    }
    quoted = {row.what.split(":")[0]: row.published for row in answer.rows if row.difference}
    assert quoted == {"CE": 0.37, "CORAL": 0.36, "CORN": 0.32}


def test_each_claim_can_fail():
    far = ERRORS | {"CE": replace(ERRORS["CE"], training=[0.6, 0.6, 0.6])}
    assert [claim.holds for claim in cement.answer_of(far).claims] == [False, True]
    large = ERRORS | {"CORAL": replace(ERRORS["CORAL"], evaluated=[0.2, 0.2, 0.36])}
    assert [claim.holds for claim in cement.answer_of(large).claims] == [True, False]


def test_a_table_that_is_absent_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("MLR_CEMENT", str(tmp_path))
    with pytest.raises(InputError, match=r"cement_strength\.csv of .* in MLR_CEMENT\.$"):
        cement.cement_strength(None)
    write_table(tmp_path)
    assert cement_file() == tmp_path / "cement_strength.csv"
    monkeypatch.delenv("MLR_CEMENT")
    monkeypatch.setattr(files, "SHARED_DATA", tmp_path)
    beside = write_table(tmp_path / "cement")
    assert cement_file() == beside


@pytest.mark.slow
def test_the_notebooks_measured_in_training_mode(monkeypatch, tmp_path):
    need_cement(monkeypatch)
    answer = cement.cement_strength(Lab(tmp_path))
    with (tmp_path / "cement_split.csv").open(encoding="utf-8") as file:
        rows = [n for n, row in enumerate(csv.DictReader(file)) if row["split"] == "test"]
    # of scikit-learn's split of the file
    assert (rows[:6], len(rows), sum(rows)) == ([0, 6, 9, 12, 16, 43], 200, 103_234)
    assert answer.holds
    ours = {row.what: row.ours for row in answer.rows if row.difference}
    evaluated = {what.split(":")[0]: value for what, value in ours.items() if "evaluation" in what}
    # seeds 10 to 19: 0.285, 0.315, 0.2625
    assert evaluated == pytest.approx({"CE": 0.285, "CORAL": 0.3025, "CORN": 0.2625}, abs=0.02)
    assert median(evaluated.values()) == evaluated["CE"]
    told = " ".join(PAGE.read_text(encoding="utf-8").split())
    numbers = re.search(
        r"with dropout, ours are (\S+), (\S+) and (\S+), .*?, and (\S+), (\S+) and (\S+) without",
        told,
    )
    stated = [float(number) for number in numbers.groups()]
    modes = [
        f"test error in {mode} mode, median of 10 seeds" for mode in ("training", "evaluation")
    ]
    here = [ours[f"{name}: {mode}"] for mode in modes for name in cement.METHODS]
    assert stated == pytest.approx(here, abs=0.02)
    wins = re.search(r"CORN has a smaller error than CE on (\d+)", answer.sentence)[1]
    assert f"On ten other splits CORN is better than CE on {wins}." in told
