"""Final numbers and diagnosis of a run, recomputed in numpy from its checkpoint and its data."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mlr.data.base import Dataset
from mlr.models import Linear, Mlp
from mlr.probes import ProbeSettings
from mlr.training import SGD, train
from tests.training.by_numpy import Examples
from tests.training.conftest import experiment, split

THRESHOLD = 0.05
CLOSELY = 1024
"""examples, of the training split, whose logits and quantiles are told"""

# examples of each split: whole chunks, one more, and less than one; a program of few parameters
# judges 256 at a time, others 2,048, and 1,024 of the training split
SIZES = {"lanes": (1300, 256, 513), "narrow": (2100, 2048, 2049), "small": (61, 1, 50)}
MODELS = {
    "lanes": Linear(init="torch"),
    "narrow": Mlp(widths=[12], init="torch", init_scale=2.0),
    "small": Mlp(widths=[5], init="torch", init_scale=2.0),
}
PAIRS = [
    ("clipped_linear", "se", 2),
    ("sigmoid", "se", 2),
    ("sigmoid", "bce", 3),
    ("linear", "se", 3),
    ("softmax", "ce", 3),
    ("gaussian", "gaussian_nll", None),
]


def logits(parameters, x):
    """Of a linear model, or of one hidden layer of ReLUs."""
    if "hidden1.weight" in parameters:
        x = np.maximum(x @ parameters["hidden1.weight"].T + parameters["hidden1.bias"], 0)
    return x @ parameters["output.weight"].T + parameters["output.bias"]


def examples(run, part, parameters, most=None):
    own = getattr(run.data, part)
    z = logits(parameters, own.features.numpy()[:most])
    head, loss = run.objective.head.name, run.objective.loss.name
    return Examples(head, loss, z, own.targets.numpy()[:most], run.data.classes, THRESHOLD)


def assert_near(found, expected, name=""):
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert_near(found[key], value, f"{name}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), name
        for one, other in zip(found, expected, strict=True):
            assert_near(one, other, name)
    elif expected is None:
        assert found is None, name
    else:  # to six digits
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-9), name


@pytest.mark.parametrize(("head", "loss", "classes"), PAIRS)
@pytest.mark.parametrize("kind", MODELS)
def test_every_final_number_is_that_of_its_parameters(head, loss, classes, kind, monkeypatch):
    monkeypatch.setattr("mlr.training.examples.JUDGED", (max(SIZES[kind]), 10_000))  # all of them
    parts = [split(size, classes, seed) for seed, size in enumerate(SIZES[kind])]
    runs = [
        experiment(
            head=head,
            loss=loss,
            data=Dataset("made", *parts, classes),
            model=MODELS[kind],
            optimizer=SGD(lr=0.001 if classes is None else 0.1),
            probes=ProbeSettings(threshold=THRESHOLD, prediction=True),
            steps=9,
            seed=seed,
        )
        for seed in range(2)
    ]
    for run, result in zip(runs, train(runs), strict=True):
        last = {name: own.numpy() for name, own in result.state_dict.items()}
        seen = examples(run, "train", last)
        expected = seen.metrics()
        for part in ("val", "test"):
            expected |= examples(run, part, last).judged(part)
        assert result.metrics == pytest.approx(expected, rel=1e-9, abs=1e-15)
        assert_near(result.anatomy, seen.anatomy(examples(run, "train", last, CLOSELY)))
        first = {name: own.detach().numpy() for name, own in run.module.named_parameters()}
        start = examples(run, "train", first, CLOSELY)
        assert_near(result.anatomy["start"], {"loss": start.losses.mean(), **start.shares()})
        assert json.loads(json.dumps(result.anatomy, allow_nan=False)) == result.anatomy
