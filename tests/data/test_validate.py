import numpy as np
import pytest

from mlr.checks import InputError
from mlr.data import validate


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (
            [0, 1, 5, 2],
            3,
            r"label 5 at index 2 \(counted from 0; 1 of 4 labels are wrong\); .*0\.\.2",
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
        ([0.0, 1e30], None, r"label 1e\+30 at index 1 .*a whole number"),
        (["a", "b"], None, r"labels of type <U1"),
        ([[0], [1]], 2, r"labels of shape \(2, 1\); they must be one number each, \(N,\)"),
    ],
)
def test_labels_are_refused(labels, classes, message):
    with pytest.raises(InputError, match=message):
        validate.class_labels("data=x", np.array(labels), classes)


@pytest.mark.parametrize("kind", ["u1", "i8", "f4", "?"])
def test_labels_of_any_numeric_type_become_int64(kind):
    labels, classes = validate.class_labels("x", np.array([0, 1, 1, 0]).astype(kind), None)
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 1, 0]
    assert classes == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_features_must_be_finite_in_float32(bad):
    values = np.ones((5, 2))
    values[[1, 3], [0, 1]] = bad
    with pytest.raises(
        InputError, match=r"in 2 of 5 rows, the first in row 1 \(counted from 0\): "
    ):
        validate.finite("data=x", values)


def test_features_must_be_real_numbers():
    with pytest.raises(InputError, match="features of type complex128"):
        validate.finite("data=x", np.ones((2, 2), complex))
    validate.finite("data=x", np.ones((2, 2), np.uint8))


def test_counts_and_empty_splits():
    with pytest.raises(InputError, match="has 3 examples but 2 labels"):
        validate.equal_counts("data=x", np.ones((3, 1)), np.ones(2))
    with pytest.raises(InputError, match="data=x has no test examples"):
        validate.not_empty("data=x", "test", 0)


def test_absent_classes_are_warned_of():
    with pytest.warns(UserWarning, match="data=x: 2 of 4 classes have no training example: 1, 3"):
        validate.warn_absent("data=x", np.array([0, 2, 2]), 4)
