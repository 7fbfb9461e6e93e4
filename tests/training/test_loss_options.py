"""Options of the objective in the group loss: what they may be, and the numbers they give."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from mlr.app.config.run_spec import make_run_spec
from mlr.app.trained.loading import load_trained
from mlr.core.checks import InputError
from mlr.data.base import Dataset, Split
from mlr.objectives.compatibility import find_head, find_loss
from mlr.records.run_folder import read_status
from mlr.training.instantiate import split_loss
from mlr.training.loss_options import LossOptions
from tests.training.conftest import dataset


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


def objective(head, loss, outputs, data=None, **options):
    data = data_of([2, 1], 2) if data is None else data
    given = find_head(head), find_loss(loss)
    return LossOptions(**options).objective(*given, outputs, True, data)


def labels_of(rows) -> Dataset:
    part = Split(torch.zeros(len(rows), 1), torch.tensor(rows, dtype=torch.float32))
    return Dataset("made", part, part, part, None, multilabel=True)


def test_numbers_of_the_training_split():
    assert objective("sigmoid", "bce", 1, pos_weight="balanced").pos_weight.tolist() == [2.0]
    three = data_of([4, 1, 5], 3)
    found = objective("sigmoid", "bce", 3, three, pos_weight="balanced").pos_weight
    assert found.tolist() == [6 / 4, 9 / 1, 5 / 5]
    labels = labels_of([[1, 0], [0, 1], [0, 1], [1, 1]])
    found = objective("sigmoid", "bce", 2, labels, pos_weight="balanced").pos_weight
    assert found.tolist() == [1.0, 1 / 3]
    assert objective("sigmoid", "bce", 3, three, pos_weight=2).pos_weight.tolist() == [2, 2, 2]
    # of ordered classes output k asks for those above k
    found = objective("coral", "bce", 2, three, pos_weight="balanced").pos_weight
    assert found.tolist() == [4 / 6, 5 / 5]
    found = objective("softmax", "ce", 3, three, prior="data", temperature=2, label_smoothing=0.1)
    assert found.log_prior.exp().tolist() == pytest.approx([0.4, 0.1, 0.5], rel=1e-15)
    assert (found.temperature, found.label_smoothing) == (2.0, 0.1)
    found = objective("softmax", "ce", 3, three, prior=[1, 1, 2])  # which need not sum to 1
    assert found.log_prior.exp().tolist() == pytest.approx([0.25, 0.25, 0.5], rel=1e-15)


def test_what_a_pair_or_its_data_cannot_have_is_refused():
    for given, sentence in (
        (("sigmoid", "bce", 1, None, {"label_smoothing": 0.1}), "is not; leave it out: loss.label"),
        (("softmax", "smoothed_ce", 2, None, {"label_smoothing": 0.1}), "would smooth twice"),
        (("softmax", "ce", 2, None, {"pos_weight": 3}), "head=softmax loss=ce are not; use loss.w"),
        (("softmax", "bce", 2, None, {"pos_weight": 3}), "head=softmax loss=bce are not"),
        (("sigmoid", "bce", 1, None, {"prior": "data"}), "head=sigmoid is another; use loss.weigh"),
        (("sigmoid", "bce", 1, None, {"pos_weight": [1, 2]}), "[1,2] has 2 numbers, but head=sig"),
        (("sigmoid", "bce", 1, data_of([2], 2), {"pos_weight": "balanced"}), "label 1, and none"),
        (("sigmoid", "bce", 2, labels_of([[1, 0], [1, 1]]), {"pos_weight": "balanced"}),
         "label 0, and every one has it"),
        (("softmax", "ce", 3, data_of([2, 1], 3), {"prior": "data"}), "and class 2 has none"),
    ):  # fmt: skip
        *parts, options = given
        with pytest.raises(InputError) as raised:
            objective(*parts, **options)
        assert sentence in str(raised.value)


def test_values_are_judged_before_the_data_are_loaded():
    for options, sentence in (
        ({"label_smoothing": 1.0}, "loss.label_smoothing=1.0 must lie in [0, 1)"),
        ({"temperature": 0}, "loss.temperature=0 must be a finite number above 0"),
        ({"prior": [0, 1]}, "loss.prior=[0,1] must be data, or a list of one number above 0"),
        ({"prior": "balanced"}, "loss.prior=balanced must be data, or a list"),
        ({"pos_weight": "data"}, "loss.pos_weight=data must be balanced, a number above 0, or"),
        ({"pos_weight": []}, "loss.pos_weight=[] must be balanced"),
        ({"pos_weight": [1, -1]}, "loss.pos_weight=[1,-1] must be balanced"),
    ):
        with pytest.raises(InputError) as raised:
            LossOptions(**options).check(True, True, 2)
        assert sentence in str(raised.value)
    for name, labelled, sentence in (
        ("weight", True, "needs one class for each example, which these data do not have; leave"),
        ("prior", False, "needs one class for each example, which these data do not have; leave"),
        ("pos_weight", False, "needs classes or labels, but the data are a regression; leave it"),
    ):
        word = "data" if name == "prior" else "balanced"
        with pytest.raises(InputError) as raised:
            LossOptions(**{name: word}).check(False, labelled, None)
        assert str(raised.value).startswith(f"loss.{name}={word} {sentence}")
        assert str(raised.value).endswith(f"loss.{name}=null.")
    LossOptions(pos_weight=2).check(False, True, None)  # several labels


def test_data_of_several_labels_have_no_weights_of_classes(train, tmp_path):
    rows = ["x,a,b", *(f"{i},{i % 2},{i % 3 == 0:d}" for i in range(40))]
    (tmp_path / "tags.csv").write_text("\n".join(rows))
    line = ("data=csv", f"data.path={tmp_path / 'tags.csv'}", "data.label=[a,b]",
            "data.task=multilabel", "head=sigmoid", "epochs=1", "probes=off",
            "batch_size=8")  # fmt: skip
    finished = train(*line, "loss.weight=[1,2]")
    assert finished.code == 2
    assert "loss.weight=[1,2] needs one class for each example" in finished.err
    finished = train(*line, "loss.pos_weight=balanced", "loss.temperature=2")
    assert finished.code == 0, finished.err
    (folder,) = finished.runs
    config = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "config.yaml"))
    run = make_run_spec(config).build()
    counts = run.data.train.targets.double().sum(0)
    assert run.objective.pos_weight.tolist() == ((len(run.data.train) - counts) / counts).tolist()
    # the trained network is judged by the same numbers
    again = load_trained(folder).objective
    assert torch.equal(again.pos_weight, run.objective.pos_weight)
    assert again.temperature == 2.0
    loss = read_status(folder)["metrics"]["loss/val"]
    z = load_trained(folder).predictor.network(run.data.val.features) / 2
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        z, run.data.val.targets.float(), pos_weight=run.objective.pos_weight.float(),
        reduction="sum",
    )  # fmt: skip
    assert loss == pytest.approx(expected.item() / len(run.data.val), rel=1e-5)


def test_a_prior_of_the_data_is_recorded(train):
    finished = train(
        *("data=outliers", "head=softmax", "loss=ce", "loss.prior=data", "epochs=1", "probes=off"),
        *("loss.label_smoothing=0.1", "loss.weight=[1,3]"),
    )
    assert finished.code == 0, finished.err
    (folder,) = finished.runs
    own = load_trained(folder)
    counts = np.bincount(own.spec.load().train.targets)
    assert own.data.prior == pytest.approx(tuple(counts / counts.sum()), rel=1e-12)
    val = own.spec.load().val
    z = own.predictor.network(val.features) + torch.tensor(counts / counts.sum()).log()
    expected = torch.nn.functional.cross_entropy(
        *(z, val.targets, torch.tensor([1.0, 3.0]).double()),
        reduction="sum", label_smoothing=0.1,
    )  # fmt: skip
    loss = read_status(folder)["metrics"]["loss/val"]
    assert loss == pytest.approx(expected.item() / len(val), rel=1e-5)


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


def test_what_means_nothing_for_the_pair_is_refused_before_anything_is_counted():
    """Else the remedy for a class without examples is refused next."""
    data = dataset(3)
    empty = replace(data, train=Split(data.train.features, data.train.targets.clamp(max=1)))
    for head, loss, options, said in (
        ("softmax", "ce", LossOptions(pos_weight="balanced"), "needs outputs that are a question"),
        ("sigmoid", "bce", LossOptions(prior="data"), "is added to the logits of head=softmax"),
    ):
        parts = find_head(head), find_loss(loss)
        with pytest.raises(InputError, match=said):
            options.objective(*parts, 3, True, empty)
