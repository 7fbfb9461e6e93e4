"""Splits and datasets: what they tell of themselves."""

from __future__ import annotations

import struct
from dataclasses import replace
from hashlib import sha256

import pytest
import torch

from mlr.data import Blobs
from mlr.data.base import Dataset, Source, Split


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
