import warnings

import numpy as np
import pytest

from mlr.core.checks import DataError
from mlr.data import validate


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (
            [0, 1, 5, 2],
            3,
            r"label 5 at index 2 \(from 0; 1 of 4 are wrong\); each must be one of 0\.\.2",
        ),
        ([0, -100, 1], 2, r"label -100 at index 1"),
        ([0, 255], 10, r"label 255 at index 1"),
        ([0, 1, -1], None, r"label -1 at index 2 .*one of 0, 1, 2, …"),
        ([1, -1, 1], 2, r"label -1 at index 1 .*become 0 and 1 by \(y \+ 1\) / 2"),
        ([1, -1, 1], None, r"become 0 and 1 by"),
        ([1, 2, 3], 3, r"label 3 at index 2 .*count from 1 need 1 taken off"),
        ([1, 2, 3], None, r"none of class 0.*count from 1 need 1 taken off"),
        ([0, 1, 4], None, r"labels up to 4 but none of class 2; .*data\.classes=K"),
        ([0, 0], None, r"labels up to 0 but none of class 1"),
        ([0, 10**9], None, r"none of class 1"),
        ([0.0, 0.5], 2, r"label 0\.5 at index 1 .*a whole number"),
        ([0.0, float("nan")], 2, r"label nan at index 1 .*a whole number"),
        ([0.0, 2.0**53], 2**60, r"label 9007199254740992\.0 at index 1 .*a whole number"),
        ([0.0, 1e30], None, r"label 1e\+30 at index 1 .*a whole number"),
        (["a", "b"], None, r"labels of type <U1"),
        ([[0], [1]], 2, r"labels of shape \(2, 1\); .* each, \(N,\)\. Drop the second axis"),
        ([[0, 1], [1, 0]], 2, r"one number each.* They are one-hot: argmax\(axis=1\)"),
        ([[0.25, 0.75]], 2, r"They are probabilities: argmax\(axis=1\)"),
        ([[0.5, 0.5], [9.0, 21.0]], 2, r"As probabilities row 1 sums to 30, not 1"),
        (
            [[[0.0, 1.0]]],
            2,
            r"labels of shape \(1, 1, 2\); they must be one number each, \(N,\)\.$",
        ),
        ([[]], 2, r"labels of shape \(1, 0\); they must be one number each, \(N,\)\.$"),
        ([[0.0, 1.0], [0.5, 0.5]], 2, r"They are probabilities: argmax\(axis=1\)"),
        ([[0.5, 0.5 + 9e-7]], 2, "They are probabilities"),
        ([[1.0, 0.0], [0.5, 0.5 + 1.1e-6]], 2, "As probabilities row 1 sums to 1, not 1"),
        ([-1, 0, 1], None, r"one of 0, 1, 2, …\.$"),
        ([-2, 1], None, r"one of 0, 1, 2, …\.$"),
        ([-1, 2], None, r"one of 0, 1, 2, …\.$"),
        ([1, 2, 4], 3, r"one of 0\.\.2\.$"),
        ([0, 1, 3], 3, r"one of 0\.\.2\.$"),
        ([1, 3], None, r"none of class 0; .*data\.classes=K\.$"),
        ([0, 2], None, r"none of class 1; .*data\.classes=K\.$"),
        ([[0.5, float("nan")]], 2, "As probabilities row 0 sums to nan, not 1"),
    ],
)
def test_labels_are_refused(labels, classes, message):
    with pytest.raises(DataError, match=message):
        validate.class_labels("data=x", np.array(labels), classes)


@pytest.mark.parametrize("kind", ["u1", "i8", "f4", "?"])
def test_labels_of_any_numeric_type_become_int64(kind):
    labels, classes = validate.class_labels("x", np.array([0, 1, 1, 0]).astype(kind), None)
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 1, 0]
    assert classes == 2


def test_the_largest_labels_that_float64_counts_to_are_kept_exactly():
    labels, _ = validate.class_labels("x", np.array([0.0, 2.0**53 - 1]), 2**53)
    assert labels.tolist() == [0, 9007199254740991]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_features_must_be_finite_in_float32(bad):
    values = np.ones((5, 2))
    values[[1, 3], [0, 1]] = bad, -np.inf
    first = rf"in 2 of 5 rows, the first in row 1 \(counted from 0\): {bad:.6g}\.".replace(
        "+", r"\+"
    )
    with pytest.raises(DataError, match=first):
        validate.finite("data=x", values)


def test_features_must_be_real_numbers():
    with pytest.raises(DataError, match="features of type complex128"):
        validate.finite("data=x", np.ones((2, 2), complex))
    validate.finite("data=x", np.ones((2, 2), np.uint8))


