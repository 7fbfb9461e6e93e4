"""A loop of somebody's own has no final diagnostics: its last batches are judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mlr import GradientProbe
from mlr.analysis.explain import explain
from mlr.analysis.explain.command import reassurance, remedies
from mlr.records.reading import read_runs
from tests.analysis.explain import made

LATE = " (means over the last quarter of the measured batches)"


def trained(folder: Path, head: str, bias: float, cross_entropy: bool = False):
    """Ten outputs on noisy one-hot features, learned in 60 updates of plain PyTorch."""
    torch.manual_seed(0)
    model = torch.nn.Linear(10, 10)
    torch.nn.init.constant_(model.bias, bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with GradientProbe(model, optimizer, folder, head=head, schedule="every:1") as probe:
        for _ in range(60):
            labels = torch.randint(10, (64,))
            targets = torch.nn.functional.one_hot(labels, 10).float()
            logits = model(3 * targets + 0.1 * torch.randn(64, 10))
            y = logits.clamp(0, 1) if head == "clipped_linear" else logits.sigmoid()
            losses = 0.5 * (y - targets).square()
            if cross_entropy:
                losses = torch.nn.functional.binary_cross_entropy_with_logits(
                    logits, targets, reduction="none"
                )
            loss = losses.sum(1).mean()
            probe.watch(logits, targets, loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return read_runs(folder)


def late(folder: Path, tag: str) -> float:
    """The mean of the last quarter, from the file."""
    table = np.genfromtxt(folder / "metrics.csv", delimiter=",", names=True, deletechars="")
    return float(table[tag][table["step"] >= 0.75 * table["step"][-1]].mean())


def test_a_saturated_sigmoid(tmp_path):
    runs = trained(tmp_path / "it", "sigmoid", bias=-10)
    (one,) = explain(runs)
    assert one.rule == "saturated"
    stuck, right = (late(tmp_path / "it", tag) for tag in ("stuck/fraction", "accuracy/train"))
    assert one.sentence == (
        f"{100 * stuck:.0f} % of the training examples are predicted wrongly and receive next to "
        "no gradient: the sigmoid is saturated, and the loss does not make up for its small slope."
    )
    assert f"stuck/fraction {stuck:.3g}; accuracy/train {right:.3g};" in one.evidence
    assert one.evidence.endswith(LATE)
    # the command that trains it again is not mlr's
    line = "loss = F.binary_cross_entropy_with_logits(outputs, targets)"
    page = "mlr/docs/not_learning.md"
    assert remedies(runs, one) == {"write": line, "sure": "certain", "page": page}


def test_a_clipped_unit(tmp_path):
    runs = trained(tmp_path / "it", "clipped_linear", bias=-10)
    (one,) = explain(runs)
    assert one.rule == "clipped_dead"
    stuck, right = (late(tmp_path / "it", tag) for tag in ("stuck/zero", "accuracy/train"))
    assert one.evidence == f"stuck/zero {stuck:.3g}; accuracy/train {right:.3g}{LATE}"


def test_one_that_learns(tmp_path):
    runs = trained(tmp_path / "it", "sigmoid", bias=-10, cross_entropy=True)
    assert explain(runs) == []
    assert reassurance(runs).startswith("No fault found: loss from ")


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, ["saturated"]),
        ({"status": "interrupted"}, []),
        ({"anatomy": made.SOUND}, []),  # of all examples
    ],
)
def test_only_a_run_that_is_done_without_diagnostics_is_judged_by_batches(tmp_path, changes, rules):
    curves = {
        "loss/train": [0.5] * 8,
        # wrong early, and then half of them stuck
        **{"accuracy/train": [0.1] * 6 + [0.4, 0.6], "stuck/fraction": [0.9] * 6 + [0.6, 0.4]},
        "saturation/fraction": [0.9] * 8,
    }
    metrics = {"loss/train": 0.5, "accuracy/train": 0.6}
    told = {"anatomy": None, "metrics": metrics, "curves": curves} | changes
    found = explain([made.run(tmp_path / "it", "sigmoid+se", **told)])
    assert [one.rule for one in found] == rules
    if rules:
        assert found[0].sentence.startswith("50 % of the training examples")
        assert "accuracy/train 0.5;" in found[0].evidence
