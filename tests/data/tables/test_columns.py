"""Several targets, categories, missing values, weights, groups and splits of a table."""

import numpy as np
import pytest
import torch

from mlr.core.checks import DataError, InputError
from mlr.data import Csv
from mlr.data.faults import DataWarning
from mlr.data.tables.groups import split_groups

RAW = {"scale": "none"}


@pytest.fixture
def write(tmp_path):
    def to_file(*lines):
        path = tmp_path / "own.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return to_file


def table(*columns, rows=20):
    """A header and lines; each column is a name and a function of the number of the line."""
    names = ",".join(name for name, _ in columns)
    return [names, *(",".join(str(of(i)) for _, of in columns) for i in range(rows))]


X = ("x", lambda i: i)
LABEL = ("label", lambda i: "ab"[i % 2])


def rows_of(split):
    """The numbers of the lines, which are the first feature."""
    return split.features[:, 0].int().tolist()


def test_several_targets_of_a_regression(write):
    path = write(*table(X, ("price", lambda i: 10 * i), ("size", lambda i: -i)))
    data = Csv(path=path, label=["price", "size"], task="regression", **RAW).load(0)
    assert data.feature_shape == (1,)
    assert data.labels == ("price", "size")
    for split in (data.train, data.val, data.test):
        expected = torch.tensor([[10.0 * i, -i] for i in rows_of(split)])
        assert torch.equal(split.targets, expected)


def test_several_labels(write):
    path = write(*table(X, ("red", lambda i: i % 2), ("big", lambda i: int(i > 5))))
    data = Csv(path=path, label=["red", "big"], task="multilabel", **RAW).load(0)
    assert data.multilabel
    assert (data.classes, data.labels) == (None, ("red", "big"))
    rows = rows_of(data.train)
    assert data.train.targets.tolist() == [[i % 2, float(i > 5)] for i in rows]


def test_a_label_that_is_neither_0_nor_1_is_named(write):
    path = write(*table(X, ("red", lambda i: i % 2), ("big", lambda i: i % 3)))
    with pytest.raises(DataError, match=r"line 4, column big: '2' is no label of data\.task=multi"):
        Csv(path=path, label=["red", "big"], task="multilabel").load(0)


def test_categories_become_indicators_that_are_not_scaled(write):
    colours = ("colour", lambda i: ("red", "blue", "green")[i % 3])
    path = write(*table(("x", lambda i: i), colours, ("y", lambda i: -i), LABEL))
    data = Csv(path=path, categorical=["colour"]).load(0)
    # blue, green, red in the order of the alphabet, in the place of their column
    assert data.feature_shape == (5,)
    raw = Csv(path=path, categorical=["colour"], **RAW).load(0)
    rows = rows_of(raw.train)
    expected = [[i % 3 == 1, i % 3 == 2, i % 3 == 0] for i in rows]
    assert data.train.features[:, 1:4].tolist() == [[float(one) for one in row] for row in expected]
    x = np.array(rows)
    np.testing.assert_allclose(data.train.features[:, 0], (x - x.mean()) / x.std(), rtol=1e-5)
    only = Csv(path=path, features=["y"], categorical=["colour"], **RAW).load(0)
    assert only.feature_shape == (4,)
    assert (only.train.features[:, 0] <= 0).all()


def test_categories_that_are_numbers_are_sorted_by_value(write):
    path = write(*table(X, ("zone", lambda i: (9, 10)[i % 2]), LABEL))
    data = Csv(path=path, categorical=["zone"], **RAW).load(0)
    assert data.train.features[:, 1].tolist() == [float(i % 2 == 0) for i in rows_of(data.train)]


def test_a_category_outside_of_training_has_no_indicator(write):
    colours = ("colour", lambda i: "mauve" if i == 19 else ("red", "blue")[i % 2])
    path = write(*table(X, colours, LABEL))
    source = Csv(path=path, categorical=["colour"], split="given", **RAW)
    message = (
        r"column colour has .* no training line has in 1 of 8 lines held out, the first 'mauve'"
    )
    with pytest.warns(DataWarning, match=message):
        data = source.load(0)
    assert data.feature_shape == (3,)
    assert rows_of(data.test) == [16, 17, 18, 19]
    assert data.test.features[:, 1:].tolist() == [[0, 1], [1, 0], [0, 1], [0, 0]]


def holes(i):
    return "" if i in (1, 17) else ("NA" if i == 3 else i)


