"""Splits, drawn by numpy alone, against scikit-learn's train_test_split."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from mlr.core.seeds import derive_seed
from mlr.data import Digits
from mlr.data.prepare import Arrays, legacy_generator, split
from mlr.data.sampling import sample, stratified_sample
from tests.looping import looped


@looped("seed", range(5))
@looped("count", [1, 23, 99])
def test_a_sample_is_scikit_learns_in_its_order(seed, count):
    expected = train_test_split(np.arange(100), test_size=count, random_state=seed)
    found = sample(100, count, np.random.RandomState(seed))
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(own, other)


@looped("seed", range(20))
@looped("count", [3, 10, 41, 97])
def test_a_stratified_sample_is_scikit_learns(seed, count):
    """In 100 labels of three classes, few of one of them, with ties among the remainders."""
    labels = np.random.default_rng(seed).permutation(np.repeat([7, 3, 5], [45, 45, 10]))
    left, chosen = train_test_split(
        np.arange(100), test_size=count, stratify=labels, random_state=seed
    )
    found = stratified_sample(labels, count, np.random.RandomState(seed))
    np.testing.assert_array_equal(found[0], left)
    assert sorted(found[1]) == sorted(chosen)


@looped("seed", range(10))
def test_remainders_of_equal_size_are_drawn(seed):
    labels = np.arange(35) % 7
    expected = train_test_split(np.arange(35), test_size=12, stratify=labels, random_state=seed)
    found = stratified_sample(labels, 12, np.random.RandomState(seed))
    np.testing.assert_array_equal(found[0], expected[0])


@pytest.mark.parametrize(
    ("sizes", "count"), [((9, 1), 4), ((5, 5), 1), ((5, 5), 9), ((2, 2, 2), 2)]
)
def test_none_where_scikit_learn_refuses(sizes, count):
    labels = np.repeat(range(len(sizes)), sizes)
    with pytest.raises(ValueError, match=r"classes|least populated"):
        train_test_split(labels, test_size=count, stratify=labels, random_state=0)
    assert stratified_sample(labels, count, np.random.RandomState(0)) is None


def by_scikit_learn(where, data, seed, shares, stratify):
    """Rows of the three splits, as they were drawn before mlr did it itself."""
    rest, parts = np.arange(len(data)), []
    for number, share in enumerate(shares):
        random_state = derive_seed(seed, where, "split", str(number)) % 2**32
        rest, part = train_test_split(
            rest,
            test_size=round(share * len(data)),
            stratify=data.targets[rest] if stratify else None,
            random_state=random_state,
        )
        parts.append(np.sort(part))
    return [np.sort(rest), *parts]


@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_three_splits_are_scikit_learns(seed, stratify):
    labels = np.random.default_rng(seed).integers(0, 4, 203)
    data, shares = Arrays(np.arange(203.0)[:, None], labels), (0.13, 0.31)
    found = split("data=x", data, shares, seed, stratify)
    for own, rows in zip(
        found, by_scikit_learn("data=x", data, seed, shares, stratify), strict=True
    ):
        np.testing.assert_array_equal(own.features[:, 0], rows)


@pytest.mark.parametrize(
    ("source", "digest"),
    [(Digits(), "a3e7162e5ded6d2c"), (Digits(split_seed=2), "8bd17479cd169416")],
    ids=["default", "split_seed=2"],
)
def test_the_examples_of_a_seed_are_those_of_earlier_versions(source, digest):
    assert source.load(3).fingerprint[:16] == digest


def test_a_seed_has_32_bits():
    draws = [legacy_generator(seed, "x").get_state()[1][0] for seed in range(30)]
    assert all(0 <= one < 2**32 for one in draws)
    assert any(one >= 2**31 for one in draws)
