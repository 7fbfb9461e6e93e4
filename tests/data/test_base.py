"""Datasets: their properties, and the checks of those that a user's own source loads."""

from __future__ import annotations

import struct
from dataclasses import replace
from hashlib import sha256

import pytest
import torch

from mlr.core.checks import DataError
from mlr.data import Blobs
from mlr.data.base import Dataset, Source, Split
from mlr.data.validate import check_dataset


def split(*numbers, label=0):
    """Examples of one number each."""
    features = torch.tensor(numbers, dtype=torch.float32)[:, None]
    return Split(features, torch.full((len(numbers),), label))


DATA = Dataset("own", split(1.0, 2.0), split(3.0, label=1), split(4.0), 2)


def test_a_dataset_tells_its_shape_and_if_it_is_validated():
    assert DATA.feature_shape == (1,)
    images = Split(torch.zeros(2, 3, 4, 5), torch.zeros(2).long())
    assert replace(DATA, train=images).feature_shape == (3, 4, 5)
    assert DATA.validated
    assert not replace(DATA, val=split()).validated


def test_the_fingerprint_is_of_all_numbers_in_their_order():
    numbers = [(1.0, 2.0), (0, 0), (3.0,), (1,), (4.0,), (0,)]
    kinds = "fqfqfq"
    content = b"".join(
        struct.pack(f"<{len(one)}{kind}", *one) for one, kind in zip(numbers, kinds, strict=True)
    )
    assert DATA.fingerprint == sha256(content).hexdigest()
    wide = Split(DATA.train.features.expand(2, 3), DATA.train.targets)
    content = struct.pack("<6f", 1, 1, 1, 2, 2, 2) + content[8:]
    assert replace(DATA, train=wide).fingerprint == sha256(content).hexdigest()


def test_examples_are_shuffled_and_complete_by_default():
    assert (Source.order, Source.drop_last, Source.regression) == ("shuffled", False, False)
    assert not Blobs().in_file_order
    assert Blobs(order="given").in_file_order


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_any_number_changes_the_fingerprint(name):
    other = replace(getattr(DATA, name), features=getattr(DATA, name).features + 1)
    assert replace(DATA, **{name: other}).fingerprint != DATA.fingerprint


ONES, LABELS = torch.ones(4, 2), torch.arange(4) % 3
GOOD = Split(ONES, LABELS)
VALUES = Split(ONES, torch.ones(4, 1))
LABELLED = Dataset("own", GOOD, GOOD, GOOD, 3)
MEASURED = Dataset("own", VALUES, VALUES, VALUES, None)


def with_nan(row, column):
    values = torch.ones(4, 2)
    values[row:, column] = torch.nan
    return values


@pytest.mark.parametrize("data", [LABELLED, MEASURED], ids=["classes", "values"])
def test_sound_datasets_pass(data):
    check_dataset(data)
    check_dataset(replace(data, val=Split(ONES[:0], data.val.targets[:0])))
    halves = Split(ONES.half(), data.train.targets)
    check_dataset(replace(data, train=halves, val=halves, test=halves))
    images = Split(torch.zeros(4, 1, 3, 3), data.train.targets)
    check_dataset(replace(data, train=images, val=images, test=images))


def test_as_many_names_as_classes_pass():
    check_dataset(replace(LABELLED, labels=("a", "b", "c")))
    with pytest.raises(DataError, match=r"^data=own has 2 labels for 3 classes\.$"):
        check_dataset(replace(LABELLED, labels=("a", "b")))