def test_missing_values_are_refused_with_their_number(write):
    path = write(*table(("x", holes), ("y", lambda i: "" if i == 0 else i), LABEL))
    message = (
        r"own\.csv, line 2, column y: 4 values are missing in 2 columns, the first here; "
        r"data\.missing=mean or median fills features, drop leaves out the lines\.$"
    )
    with pytest.raises(DataError, match=message):
        Csv(path=path).load(0)


@pytest.mark.parametrize("rule", ["mean", "median"])
def test_missing_numbers_become_those_of_training_lines(write, rule):
    path = write(*table(X, ("y", lambda i: holes(i * 1)), LABEL))
    data = Csv(path=path, missing=rule, split="given", **RAW).load(0)
    known = [i for i in range(12) if i not in (1, 3)]
    typical = float(getattr(np, rule)(known))
    assert data.train.features[1, 1] == pytest.approx(typical)
    assert data.train.features[3, 1] == pytest.approx(typical)
    assert rows_of(data.test)[1] == 17
    assert data.test.features[1, 1] == pytest.approx(typical)
    assert data.train.features[2].tolist() == [2, 2]


def test_lines_with_missing_values_are_dropped(write):
    label = ("label", lambda i: "" if i == 5 else "ab"[i % 2])
    path = write(*table(X, ("y", holes), label))
    source = Csv(path=path, missing="drop", order="given", **RAW)
    with pytest.warns(DataWarning, match=r"data\.missing=drop leaves out 4 of 20 lines"):
        data = source.load(0)
    found = [i for split in (data.train, data.val, data.test) for i in rows_of(split)]
    assert found == [i for i in range(20) if i not in (1, 3, 5, 17)]


def test_a_missing_category_is_a_category(write):
    path = write(*table(X, ("colour", lambda i: "" if i % 2 else "red"), LABEL))
    data = Csv(path=path, categorical=["colour"], missing="mean", **RAW).load(0)
    assert data.train.features[:, 1].tolist() == [i % 2 for i in rows_of(data.train)]
    with pytest.raises(DataError, match=r"column colour: 10 values are missing in 1 columns"):
        Csv(path=path, categorical=["colour"]).load(0)


def test_a_category_may_be_called_none_or_na(write):
    path = write(*table(X, ("pool", lambda i: ("NA", "none")[i % 2]), LABEL))
    data = Csv(path=path, categorical=["pool"], **RAW).load(0)
    assert data.feature_shape == (3,)


def test_targets_are_never_filled(write):
    path = write(*table(X, ("price", holes)))
    with pytest.raises(DataError, match=r"column price: .*replaces in features only \(3 in all\)"):
        Csv(path=path, label="price", task="regression", missing="mean").load(0)


def test_a_column_without_a_number_in_training_is_refused(write):
    path = write(*table(X, ("y", lambda i: i if i > 15 else ""), LABEL))
    with pytest.raises(DataError, match="has no number in column y in any training line"):
        Csv(path=path, missing="median", split="given").load(0)


def test_weights_follow_their_lines(write):
    path = write(*table(X, ("w", lambda i: i / 2), LABEL))
    data = Csv(path=path, weights="w", **RAW).load(0)
    assert data.feature_shape == (1,)
    for split in (data.train, data.val, data.test):
        assert split.weights.tolist() == [i / 2 for i in rows_of(split)]
    assert Csv(path=path).load(0).train.weights is None


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (lambda i: -1 if i == 4 else 1, r"line 6, column w: the weight '-1' is below 0"),
        (lambda i: "inf" if i == 4 else 1, r"line 6, column w: 'inf' is not a number"),
        (lambda i: "" if i == 4 else 1, r"line 6, column w: a missing value; data\.missing"),
        (lambda i: 0, r"data=csv has training examples of weight 0 only"),
    ],
)
def test_weights_are_numbers_of_at_least_0(write, weight, message):
    path = write(*table(X, ("w", weight), LABEL))
    with pytest.raises(DataError, match=message):
        Csv(path=path, weights="w").load(0)


