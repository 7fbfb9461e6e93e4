"""The presets on the real MNIST files, and the synthetic ones, by their own command."""

from __future__ import annotations

import json

import pytest

from tests.data.support import mnist_folder

BARS = {"mnist_linear": 0.920, "mnist_mlp": 0.975, "mnist_cnn": 0.988}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mnist_linear", "mnist_mlp", pytest.param("mnist_cnn", marks=pytest.mark.long)]
)
def test_the_preset_reaches_its_accuracy(train, name):
    folder = mnist_folder()
    if not folder.exists():
        pytest.skip(f"the real MNIST files are not in {folder}; name their folder in MLR_MNIST")
    finished = train(f"experiment={name}", f"data.root={folder}")
    assert finished.code == 0, finished.err
    assert finished.status()["metrics"]["accuracy/test"] >= BARS[name]


@pytest.mark.slow
@pytest.mark.long
def test_synthetic_images_tell_a_cnn_from_a_line(train, tmp_path):
    accuracy = {}
    for model in ("linear", "cnn"):
        run = tmp_path / model
        line = ("data=synthetic_mnist", "data.n=6000", "epochs=3", f"model={model}")
        line += ("optimizer=adam", "optimizer.lr=0.003")
        assert train(*line, f"hydra.run.dir={run}").code == 0
        status = json.loads((run / "status.json").read_text(encoding="utf-8"))
        accuracy[model] = status["metrics"]["accuracy/test"]
    assert accuracy["linear"] < 0.92
    assert accuracy["cnn"] > 0.96
