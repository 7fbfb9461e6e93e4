"""Parts of a configuration: one object for equal settings."""

from __future__ import annotations

from functools import partial

import pytest

from mlr.app.config import run_spec
from mlr.core.checks import InputError
from mlr.data.base import Source
from mlr.models import Model
from mlr.training import Optimizer

SGD = {"_target_": "mlr.training.SGD", "lr": 1}
optimizer = partial(run_spec._part, "optimizer", base=Optimizer, allowed=[])


def test_equal_settings_are_one_object_and_others_are_not(monkeypatch):
    one = optimizer({**SGD})
    assert optimizer({**SGD}) is one
    for lr in (1.0, 2):
        other = optimizer(SGD | {"lr": lr})
        assert other is not one
        assert repr(other.lr) == repr(lr)
    monkeypatch.setattr(run_spec, "MOST_PARTS", 1)
    optimizer(SGD | {"lr": 3})
    assert len(run_spec._made) == 1


def test_what_is_refused_is_refused_again():
    for _ in range(2):
        with pytest.raises(InputError, match=r"optimizer\.lr"):
            optimizer(SGD | {"lr": -1})


def test_modules_of_users_and_paths_of_a_home_are_made_anew(monkeypatch):
    module = {"_target_": "torch.nn.Flatten"}
    made = [run_spec._part("model", module, Model, []) for _ in range(2)]
    assert made[0] is not made[1]
    file = {"_target_": "mlr.data.Csv", "path": "~/data.csv"}
    for home in ("/a", "/b"):
        monkeypatch.setenv("HOME", home)
        source = run_spec._part("data", file, Source, [])
        assert str(source.file) == f"{home}/data.csv"
