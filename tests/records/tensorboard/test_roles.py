"""Tags as people write them, and what they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from mlr.core.checks import InputError
from mlr.records.tensorboard.event_files import Points
from mlr.records.tensorboard.roles import (
    Name,
    assign,
    check_given,
    is_part,
    parse_given,
    quantity_of,
    split_of,
)
from tests.looping import looped

TAGS = {
    ("loss", ""): ["loss", "Loss", "epoch_loss", "batch_loss", "nll", "ce_loss", "avg_loss"],
    ("loss", "train"): [
        *("train_loss", "train/loss", "Loss/train", "training loss", "trainLoss", "trainloss"),
        *("train_loss_step", "train_loss_epoch", "train/cross_entropy", "Train/MSE_loss"),
    ],
    ("loss", "val"): [
        *("val_loss", "eval/loss", "validation/loss", "Loss/valid", "dev loss", "valLoss"),
        *("evaluation_loss_vs_iterations", "val/bce"),
    ],
    ("loss", "test"): ["test_loss", "Loss/test"],
    ("accuracy", ""): ["accuracy", "acc", "epoch_accuracy", "sparse_categorical_accuracy"],
    ("accuracy", "train"): ["train_acc", "Accuracy/train", "train/acc@1"],
    ("accuracy", "val"): ["val_accuracy", "eval/accuracy", "valacc", "val/top1", "val_top-1"],
    ("learning_rate", ""): [
        *("lr", "LR", "learning_rate", "lr-Adam", "lr-SGD/pg1", "epoch_learning_rate", "lr/group0"),
    ],
    ("learning_rate", "train"): ["train/learning_rate", "train/lr"],
}
OTHERS = [
    *("epoch", "loss_G", "loss_box", "best_val_loss", "lossless", "grad_norm", "hp_metric", "step"),
    *(
        "train/epoch",
        "eval/runtime",
        "val/top5",
        "accuracy_class_3",
        "reward",
        "cross",
        "f1",
        "mse",
    ),
    *("train_samples_per_second", "hparam/accuracy", ""),
]


@looped("tag, expected", [(tag, role) for role, tags in TAGS.items() for tag in tags])
def test_a_tag_is_recognised(tag, expected):
    assert (quantity_of(tag), split_of(tag)) == expected


@looped("tag", OTHERS)
def test_another_tag_is_not(tag):
    assert quantity_of(tag) == ""


def test_a_tag_of_two_splits_is_of_none():
    assert split_of("train_val_loss") == ""


@looped(
    "folder, expected",
    [
        *((name, True) for name in ("train", "validation", "Loss_train", "acc_val", "test")),
        *((name, False) for name in ("version_0", "1", "0.1", "adam", "train_7", "loss", "run")),
        ("1800000000.25", True),
    ],
)
def test_folders_of_parts_of_a_run(folder, expected):
    assert is_part(folder) is expected


def curves(**lengths: int) -> dict[Name, Points]:
    """Curves by tag and number of values; __ stands for /, and ___ for the end of a part."""
    found = {}
    for text, count in lengths.items():
        part, _, tag = text.rpartition("___")
        steps = np.arange(count)
        found[Name(tag.replace("__", "/"), part)] = Points(steps, steps.astype(float))
    return found


def roles(given=None, folder="", **lengths):
    return {
        role: str(name) for role, name in assign(curves(**lengths), given or {}, folder).items()
    }


def test_tags_without_a_split_are_of_the_training():
    assert roles(loss=9, val_loss=9, accuracy=9, lr=9) == {
        "loss/train": "loss",
        "loss/val": "val_loss",
        "accuracy/train": "accuracy",
        "learning_rate": "lr",
    }


def test_a_tag_without_a_split_is_unused_next_to_one_of_the_training():
    assert roles(loss=9, train_loss=9) == {"loss/train": "train_loss"}


def test_of_several_tags_that_with_the_most_values_counts_then_the_shortest():
    found = roles(train_loss_step=50, train_loss=9, val__loss=9, eval__avg_loss=9)
    assert found == {"loss/train": "train_loss_step", "loss/val": "val/loss"}


def test_a_test_counts_where_there_is_no_validation():
    assert roles(train_loss=9, test_loss=9)["loss/val"] == "test_loss"
    assert roles(train_loss=9, test_loss=9, val_loss=3)["loss/val"] == "val_loss"


def test_parts_tell_the_split():
    found = roles(train___epoch_loss=9, validation___epoch_loss=9)
    assert found == {"loss/train": "train/epoch_loss", "loss/val": "validation/epoch_loss"}
    found = roles(metrics_train_loss___metrics=9, metrics_val_loss___metrics=9)
    assert found["loss/val"] == "metrics_val_loss/metrics"


def test_a_folder_tells_the_split_where_no_tag_does():
    assert roles(folder="validation", epoch_loss=9) == {"loss/val": "epoch_loss"}
    assert roles(folder="test", epoch_loss=9) == {"loss/val": "epoch_loss"}
    assert roles(folder="test", loss=9, val_loss=9)["loss/train"] == "loss"


def test_of_rates_the_largest_at_the_end_counts():
    names = {Name("lr/a"): Points(np.arange(2), np.array([5.0, 1.0]))}
    names[Name("lr/b")] = Points(np.arange(2), np.array([1.0, 2.0]))
    assert assign(names, {})["learning_rate"] == Name("lr/b")


def test_what_a_person_says_counts():
    found = roles({"loss/val": "dev", "loss/train": "val_loss"}, dev=9, val_loss=9, loss=9)
    assert found == {"loss/train": "val_loss", "loss/val": "dev"}
    assert roles({"loss/val": "part/dev"}, part___dev=9) == {"loss/val": "part/dev"}
    assert roles({"loss/val": "none"}, loss=9) == {"loss/train": "loss"}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("loss/val", "names no tag; write --tag loss/train=TAG"),
        ("loss/val=", "names no tag"),
        ("los/val=x", r"Unknown role=los/val\. Did you mean role=loss/val\? Choose from acc"),
    ],
)
def test_options_of_another_form_are_refused(option, words):
    with pytest.raises(InputError, match=words):
        parse_given([option])


def test_an_option_names_a_tag_that_there_is():
    assert parse_given(["loss/val=a=b"]) == {"loss/val": "a=b"}
    check_given({"loss/val": "dev"}, ["dev"])
    with pytest.raises(InputError, match=r"Did you mean --tag loss/val=dev_cost\? Choose from dev"):
        check_given({"loss/val": "dev_cst"}, ["dev_cost", "x"])
