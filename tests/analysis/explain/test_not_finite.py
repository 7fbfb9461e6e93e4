"""Own parts that give NaN from their first call are named, and no learning rate is."""

from __future__ import annotations

import pytest

from mlr.analysis.explain import findings
from tests.analysis.explain.made import falling, run

OWN = """
import torch
from torch import nn
from mlr.losses import SquaredError

class LogOfNothing(SquaredError):
    name = "own"
    def __call__(self, predictions, targets):
        return super().__call__(predictions, targets) + torch.log(predictions.sum(-1) - 1e6)

class Constant(SquaredError):
    name = "own"
    def __call__(self, predictions, targets):  # its gradient is that of squared error
        return super().__call__(predictions, targets) + torch.full_like(targets[..., 0], torch.nan)

class Net(nn.Linear):
    def __init__(self): super().__init__(2, 1)
    def forward(self, x): return super().forward(x) / 0 * 0
"""
LINE = ("data=blobs", "head=sigmoid", "loss=se", "epochs=2", "allow_targets=[broken_parts]")


def test_what_was_never_finite_is_not_the_rates_doing(train, tmp_path):
    (tmp_path / "broken_parts.py").write_text(OWN)
    finished = train(*LINE, "model=custom", "model._target_=broken_parts.Net")
    assert finished.status()["status"] == "diverged"
    (line,) = [line for line in finished.out.splitlines() if line.startswith("diagnosis")]
    assert "A logit is not finite before the first update" in line
    assert "look at what the model (broken_parts.Net) computes" in line
    assert "Try" not in line
    assert "optimizer.lr" not in finished.out
    (reason,) = [line for line in finished.out.splitlines() if line.startswith("diverged: ")]
    assert reason.endswith("it was so before any update: look at the model and the loss")


@pytest.mark.parametrize("loss", ["LogOfNothing", "Constant"])
def test_a_loss_that_is_not_finite_is_not_trained(train, tmp_path, loss):
    (tmp_path / "broken_parts.py").write_text(OWN)
    finished = train(*LINE, f"loss._target_=broken_parts.{loss}")
    assert finished.code == 2
    assert finished.err.startswith("mlr: loss=own is NaN for logits (")
    assert finished.runs == []


def test_a_rate_that_is_too_high_at_once_is_still_called_so(tmp_path):
    lost = {"status": "diverged", "metrics": {"loss/train": float("nan")}}
    refused = {"update": 1, "tensor": "the updated output.weight", "examples": [0]}
    one = run(tmp_path / "run", curves=falling(), refused=refused, **lost)
    assert list(findings(one)) == ["lr_too_high"]
    refused["tensor"] = "the gradient of hidden1.weight"
    two = run(tmp_path / "other", curves=falling(), refused=refused, **lost)
    assert list(findings(two)) == ["not_finite"]
    refused["update"] = 2
    three = run(tmp_path / "third", curves=falling(), refused=refused, **lost)
    assert list(findings(three)) == ["lr_too_high"]
