import warnings

import numpy as np
import pytest

from mlr.core.checks import DataError
from mlr.data import prepare
from mlr.data.faults import DataWarning
from mlr.data.prepare import Arrays, Preparation


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


def test_a_class_too_small_for_the_splits_is_refused():
    data = Arrays(np.ones((20, 1)), np.array([0] * 18 + [1] * 2))
    with pytest.raises(DataError, match="data=x has only 2 of class 1: every class needs 3"):
        prepare.split("data=x", data, (0.2, 0.2), 0, stratify=True)


def test_a_class_used_up_by_the_first_split_is_refused():
    data = Arrays(np.ones((43, 1)), np.array([0] * 40 + [1] * 3))
    with pytest.raises(
        DataError, match="data=x cannot be split into 3 parts with all classes alike: "
    ):
        prepare.split("data=x", data, (0.7, 0.2), 0, stratify=True)


def test_a_split_that_comes_out_empty_is_refused():
    data = Arrays(np.ones((4, 1)), np.ones((4, 1)))
    with pytest.raises(DataError, match="gives splits of 4, 0, 0"):
        prepare.split("data=x", data, (0.1, 0.1), 0, stratify=False)


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
    with pytest.raises(DataError, match="gives splits of 9, 1, 0"):
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
        plan = Preparation("x", 3, label_noise=share, seed=seed)
        data = prepare.to_dataset(plan, train, other, other)
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


def test_to_dataset_refuses_splits_of_different_shapes():
    wide = Arrays(np.ones((4, 3)), np.array([0, 1, 0, 1]))
    with pytest.raises(DataError, match=r"training examples of shape \(2,\) but test .*\(3,\)"):
        prepare.to_dataset(Preparation("x", 2), labelled(4), labelled(4), wide)


@pytest.mark.parametrize(
    ("features", "targets", "message"),
    [
        (np.ones((0, 2)), np.ones(3), "has no validation examples"),
        (np.ones((3, 0)), np.ones(0), "has validation examples of shape"),
        (np.ones((3, 2)), np.ones(0), "has 3 examples but 0 labels"),
        (np.ones((0, 3)), np.ones(0), r"shape \(2,\) but validation examples of shape \(3,\)"),
    ],
)
def test_a_validation_that_is_half_empty_is_refused(features, targets, message):
    none = Arrays(np.ones((0, 2)), np.ones(0))
    prepare.check_split("data=x", "validation", none, 2, (2,))
    with pytest.raises(DataError, match=message):
        prepare.check_split("data=x", "validation", Arrays(features, targets), 2, (2,))


def test_to_dataset_refuses_an_empty_split():
    with pytest.raises(DataError, match="data=x has no test examples"):
        prepare.to_dataset(Preparation("x", 2), labelled(4), labelled(4), labelled(0))


def test_to_dataset_warns_of_one_class_only():
    one = Arrays(np.eye(4), np.zeros(4, np.int64))
    with pytest.warns(UserWarning, match="1 of 2 classes have no training example: 1"):
        prepare.to_dataset(Preparation("x", 2), one, one, one)


def test_to_dataset_warns_of_examples_that_are_all_alike():
    alike = Arrays(np.ones((4, 2)), np.arange(4) % 2)
    with pytest.warns(UserWarning, match="data=x: all 4 training examples are alike"):
        prepare.to_dataset(Preparation("x", 2), alike, labelled(4), labelled(4))


def test_seeds_for_scikit_learn_use_all_of_its_32_bits():
    seeds = [prepare.sklearn_seed(seed, "x") for seed in range(30)]
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert any(seed >= 2**31 for seed in seeds)
