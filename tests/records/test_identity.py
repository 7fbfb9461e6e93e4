from __future__ import annotations

import pytest

from mlr.records.identity import config_hash, data_key, group_key

CONFIG = {
    "head": {"_target_": "mlr.heads.Sigmoid"},
    "loss": {"_target_": "mlr.losses.SquaredError"},
    "model": {"_target_": "mlr.models.Mlp", "widths": [8], "init": "he", "init_scale": 1.0},
    "data": {"_target_": "mlr.data.Blobs", "n": 100, "seed": None, "label_noise": 0.0},
    "optimizer": {"_target_": "mlr.training.SGD", "lr": 0.1},
    "seed": 0,
    "batch_size": 32,
    "objective_metric": "loss/val",
    "evaluate": {"test_every_epoch": False},
    "sweep": {"resume": None},
}


def changed(key: str, value: object) -> dict:
    group, _, name = key.partition(".")
    new = {**CONFIG[group], name: value} if name else value
    return {**CONFIG, group: new}


@pytest.mark.parametrize(
    ("key", "value", "same_run", "same_program"),
    [
        ("sweep.resume", "x", True, True),
        ("objective_metric", "loss/test", True, True),
        ("model.init_scale", 1, True, True),
        ("seed", 1, False, True),
        ("optimizer.lr", 0.2, False, True),
        ("head._target_", "mlr.heads.Linear", False, True),
        ("model.init", "glorot", False, True),
        ("data.label_noise", 0.1, False, True),
        ("data.n", 200, False, False),
        ("data.order", "given", False, False),
        ("data.drop_last", True, False, False),
        ("evaluate.test_every_epoch", True, False, False),
        ("model.widths", [16], False, False),
        ("batch_size", 16, False, False),
        ("optimizer._target_", "mlr.training.Adam", False, False),
    ],
)
def test_what_a_run_is_and_what_a_program_is(key, value, same_run, same_program):
    other = changed(key, value)
    assert (config_hash(other) == config_hash(CONFIG)) is same_run
    assert (group_key(other) == group_key(CONFIG)) is same_program


def test_the_order_of_keys_means_nothing():
    assert config_hash(dict(reversed(CONFIG.items()))) == config_hash(CONFIG)


def test_data_are_told_apart_by_their_options_and_their_seed():
    options = CONFIG["data"]
    assert data_key(options, 0) == data_key({**options, "n": 100.0}, 0)
    assert data_key(options, 0) != data_key(options, 1)
    assert data_key(options, 0) != data_key({**options, "n": 101}, 0)
