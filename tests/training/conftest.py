from __future__ import annotations

from functools import cache

import pytest
import torch

from mlr.data.base import Dataset, Split
from mlr.models import Linear, Mlp
from mlr.objectives import Objective
from mlr.training import SGD, Experiment


def split(count: int, classes: int | None, seed: int, features: int = 3) -> Split:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, features, generator=generator, dtype=torch.float64)
    noise = 0.5 * torch.randn(count, generator=generator, dtype=torch.float64)
    value = x[:, 0] - 0.5 * x[:, 1] + noise
    if classes is None:
        return Split(x, value.unsqueeze(1))
    edges = torch.linspace(-1, 1, classes - 1, dtype=torch.float64)
    return Split(x, torch.bucketize(value, edges))


@cache
def dataset(classes: int | None = 2, count: int = 50) -> Dataset:
    parts = [split(count, classes, seed) for seed in (1, 2, 3)]
    return Dataset("made", *parts, classes)


def experiment(**changes) -> Experiment:
    """A small float64 run; `head`, `loss`, `model` are taken beside Experiment's own fields,
    and `options` of the objective."""
    data = changes.pop("data", None) or dataset()
    head, loss = changes.pop("head", "sigmoid"), changes.pop("loss", "bce")
    model = changes.pop("model", Linear())
    options = changes.pop("options", {})
    objective = Objective(head, loss)
    head_of = objective.head
    outputs = head_of.outputs(data.classes) if data.classes else head_of.range.per_target
    seed = changes.get("seed", 0)
    defaults = {
        "objective": Objective(head, loss, outputs=outputs, **options),
        "module": model.build(data.feature_shape, outputs, seed, "float64"),
        "data": data,
        "optimizer": SGD(lr=0.2),
        "epochs": 3,
        "batch_size": 16,
        "dtype": "float64",
    }
    return Experiment(**{**defaults, **changes})


@pytest.fixture
def mlp() -> Mlp:
    return Mlp(widths=[5, 4], activation="tanh", init="torch")
