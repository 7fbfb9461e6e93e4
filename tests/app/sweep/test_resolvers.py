from __future__ import annotations

from mlr.records.settings import hyperparameters


def test_hyperparameters_are_flat_scalars_with_the_parts_by_name():
    config = {
        "head": {"_target_": "mlr.heads.Sigmoid"},
        "model": {"_target_": "mlr.models.Mlp", "widths": [8, 4]},
        "optimizer": {"_target_": "mlr.training.SGD", "lr": 0.5, "nesterov": False},
        "seed": 3,
        "steps": None,
    }
    assert hyperparameters(config, {"head": "sigmoid"}) == {
        "head": "sigmoid",
        "lr": 0.5,
        "seed": 3,
        "model.widths": "[8, 4]",
        "optimizer.nesterov": False,
        "steps": "None",
    }
