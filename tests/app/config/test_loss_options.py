"""Options of the objective in the group loss: what they may be, and the numbers they give."""

from __future__ import annotations

import re

import pytest
import torch
from omegaconf import OmegaConf

from mlr.app.config.loss_options import LossOptions
from mlr.app.config.run_spec import make_run_spec
from mlr.core.checks import InputError
from mlr.data.base import Dataset, Split
from mlr.training.instantiate import split_loss


def data_of(counts, classes) -> Dataset:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    part = Split(torch.zeros(len(labels), 1), labels)
    return Dataset("made", part, part, part, classes)


def test_balanced_weights_are_those_of_scikit_learn():
    """compute_class_weight("balanced") of its documentation: n/(K · count)."""
    assert LossOptions(weight="balanced").class_weights(data_of([2, 1], 2)) == (0.75, 1.5)
    weights = LossOptions(weight="balanced").class_weights(data_of([6, 3, 1], 3))
    assert sum(w * n for w, n in zip(weights, [6, 3, 1], strict=True)) == pytest.approx(10)


def test_a_list_and_nothing():
    assert LossOptions([1, 5]).class_weights(data_of([2, 1], 2)) == (1.0, 5.0)
    assert LossOptions().class_weights(data_of([2, 1], 2)) is None


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
        LossOptions(weight).check(True, True, 2)


def test_a_class_without_examples_cannot_be_balanced():
    with pytest.raises(InputError, match="and class 2 has none; give a list"):
        LossOptions("balanced").class_weights(data_of([2, 1], 3))


def test_a_loss_of_a_users_own_may_have_such_options_itself():
    settings = {"_target_": "own.Loss", "weight": 3, "temperature": 2.0}
    assert split_loss(settings) == (settings, {})
    plain = {"_target_": "own.Loss"}
    assert split_loss(plain | {"weight": None, "prior": None})[0] == plain
    settings["_target_"] = "mlr.losses.CrossEntropy"
    assert split_loss(settings) == (
        {"_target_": "mlr.losses.CrossEntropy"},
        {"weight": 3, "temperature": 2.0},
    )


def test_the_training_split_is_counted(train):
    finished = train("data=outliers", "loss.weight=balanced", "epochs=1", "probes=off")
    assert finished.code == 0, finished.err
    (folder,) = finished.runs
    config = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "config.yaml"))
    run = make_run_spec(config).build()
    counts = run.data.train.targets.bincount().tolist()
    assert run.class_weights == tuple(sum(counts) / (2 * one) for one in counts)
    for name in ("weight", "pos_weight", "label_smoothing", "prior", "temperature"):
        del config["loss"][name]  # of an older version
    assert make_run_spec(config).build().class_weights is None
