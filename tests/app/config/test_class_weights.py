"""The option loss.weight: what it may be, and the weights that it gives."""

from __future__ import annotations

import re

import pytest
import torch
from omegaconf import OmegaConf

from mlr.app.config.class_weights import check_weight, class_weights, without_weight
from mlr.app.config.run_spec import make_run_spec
from mlr.core.checks import InputError
from mlr.data.base import Dataset, Split


def data_of(counts, classes) -> Dataset:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    part = Split(torch.zeros(len(labels), 1), labels)
    return Dataset("made", part, part, part, classes)


def test_balanced_weights_are_those_of_scikit_learn():
    """compute_class_weight("balanced") of its documentation: n/(K · count)."""
    assert class_weights("balanced", data_of([2, 1], 2)) == (0.75, 1.5)
    weights = class_weights("balanced", data_of([6, 3, 1], 3))
    assert sum(w * n for w, n in zip(weights, [6, 3, 1], strict=True)) == pytest.approx(10)


def test_a_list_and_nothing():
    assert class_weights([1, 5], data_of([2, 1], 2)) == (1.0, 5.0)
    assert class_weights(None, data_of([2, 1], 2)) is None


@pytest.mark.parametrize(
    ("weight", "sentence"),
    [
        ("even", "loss.weight=even must be balanced, or a list of one number of at least 0"),
        ([1, -1], "loss.weight=[1,-1] must be balanced, or a list"),
        ([1, True], "must be balanced, or a list"),
        (2.0, "loss.weight=2.0 must be balanced, or a list"),
        ([0, 0], "loss.weight=[0,0] must hold a number above 0"),
        (
            [1, 2, 3],
            "loss.weight=[1,2,3] has 3 numbers, but there are 2 classes; give one for each",
        ),
    ],
)
def test_others_are_refused(weight, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        check_weight(weight, False, 2)


def test_a_class_without_examples_cannot_be_balanced():
    with pytest.raises(InputError, match="and class 2 has none; give a list"):
        class_weights("balanced", data_of([2, 1], 3))


def test_a_regression_has_no_classes(train):
    finished = train("experiment=line", "loss.weight=balanced")
    assert finished.code == 2
    assert "loss.weight=balanced needs classes, but the data are a regression" in finished.err


def test_a_loss_of_a_users_own_may_have_a_weight_itself():
    settings = {"_target_": "own.Loss", "weight": 3}
    assert without_weight(settings, own=False) == (settings, None)
    assert without_weight({"_target_": "own.Loss", "weight": None}, own=False)[0] == {
        "_target_": "own.Loss"
    }
    assert without_weight(settings, own=True) == ({"_target_": "own.Loss"}, 3)


def test_the_training_split_is_counted(train):
    finished = train("data=outliers", "loss.weight=balanced", "epochs=1", "probes=off")
    assert finished.code == 0, finished.err
    (folder,) = finished.runs
    config = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "config.yaml"))
    run = make_run_spec(config).build()
    counts = run.data.train.targets.bincount().tolist()
    assert run.class_weights == tuple(sum(counts) / (2 * one) for one in counts)
    del config["loss"]["weight"]  # of an older version
    assert make_run_spec(config).build().class_weights is None
