"""The presets on the real MNIST files, by their own command."""

from __future__ import annotations

import pytest

from tests.data.support import mnist_folder

BARS = {"mnist_linear": 0.920, "mnist_mlp": 0.975, "mnist_cnn": 0.988}


@pytest.mark.slow
@pytest.mark.parametrize("name", BARS)
def test_the_preset_reaches_its_accuracy(train, name):
    folder = mnist_folder()
    if not folder.exists():
        pytest.skip(f"the real MNIST files are not in {folder}; name their folder in MLR_MNIST")
    finished = train(f"experiment={name}", f"data.root={folder}")
    assert finished.code == 0, finished.err
    assert finished.status()["metrics"]["accuracy/test"] >= BARS[name]
