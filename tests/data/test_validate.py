import numpy as np
import pytest

from mlr.core.checks import DataError
from mlr.data import validate


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 1, 5, 2], 3, r"label 5 at index 2 \(from 0; 1 of 4 are wrong\); .* from 0 to 2, and"),
        ([0, -100, 1], 2, "label -100 at index 1"),
        ([0, 255], 10, "label 255 at index 1"),
        ([0, 1, -1], None, "label -1 at index 2 .* whole numbers from 0, and"),
        ([1, 2, 3], 3, "label 3 at index 2 .* from 0 to 2, and"),
        ([1, 2, 3], None, r"none of class 0.*\(y - 1 if they count from 1\)"),
        ([0, 1, 4], None, r"labels up to 4 but none of class 2; .*data\.classes=K"),
        ([0, 0], None, "labels up to 0 but none of class 1"),
        ([0, 10**9], None, "none of class 1"),
        ([0.0, 0.5], 2, "label 0.5 at index 1 .* data.task=regression"),
        ([0.0, float("nan")], 2, "label nan at index 1"),
        ([0.0, 2.0**53], None, "label 9007199254740992.0 at index 1"),
        ([0.0, 1e30], None, r"label 1e\+30 at index 1"),
        (["a", "b"], None, r"labels of shape \(2,\) and type <U1.* np\.unique"),
        (
            [[0], [1]],
            2,
            r"labels of shape \(2, 1\) .* each, \(N,\): y\.argmax\(axis=1\) if one-hot",
        ),
        ([[]], 2, r"labels of shape \(1, 0\)"),
    ],
)
def test_labels_are_refused(labels, classes, message):
    with pytest.raises(DataError, match=f"^data=x has .*{message}"):
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


@pytest.mark.parametrize(
    ("features", "count", "message"),
    [
        (np.ones((1, 1)), 1, None),
        (np.ones((3, 1)), 2, "has 3 examples but 2 targets"),
        (np.ones((0, 1)), 0, r"has features of shape \(0, 1\)"),
        (np.ones((3, 0)), 3, r"has features of shape \(3, 0\)"),
        (np.ones(3), 3, r"has features of shape \(3,\).*single feature is \(N, 1\)"),
        (np.ones((3, 2)), 3, r"examples of shape \(2,\), the training split of \(1,\)"),
        (np.full((3, 1), np.nan), 3, "not finite"),
    ],
)
def test_splits_are_refused(features, count, message):
    labels = np.zeros(count)
    if message is None:
        validate.check_split("data=x", features, labels, (1,))
        return
    with pytest.raises(DataError, match=f"^data=x .*{message}"):
        validate.check_split("data=x", features, labels, (1,))


def test_only_a_split_that_may_be_empty_is_taken_empty():
    validate.check_split("data=x", np.ones((0, 2)), np.ones(0), (2,), may_be_empty=True)
    with pytest.raises(DataError, match="has 0 examples but 3 targets"):
        validate.check_split("data=x", np.ones((0, 2)), np.ones(3), (2,), may_be_empty=True)


def test_absent_classes_are_warned_of():
    with pytest.warns(UserWarning, match="data=x: 2 of 4 classes have no training example: 1, 3"):
        validate.warn_absent("data=x", np.array([0, 2, 2]), 4)


def test_five_absent_classes_are_all_named():
    with pytest.warns(UserWarning, match=r"data=x: 5 of 6 .*: 1, 2, 3, 4, 5\.$"):
        validate.warn_absent("data=x", np.array([0]), 6)
    with pytest.warns(UserWarning, match=r"1 of 2 classes .*: …ing_name_of_a_class\.$"):
        validate.warn_absent("data=x", np.array([0]), 2, ["a", "the_long_boring_name_of_a_class"])


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
        validate.check_split(where, np.ones((3, 1)), np.ones(2), (1,))
    text = str(caught.value)
    assert len(text) == 195
    assert text.startswith("…")
    assert text.endswith("/train?-labels has 3 examples but 2 targets; every example needs one.")


def test_the_largest_numbers_do_not_wrap_to_minus_one():
    with pytest.raises(DataError, match="label 18446744073709551615 at index 1"):
        validate.class_labels("x", np.array([0, 2**64 - 1], np.uint64), None)