def test_the_largest_features_of_float32_and_none_at_all_are_finite():
    largest = float(np.finfo(np.float32).max)
    validate.finite("data=x", np.array([[largest, -largest]]))
    for shape in ((0, 3), (3, 0)):
        validate.finite("data=x", np.ones(shape))
    with pytest.raises(DataError, match=r"in 1 of 2 rows, the first in row 1 .*: 3\.40282e\+38\."):
        validate.finite("data=x", np.array([[1.0], [np.nextafter(largest, np.inf)]]))


def test_one_example_of_one_number_is_not_empty():
    validate.not_empty("data=x", "test", np.ones((1, 1)))
    validate.equal_counts("data=x", np.ones((1, 1)), np.ones(1))


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (1, 1, "(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)"),
        (1, 10, "(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 10)"),
        (10, 10, "(10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1…"),
    ],
)
def test_a_shape_is_written_in_at_most_40_characters(first, last, text):
    shape = (first, *[1] * 11, last)
    assert validate.shape_of(np.empty(shape)) == text
    assert len(text) <= 40


def test_counts_and_empty_splits():
    with pytest.raises(DataError, match="has 3 examples but 2 labels"):
        validate.equal_counts("data=x", np.ones((3, 1)), np.ones(2))
    with pytest.raises(DataError, match="data=x has no test examples"):
        validate.not_empty("data=x", "test", np.ones((0, 3)))
    with pytest.raises(DataError, match=r"test examples of shape \(0,\), which hold no number"):
        validate.not_empty("data=x", "test", np.ones((3, 0)))


def test_absent_classes_are_warned_of():
    with pytest.warns(UserWarning, match="data=x: 2 of 4 classes have no training example: 1, 3"):
        validate.warn_absent("data=x", np.array([0, 2, 2]), 4)


def test_five_absent_classes_are_all_named():
    with pytest.warns(UserWarning, match=r"data=x: 5 of 6 .*: 1, 2, 3, 4, 5\.$"):
        validate.warn_absent("data=x", np.array([0]), 6)
    with pytest.warns(UserWarning, match=r"1 of 2 classes .*: …ing_name_of_a_class\.$"):
        validate.warn_absent("data=x", np.array([0]), 2, ["a", "the_long_boring_name_of_a_class"])


@pytest.mark.parametrize(
    ("rows", "alike"),
    [
        ([[1, 2]], False),
        ([[1, 2]] * 2, True),
        ([[1, 2]] * 3, True),
        ([[1, 2], [1, 3]], False),
        ([[1, 2], [1, 2], [1, 3]], False),
        ([[1, 3], [1, 2], [1, 2]], False),
    ],
)
def test_all_examples_are_alike_from_two_on(rows, alike):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        validate.warn_alike("data=x", np.array(rows))
    assert len(told) == alike


def test_absent_classes_are_counted_without_a_list_of_all():
    with pytest.warns(UserWarning, match="999999998 of 1000000000 classes .*: 1, 3, 4, 5, 6, …"):
        validate.warn_absent("data=x", np.array([0, 2, 2]), 10**9)


def test_examples_for_the_test_that_were_trained_on_are_warned_of():
    train = np.arange(40.0).reshape(20, 2)
    with pytest.warns(UserWarning, match=r"data=x: 2 of 10 test .* too, the first in row 3"):
        validate.warn_shared(
            "data=x", train, np.concatenate([train[:1] - 1] * 3 + [train[5:7], -train[1:6]]), "test"
        )
    validate.warn_shared("data=x", train, -1 - train, "test")
    with pytest.warns(UserWarning, match="data=x: 1 of 10 validation examples"):
        validate.warn_shared(
            "data=x", train, np.concatenate([train[:1], -1 - train[:9]]), "validation"
        )
    # fewer than a tenth, of another type or shape of the same bytes, and none
    for other in (
        np.concatenate([train[:1], -1 - train[:10]]), train.view(np.int64), train[:, None],
        train[:0],
    ):  # fmt: skip
        validate.warn_shared("data=x", train, other, "test")
    validate.warn_shared("data=x", train, np.ones((3, 5)), "test")


def test_only_the_name_of_a_file_is_cut():
    where = "/a/very/long/path" * 40 + "/train\n-labels"
    with pytest.raises(DataError) as caught:
        validate.equal_counts(where, np.ones((3, 1)), np.ones(2))
    text = str(caught.value)
    assert len(text) == 195
    assert text.startswith("…")
    assert text.endswith(
        "/train?-labels has 3 examples but 2 labels; every example needs one label."
    )


def test_the_largest_numbers_do_not_wrap_to_minus_one():
    with pytest.raises(DataError, match="labels up to 18446744073709551615 but none of class 1"):
        validate.class_labels("x", np.array([0, 2**64 - 1], np.uint64), None)