@pytest.mark.parametrize("name", ["train", "val", "test"])
@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Split(ONES.numpy(), LABELS), "must hold torch tensors"),
        (Split(ONES, LABELS.tolist()), "must hold torch tensors"),
        (Split(ONES[:, 0], LABELS), r"has features of shape \(4,\); they must be"),
        (Split(ONES[:, :0], LABELS), r"has features of shape \(4, 0\); they must be"),
        (Split(ONES.long(), LABELS), "has features of type torch.int64 .*must be floating"),
        (Split(with_nan(1, 1), LABELS), "has features that are not finite .* row 1 .*: nan"),
        (Split(ONES / 0, LABELS), "has features that are not finite .* in 4 of 4 rows"),
        (Split(ONES, LABELS[:3]), "has 4 examples but 3 targets"),
        (Split(ONES, LABELS[:, None]), r"has labels of shape \(4, 1\) and type int64; they"),
        (Split(ONES, LABELS.float()), r"targets of type torch.float32 and shape \(4,\); .* int64"),
        (Split(ONES, LABELS.int()), r"targets of type torch.int32 and shape \(4,\); .* int64"),
        (Split(ONES, torch.tensor([0, 2, 3, 4])), "has label 3 at index 2 .* from 0 to 2"),
        (Split(ONES, torch.tensor([0, 2, 1, -1])), "has label -1 at index 3 .* from 0 to 2"),
    ],
)
def test_a_split_with_a_fault_is_named(name, split, message):
    with pytest.raises(DataError, match=rf"^the {name} split of data=own.* {message}"):
        check_dataset(replace(LABELLED, **{name: split}))


@pytest.mark.parametrize(
    "targets", [torch.ones(4), torch.ones(4, 1, 1), torch.ones(4, 1).long(), torch.ones(4, 1) / 0]
)
def test_targets_of_regression_are_finite_rows(targets):
    with pytest.raises(DataError, match=r"^the val split of data=own has .*targets"):
        check_dataset(replace(MEASURED, val=Split(ONES, targets)))


@pytest.mark.parametrize("name", ["val", "test"])
@pytest.mark.parametrize("shape", [(3,), (2, 1), (1,)])
def test_examples_of_another_shape_than_those_of_training_are_refused(name, shape):
    message = rf"^the {name} split of data=own has examples of shape .*, the training .*\(2,\)\.$"
    with pytest.raises(DataError, match=message):
        check_dataset(replace(LABELLED, **{name: Split(torch.ones(4, *shape), LABELS)}))


@pytest.mark.parametrize("name", ["train", "test"])
def test_only_the_validation_may_be_empty(name):
    with pytest.raises(DataError, match=rf"{name} split .* has features of shape \(0, 2\)"):
        check_dataset(replace(LABELLED, **{name: Split(ONES[:0], LABELS[:0])}))


SEVERAL = Split(ONES, torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]))
TAGGED = Dataset("own", SEVERAL, SEVERAL, SEVERAL, None, multilabel=True)


def test_several_labels_are_0_or_1():
    check_dataset(TAGGED)
    check_dataset(replace(TAGGED, labels=("a", "b")))
    half = Split(ONES, SEVERAL.targets / 2)
    with pytest.raises(DataError, match=r"^the test split of data=own has label 0\.5 in row 0 "):
        check_dataset(replace(TAGGED, test=half))
    with pytest.raises(DataError, match=r"^data=own has 3 labels for 2 targets\.$"):
        check_dataset(replace(TAGGED, labels=("a", "b", "c")))
    with pytest.raises(DataError, match=r"^data=own has classes and several labels"):
        check_dataset(replace(LABELLED, multilabel=True))


def test_weights_are_one_number_of_at_least_0_each():
    weights = torch.tensor([0.0, 1.0, 2.5, 1.0])
    check_dataset(replace(LABELLED, train=replace(GOOD, weights=weights)))
    for bad in (weights[:3], weights - 1, weights / 0):
        with pytest.raises(DataError, match=r"^the train split of data=own has .*weight"):
            check_dataset(replace(LABELLED, train=replace(GOOD, weights=bad)))


def test_weights_are_part_of_the_content():
    ones = replace(LABELLED, train=replace(GOOD, weights=torch.ones(4)))
    twos = replace(LABELLED, train=replace(GOOD, weights=2 * torch.ones(4)))
    assert len({one.fingerprint for one in (LABELLED, ones, twos)}) == 3
    assert ones.shape == twos.shape != LABELLED.shape