def test_a_column_says_the_split(write):
    splits = ("part", lambda i: ("train", "Train", "val", "test")[i % 4])
    data = Csv(path=write(*table(X, splits, LABEL)), split_column="part", **RAW).load(0)
    assert rows_of(data.train) == [i for i in range(20) if i % 4 < 2]
    assert rows_of(data.val) == [i for i in range(20) if i % 4 == 2]
    assert rows_of(data.test) == [i for i in range(20) if i % 4 == 3]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (lambda i: "tset" if i == 4 else "train", "line 6, column part: 'tset' names no split; "),
        (lambda i: ("train", "val")[i % 2], "has no line of test in column part"),
        (lambda i: ("test", "val")[i % 2], "has no line of train in column part"),
    ],
)
def test_a_column_of_splits_that_is_wrong_is_refused(write, part, message):
    path = write(*table(X, ("part", part), LABEL))
    with pytest.raises(DataError, match=message):
        Csv(path=path, split_column="part").load(0)


@pytest.mark.parametrize("order", ["shuffled", "given"])
@pytest.mark.parametrize("split", [None, "given", "random"])
def test_order_and_split_are_chosen_apart(write, order, split):
    source = Csv(path=write(*table(X, LABEL)), order=order, split=split, **RAW)
    data = source.load(0)
    found = [i for part in (data.train, data.val, data.test) for i in rows_of(part)]
    in_order = split == "given" or (split is None and order == "given")
    assert (found == list(range(20))) is in_order
    assert source.in_file_order is (order == "given")


def test_groups_are_never_split(write):
    path = write(*table(X, ("patient", lambda i: f"p{i // 3}"), LABEL, rows=60))
    found = set()
    for seed in range(5):
        data = Csv(path=path, groups="patient", split_seed=seed, **RAW).load(0)
        groups = [{i // 3 for i in rows_of(part)} for part in (data.train, data.val, data.test)]
        assert groups[0].isdisjoint(groups[1] | groups[2])
        assert groups[1].isdisjoint(groups[2])
        assert [len(one) for one in groups] == [12, 4, 4]
        found.add(tuple(rows_of(data.test)))
    assert len(found) > 1
    data = Csv(path=path, groups="patient", split="given", **RAW).load(0)
    assert rows_of(data.train) == list(range(36))
    assert rows_of(data.test) == list(range(48, 60))


def test_groups_of_any_size_fill_the_parts_as_well_as_they_can():
    groups = ["a"] * 50 + ["b"] * 9 + ["c"] * 8 + ["d"] * 33
    for seed in range(20):
        rest, val, test = split_groups("data=csv", groups, (0.1, 0.1), seed)
        assert sorted([*rest, *val, *test]) == list(range(100))
        assert {len(val), len(test)} == {8, 9}
    rest, val, test = split_groups("data=csv", groups, (0.0, 0.2), 0)
    assert len(val) == 0
    assert len(test) in (17, 33)
    with pytest.raises(DataError, match="has 2 groups, too few for 3 splits"):
        split_groups("data=csv", ["a"] * 5 + ["b"] * 5, (0.2, 0.2), 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": ["a", "b"]}, r"data\.label=\[.*\] names 2 columns, but a class is one; several"),
        ({"label": ["a", 1.5]}, r"data\.label=\[.*\] must be the name of a column"),
        ({"categorical": "colour"}, r"data\.categorical=colour must be a list of column names"),
        ({"weights": 1.5}, r"data\.weights=1\.5 must be the name of a column, or null"),
        ({"groups": ["g"]}, r"data\.groups=\['g'\] must be the name of a column, or null"),
        ({"missing": "zero"}, r"Unknown data\.missing=zero\. Choose from drop, mean, median, ref"),
        ({"split": "order"}, r"Unknown data\.split=order\. Choose from given, random"),
        ({"split_column": "s", "groups": "g"}, r"data\.split_column=s says .* data\.groups out"),
        ({"split_column": "s", "split": "given"}, r"data\.split_column=s says .* data\.split out"),
        (
            {"target_scale": "log"},
            r"Unknown data\.target_scale=log\. Choose from auto, none, stand",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused_at_construction(options, message):
    with pytest.raises(InputError, match=message):
        Csv(path="x.csv", **options)


def test_a_column_has_one_use(write):
    path = write(*table(X, ("w", lambda i: 1), LABEL))
    with pytest.raises(InputError, match=r"data\.features names w twice, or it has another use"):
        Csv(path=path, features=["x", "w"], weights="w").load(0)
    with pytest.raises(InputError, match=r"data\.categorical names label twice, or it is the lab"):
        Csv(path=path, categorical=["label"]).load(0)
    with pytest.raises(InputError, match=r"Unknown data\.weights=v\. Choose from x, w, label"):
        Csv(path=path, weights="v").load(0)
