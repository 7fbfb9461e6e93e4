"""The recipe of the deeplearning.net tutorials on the page of data, against what they published."""

from __future__ import annotations

import re

import pytest
import torch
import yaml

from mlr.data import Mnist
from mlr.docs import build
from mlr.training.checkpoint import load_checkpoint
from tests.data.support import mnist_folder

TEXT = (build.PAGES / "data.md").read_text(encoding="utf-8")
RECIPE = yaml.safe_load(re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[1])
SEEN = 9_600
"""Test images of the tutorial's 16 batches of 600."""


def test_the_recipe_is_that_of_the_tutorial():
    """Batch of 600, rate 0.13, patience 5000, its factor 2, threshold 0.995."""
    assert (RECIPE["batch_size"], RECIPE["optimizer.lr"], RECIPE["model.init"]) == (
        600,
        0.13,
        "zeros",
    )
    rule = [RECIPE[f"stopping.{name}"] for name in ("by", "updates", "factor", "threshold")]
    assert rule == ["error", 5000, 2, 0.995]


@pytest.mark.slow
@pytest.mark.long
def test_it_stops_after_74_epochs_within_two_images_of_the_published_test_error(train):
    """Published: 74 epochs, and 7.489583 % of the first 9,600 test images wrong."""
    if not mnist_folder().exists():
        pytest.skip(f"the real MNIST files are not in {mnist_folder()}")
    options = [f"{key}={str(value).lower()}" for key, value in RECIPE.items()]
    finished = train("data=mnist", f"data.root={mnist_folder()}", *options, "probes=off")
    assert finished.code == 0, finished.err
    assert finished.status()["steps"] == 74 * 83
    (run,) = finished.runs
    state = load_checkpoint(run / "checkpoint.safetensors")[0].state_dict
    weight, bias = (next(own for own in state.values() if own.dim() == dim) for dim in (2, 1))
    data = Mnist(root=mnist_folder(), val_size=10_000, scale="unit256").load(0).test
    logits = data.features[:SEEN].flatten(1) @ weight.T + bias
    wrong = int((logits.argmax(1) != data.targets[:SEEN]).sum())
    # 719 of 9,600 are 7.489583 %
    assert abs(wrong - 719) <= 2
    assert torch.isfinite(logits).all()
