import warnings

import numpy as np
import pytest

from mlr.core.checks import DataError
from mlr.data import Digits, prepare
from mlr.data.faults import DataWarning
from mlr.data.prepare import Arrays


def labelled(n, classes=2):
    return Arrays(np.arange(2.0 * n).reshape(n, 2), np.arange(n) % classes)


def test_split_keeps_every_example_once_and_in_order():
    parts = prepare.split("x", labelled(50), (0.2, 0.3), 0, stratify=True)
    assert [len(part) for part in parts] == [25, 10, 15]
    rows = np.concatenate([part.features[:, 0] for part in parts])
    assert sorted(rows) == list(np.arange(0.0, 100, 2))
    assert all((np.diff(part.features[:, 0]) > 0).all() for part in parts)


def test_no_share_gives_the_rest_alone():
    (rest,) = prepare.split("x", labelled(7), (), 0, stratify=True)
    assert len(rest) == 7


@pytest.mark.parametrize(
    ("sizes", "shares", "message"),
    [
        ((18, 2), (0.2, 0.2), "20 examples into 12, 4, 4 .* 2 classes in each .1 has 2.:"),
        # used up by the first split
        ((40, 3), (0.7, 0.2), "43 examples into 4, 30, 9 .*1 has 3"),
        ((5, 5, 5), (0.1, 0.2), "15 examples into 10, 2, 3 with all 3 classes in each"),
        ((4,), (0.1, 0.1), "4 examples into 4, 0, 0: give more, or other"),
        ((1,) * 9, (0.4, 0.4), r"9 .*; labels that are measurements need data\.task=regression"),
    ],
)
def test_splits_that_cannot_hold_every_class_are_refused(sizes, shares, message):
    labels = np.repeat(range(len(sizes)), sizes)
    data = Arrays(np.ones((len(labels), 1)), labels)
    with pytest.raises(DataError, match=f"^data=x cannot split {message}"):
        prepare.split("data=x", data, shares, 0, stratify=True)


def test_a_rare_class_is_named_by_its_label():
    data = Arrays(np.ones((9, 1)), np.arange(9) // 8)
    with pytest.raises(DataError, match="'rara' has 1"):
        prepare.split("data=x", data, (0.3, 0.3), 0, stratify=True, labels=["a", "rara"])


def test_a_share_of_nothing_is_an_empty_split():
    for in_order in (False, True):
        parts = prepare.split("x", labelled(10), (0.0, 0.2), 0, stratify=True, in_order=in_order)
        assert [len(part) for part in parts] == [8, 0, 2]
    # of a class two examples are enough for two splits
    data = Arrays(np.ones((20, 1)), np.array([0] * 18 + [1] * 2))
    assert [part.targets.sum() for part in prepare.split("x", data, (0.0, 0.5), 0, True)] == [
        1,
        0,
        1,
    ]


def test_in_order_an_empty_part_is_refused_and_classes_are_not_counted():
    data = Arrays(np.arange(10.0).reshape(10, 1), np.array([0] * 9 + [1]))
    parts = prepare.split("x", data, (0.2, 0.1), 0, stratify=True, in_order=True)
    assert [part.features[:, 0].tolist() for part in parts] == [[*range(7)], [7, 8], [9]]
    with pytest.raises(DataError, match="into 9, 1, 0"):
        prepare.split("x", data, (0.1, 0.01), 0, stratify=True, in_order=True)


def test_flipped_labels_are_other_classes_all_alike():
    labels = np.zeros(9000, np.int64)
    flipped = prepare.flip_labels(labels, 0.5, 4, np.random.default_rng(0))
    counts = np.bincount(flipped)
    assert counts[0] == 4500
    assert abs(counts[1:] - 1500).max() < 120


def test_flipped_labels_are_those_drawn_and_go_up_by_what_is_drawn():
    labels = np.arange(40) % 4
    rng = np.random.default_rng(7)
    chosen, steps = rng.permutation(40)[:10], rng.integers(1, 4, 10)
    expected = labels.copy()
    for row, step in zip(chosen, steps, strict=True):
        expected[row] = [0, 1, 2, 3, 0, 1, 2][labels[row] + step]
    flipped = prepare.flip_labels(labels, 0.25, 4, np.random.default_rng(7))
    assert flipped.tolist() == expected.tolist()


def noisy(seed, features, share=0.3):
    """Rows of training whose labels are replaced, of 50 zeros in three classes."""
    train = Arrays(features, np.zeros(50, np.int64))
    other = Arrays(np.eye(3), np.arange(3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # absent classes
        source = Digits(label_noise=share, scale="none")
        data = source.dataset(seed, 3, (train, other, other))
    assert data.val.targets.tolist() == data.test.targets.tolist() == [0, 1, 2]
    assert set(data.train.targets.tolist()) <= {0, 1, 2}
    return data.train.targets.nonzero()[:, 0].tolist()


def test_label_noise_depends_on_the_seed_alone():
    one, other = np.arange(150.0).reshape(50, 3), np.ones((50, 3)) / np.arange(1, 151, 3)[:, None]
    rows = noisy(0, one)
    assert len(rows) == 15  # 0.3 · 50
    assert noisy(0, other) == rows
    assert noisy(1, one) != rows
    assert len(noisy(0, one, share=0.25)) == 12  # 12.5 is rounded to even
    assert noisy(0, one, share=0.0) == []


def test_purposes_have_unrelated_generators():
    draws = {
        prepare.generator(seed, *names).integers(2**62)
        for seed, names in [(0, ("a", "b")), (0, ("a", "c")), (1, ("a", "b")), (0, ("b", "a"))]
    }
    assert len(draws) == 4


def test_a_class_that_is_never_trained_on_is_warned_of():
    one = Arrays(np.eye(4), np.zeros(4, np.int64))
    with pytest.warns(UserWarning, match="1 of 2 classes have no training example: 1"):
        Digits(scale="none").dataset(0, 2, (one, one, one))
