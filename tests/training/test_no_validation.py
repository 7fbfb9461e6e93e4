"""Runs without validation examples."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import pytest
import torch
from torch import nn

from mlr.core.checks import InputError
from mlr.data.base import Dataset, Split
from mlr.models import Mlp
from mlr.training import SGD, train
from mlr.training.log import run_tags
from tests.training.conftest import dataset, experiment
from tests.training.test_log import recorded


def without_validation(classes: int | None = 2) -> Dataset:
    whole = dataset(classes)
    return replace(whole, val=Split(whole.val.features[:0], whole.val.targets[:0]))


KINDS = {
    "lanes": dict,
    "narrow": lambda: {"model": Mlp(widths=[40])},
    "module": lambda: {"module": nn.Sequential(nn.Linear(3, 1), nn.Softplus()).double()},
    "regression": lambda: {"head": "gaussian", "loss": "gaussian_nll"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_what_it_learns_with_validation(tmp_path, kind):
    torch.manual_seed(0)
    changes = KINDS[kind]()
    classes = None if kind == "regression" else 2
    runs = [
        experiment(data=data(classes), seed=1, **changes) for data in (without_validation, dataset)
    ]
    (one,), (other,) = (train([run]) for run in runs)
    for name, value in other.parameters.items():
        assert one.parameters[name].equal(value)
    assert one.metrics == {tag: n for tag, n in other.metrics.items() if not tag.endswith("/val")}
    assert not any(isnan(number) for number in one.metrics.values())
    assert one.status == "done"
    assert not [tag for tag in run_tags(runs[0]) if "/val" in tag]
    (table,), (whole,) = recorded(tmp_path / "1", runs[:1]), recorded(tmp_path / "2", runs[1:])
    kept = {
        step: {tag: n for tag, n in row.items() if not tag.endswith("/val")}
        for step, row in whole.items()
    }
    assert table == {step: row for step, row in kept.items() if set(row) > {"epoch"}}


def test_patience_needs_validation():
    with pytest.raises(InputError, match=r"patience=3 needs validation .* data=made has none") as e:
        experiment(data=without_validation(), patience=3)
    assert len(str(e.value)) <= 195


@pytest.mark.parametrize(
    ("weight", "lr", "advice"),
    [
        (None, 1e30, "try a smaller optimizer.lr"),
        (1e30, 1e-30, "before any update: look at the model and the loss"),
    ],
)
def test_a_loss_that_is_not_finite_in_the_end_is_reported(weight, lr, advice):
    """Squares of logits of 1e30 are not finite in float32, parameters and gradients are."""
    module = nn.Sequential(nn.Linear(3, 1))
    if weight is not None:
        nn.init.constant_(module[0].weight, weight)
    changes = {"epochs": 1, "steps": 1, "dtype": "float32", "module": module}
    run = experiment(
        data=without_validation(), head="linear", loss="se", optimizer=SGD(lr=lr), **changes
    )
    (result,) = train([run])
    assert result.status == "diverged"
    assert result.reason.startswith("the training loss is not finite after 1 updates")
    assert result.reason.endswith(advice)


def test_a_run_with_validation_is_another_program():
    with pytest.raises(InputError, match="must share data"):
        train([experiment(), experiment(data=without_validation())])
