"""Tables with and without a header, and those of other programs."""

import pytest
import torch

from mlr.core.checks import DataError, InputError, listed
from mlr.data import Csv
from mlr.data.faults import DataWarning
from mlr.data.table import (
    Sign,
    has_decimal_comma,
    is_data,
    is_missing,
    is_names,
    is_number,
    number,
    signs,
    with_point,
)

IRIS = [
    *[f"{5 + i / 10},{3 + i % 4 / 10},{1.4 + i % 3 / 10},0.2,Iris-setosa" for i in range(10)],
    *[f"{6 + i / 10},{2 + i % 5 / 10},{4.4 + i % 3 / 10},1.3,Iris-versicolor" for i in range(10)],
    *[f"{7 + i / 10},{3 + i % 2 / 10},{5.4 + i % 3 / 10},2.1,Iris-virginica" for i in range(10)],
]
NAMES = "length,width,petal,depth,label"


@pytest.fixture
def write(tmp_path):
    def to_file(*lines, end="\n"):
        path = tmp_path / "own.csv"
        path.write_bytes((end.join(lines) + end).encode())
        return path

    return to_file


def count(data):
    return len(data.train) + len(data.val) + len(data.test)


@pytest.mark.parametrize("label", [None, "label", "Iris-setosa", "5.0", "0.2"])
def test_a_first_line_of_data_is_no_header(write, label):
    with pytest.raises(DataError) as caught:
        Csv(path=write(*IRIS), label=label).load(0)
    assert "own.csv seems to have no header: its first line is '5.0', '3.0'" in str(caught.value)
    assert "data.header=false" in str(caught.value)
    assert "data.header=true" in str(caught.value)
    assert len(str(caught.value)) <= 195


@pytest.mark.parametrize("label", [None, -1, 4, "4", "-1"])
def test_columns_by_number(write, label):
    data = Csv(path=write(*IRIS), header=False, label=label, scale="none").load(0)
    assert count(data) == 30
    assert data.feature_shape == (4,)
    assert data.labels == ("Iris-setosa", "Iris-versicolor", "Iris-virginica")
    named = Csv(path=write(NAMES, *IRIS), scale="none").load(0)
    assert torch.equal(named.train.features, data.train.features)
    assert torch.equal(named.train.targets, data.train.targets)


def test_the_first_column_by_its_number_from_the_end(write):
    options = {"header": False, "scale": "none", "task": "regression", "features": [1]}
    path = write(*IRIS)
    first, last = (Csv(path=path, label=label, **options).load(0) for label in (0, -5))
    assert torch.equal(first.train.targets, last.train.targets)
    assert first.train.targets.min() >= 5


def test_features_by_number_in_the_order_given(write):
    path = write(*IRIS)
    data = Csv(path=path, header=False, features=[2, -5], scale="none").load(0)
    whole = Csv(path=path, header=False, scale="none").load(0)
    assert torch.equal(data.test.features, whole.test.features[:, [2, 0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": 5}, r"columns 0 to 4 \(-1 is the last\) .* data\.label=5 is none of them"),
        ({"label": -6}, r"data\.label=-6 is none"),
        ({"label": "species"}, r"data\.label=species is none"),
        ({"label": "1.5"}, r"data\.label=1\.5 is none"),
        ({"label": "nan"}, r"data\.label=nan is none"),
        ({"features": [0, 7]}, r"data\.features=7 is none"),
        ({"features": [4]}, "includes the label 4"),
        ({"features": [1, -4]}, "names 1 twice"),
    ],
)
def test_numbers_that_no_column_has(write, options, message):
    with pytest.raises(InputError, match=message):
        Csv(path=write(*IRIS), header=False, **options).load(0)


def test_a_header_of_numbers_is_taken_when_it_is_said_to_be_one(write):
    rows = [f"{i},{i % 7},{i % 3}" for i in range(30)]
    path = write("2019,2020,2021", *rows)
    with pytest.raises(DataError, match="seems to have no header"):
        Csv(path=path, label="2021").load(0)
    data = Csv(path=path, label="2021", header=True).load(0)
    assert (count(data), data.classes) == (30, 3)
    assert count(Csv(path=path, label=2021, header=True).load(0)) == 30  # as YAML reads it


@pytest.mark.parametrize(
    "header",
    [
        "0,1,2,3,label",  # pandas numbers columns without names
        "a,b,c,d,label",
        ",b,c,d,label",
    ],
)
def test_names_over_data_are_a_header(write, header):
    assert count(Csv(path=write(header, *IRIS)).load(0)) == 30


@pytest.mark.parametrize(
    ("cell", "below", "sign"),
    [
        ("7", ["1", "2"], Sign.NUMBER),
        ("7", ["1", "2", "a"], Sign.NUMBER),
        ("7", ["1", "2", "a", "b"], Sign.NOTHING),  # no more numbers than texts
        ("7", ["1", "", "NA"], Sign.NUMBER),  # what is missing counts for neither
        ("x", ["1", "2"], Sign.NAME),
        ("a", ["a", "b"], Sign.VALUE),
        ("1", ["1", "a"], Sign.VALUE),
        ("x", ["a", "a", "b"], Sign.OTHER),
        ("x", ["a", "b"], Sign.NOTHING),
        ("", ["1", "2"], Sign.NOTHING),
        ("nan", ["1", "2"], Sign.NOTHING),
        ("?", ["a", "a"], Sign.NOTHING),
        ("7", ["", "null"], Sign.NOTHING),
        ("x", ["", "null"], Sign.NOTHING),
        ("x", [*map(str, range(500)), *("text" * 2**n for n in range(9)), "x"], Sign.NAME),
        ("x", [*["a"] * 999, "x"], Sign.VALUE),
        ("x", [*["a"] * 1000, "x"], Sign.OTHER),  # of very many rows the first are looked at
    ],
)
def test_the_sign_of_a_cell_over_a_column(cell, below, sign):
    rows = [[text, "1"] for text in below]
    assert signs([cell, "7"], rows) == {sign, Sign.NUMBER}
    assert signs(["name", cell], [[*reversed(row)] for row in rows]) == {sign, Sign.NAME}


@pytest.mark.parametrize(
    ("cells", "data", "names"),
    [
        (["7", "a", ""], True, False),
        (["", "a", ""], True, False),
        (["7", "c", ""], True, False),
        (["7", "a", "x"], False, False),  # none of the few texts that repeat
        (["x", "a", ""], False, True),
        (["x", "c", "x"], False, True),
        (["", "c", ""], False, False),
    ],
)
def test_a_first_line_is_data_or_names_by_all_of_its_cells(cells, data, names):
    rows = [["1", "a", "u"], ["2", "b", "u"], ["3", "d", "v"]]
    assert (is_data(cells, rows), is_names(cells, rows)) == (data, names)


def test_a_number_and_a_name_over_numbers_tell_nothing():
    rows = [["1", "2"], ["3", "4"]]
    assert not is_data(["7", "x"], rows)
    assert not is_names(["7", "x"], rows)


def test_a_header_is_no_line_of_data(write):
    with pytest.raises(DataError, match=r"has a header, 'length', .* leave data\.header=false out"):
        Csv(path=write(NAMES, *IRIS), header=False).load(0)


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (["a" * 15, "b" * 16], f"'{'a' * 15}', '{'b' * 15}…'"),
        # as long together as there is room, and longer by one
        (["a" * 14, "b" * 15, "c" * 15, "dd"], None),
        (["a" * 14, "b" * 15, "c" * 15, "ddd"], f"'{'a' * 14}', '{'b' * 15}' … and 2 more"),
    ],
)
def test_a_first_line_of_names_is_shown_cut(write, cells, shown):
    shown = shown or ", ".join(map(repr, cells))
    with pytest.raises(DataError, match=rf"has a header, {shown}, in its first line"):
        Csv(path=write(",".join(cells), *[",".join("1" * len(cells))] * 9), header=False).load(0)


def test_a_first_line_of_an_unseen_class_is_hinted_at(write):
    """The only row of its class: nothing repeats its label, but names are numbers."""
    with pytest.raises(DataError, match=r"no column label but .*, add data\.header=false"):
        Csv(path=write("5.0,3.0,1.4,0.2,Iris-rara", *IRIS)).load(0)


def test_every_column_that_misses_values_is_named(write):
    rows = [line.split(",") for line in IRIS]
    rows[3][0], rows[4][1], rows[5][1], rows[9][4] = "", "NA", "?", ""
    with pytest.raises(DataError) as caught:
        Csv(path=write(NAMES, *map(",".join, rows))).load(0)
    assert (
        "has 1 missing value of 30 in column length, 2 in width, 1 in label, the first in line 5;"
        in str(caught.value)
    )


def test_several_missing_values_are_told_in_the_plural(write):
    rows = [line.split(",") for line in IRIS]
    rows[4][1], rows[5][1] = "NA", "?"
    with pytest.raises(DataError, match="has 2 missing values of 30 in column width, the first"):
        Csv(path=write(NAMES, *map(",".join, rows))).load(0)


def test_of_many_columns_that_miss_values_whole_names_are_listed(write):
    names = ",".join(f"a_rather_long_name_{i}" for i in range(30))
    row = ",".join("1" * 30)
    gaps = ",".join([""] * 30)
    with pytest.raises(DataError) as caught:
        Csv(path=write(f"{names},label", f"{row},x", f"{gaps},y", f"{row},x")).load(0)
    text = str(caught.value)
    assert (
        "has 1 missing value of 3 in column a_rather_long_name_0 … and 29 more, the first" in text
    )
    assert len(text) <= 195


def test_columns_that_are_no_features_are_named_once_it_works(write):
    rows = [f"{i},{line},red,{i % 3}" for i, line in enumerate(IRIS)]
    path = write(f",{NAMES},colour,label 2", *rows)
    with pytest.warns(DataWarning) as caught:
        data = Csv(path=path).load(0)
    (told,) = caught
    assert str(told.message).endswith(
        "own.csv: not used as features: 'colour' (text), '' (it counts the rows); "
        "data.features=[…] chooses among columns of numbers."
    )
    assert data.feature_shape == (5,)
    # who names the features is told nothing
    assert Csv(path=path, features=["", "width"]).load(0).feature_shape == (2,)


def test_of_many_columns_that_are_no_features_some_are_named(write):
    names = ",".join(f"remark_{i}" for i in range(40))
    path = write(f"x,label,{names}", *[f"{i},{i % 2}" + ",t" * 40 for i in range(20)])
    with pytest.warns(DataWarning) as caught:
        Csv(path=path).load(0)
    text = str(caught[0].message)
    assert 170 < len(text) <= 195
    assert ": not used as features: 'remark_0' (text), 'remark_1' (text)" in text
    assert " more; data.features=[…] chooses" in text


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("behind", ["", ","])
def test_other_ends_of_lines(write, end, behind):
    lines = ["\ufeff" + NAMES, *IRIS]
    data = Csv(path=write("", *[line + behind for line in lines], "", end=end)).load(0)
    assert (count(data), data.feature_shape) == (30, (4,))


def test_a_comma_at_the_end_of_the_rows_alone(write):
    with pytest.raises(DataError, match="line 2 has 6 values and the first line 5; take the ','"):
        Csv(path=write(NAMES, *[f"{line}," for line in IRIS])).load(0)


def test_columns_apart_by_spaces(write):
    with pytest.raises(DataError, match="has the single column 'x y label'; separate its columns"):
        Csv(path=write("x y label", *[f"{i} {i} {'ab'[i % 2]}" for i in range(9)])).load(0)


def test_empty_columns_behind_the_table(write):
    path = write(f"{NAMES},,", *[f"{line},," for line in IRIS])
    assert Csv(path=path).load(0).feature_shape == (4,)
    path = write(f"{NAMES},,", *[f"{line},1,2" for line in IRIS])
    with pytest.raises(DataError, match="has 2 columns of the name ''; rename one of them"):
        Csv(path=path).load(0)


SEPARATED = {"semicolon": ";", "tab": "\t", "bar": "|"}


@pytest.mark.parametrize("name", SEPARATED)
def test_other_delimiters_have_names(write, name):
    path = write(*[line.replace(",", SEPARATED[name]) for line in (NAMES, *IRIS)])
    with pytest.raises(DataError, match=rf"has no ',' .*; give data\.delimiter={name}\."):
        Csv(path=path).load(0)
    assert count(Csv(path=path, delimiter=name).load(0)) == 30
    assert count(Csv(path=path, delimiter=SEPARATED[name]).load(0)) == 30


@pytest.mark.parametrize("header", [[NAMES], []])
def test_decimal_commas(write, header):
    german = [line.replace(",", ";").replace(".", ",") for line in (*header, *IRIS)]
    path = write(*german)
    options = {"delimiter": "semicolon", "header": None if header else False, "scale": "none"}
    with pytest.raises(DataError, match=r"'5,0' in column .*, add data\.decimal=comma"):
        Csv(path=path, **options).load(0)
    data = Csv(path=path, decimal="comma", **options).load(0)
    english = Csv(path=write(NAMES, *IRIS), scale="none").load(0)
    assert torch.equal(data.train.features, english.train.features)


def test_one_decimal_comma_among_whole_numbers(write):
    rows = [f"{i};{'2,5' if i == 7 else i};{'ab'[i % 2]}" for i in range(30)]
    with pytest.raises(
        DataError, match=r"line 9, column y: '2,5' is not a number .* data\.decimal=comma"
    ):
        Csv(path=write("x;y;label", *rows), delimiter=";").load(0)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (("1", "2", "3"), ("1", "2", "3")),
        (("0", "1", "2"), ()),
        (("2.0", "0.0", "1.0"), ()),
        (("2.5", "1.5", "10"), ("1.5", "2.5", "10")),
        (("b", "a", "c"), ("a", "b", "c")),
        (("9", "10", "a"), ("10", "9", "a")),
    ],
)
def test_classes_have_the_names_of_the_file(write, values, labels):
    rows = [f"{i / 7},{values[i % 3]}" for i in range(30)]
    data = Csv(path=write("x,label", *rows)).load(0)
    assert data.labels == labels
    assert data.classes == 3


def test_a_rare_class_is_named_by_its_label(write):
    with pytest.raises(DataError, match=r"only 1 of class 'rara': .* regression: data\.task=regr"):
        Csv(path=write(NAMES, *IRIS, "1,1,1,1,rara")).load(0)


def test_the_order_of_the_file_is_that_of_the_splits(write):
    rows = [f"{i},{i % 3}" for i in range(20)]
    source = Csv(
        path=write("x,label", *rows),
        order="given",
        scale="none",
        val_fraction=0.1,
        test_fraction=0.25,
    )
    data = source.load(0)
    splits = (data.train, data.val, data.test)
    assert [split.features[:, 0].tolist() for split in splits] == [
        list(range(13)),
        [13, 14],
        list(range(15, 20)),
    ]
    assert [split.targets.tolist() for split in splits] == [
        [i % 3 for i in split] for split in (range(13), range(13, 15), range(15, 20))
    ]


def test_a_class_that_only_comes_later_is_told(write):
    source = Csv(path=write(NAMES, *IRIS), order="given")
    with pytest.warns(DataWarning, match="1 of 3 classes have no training .*: Iris-virginica"):
        source.load(0)


@pytest.mark.parametrize(
    ("items", "most", "text"),
    [
        ([], 9, "nothing"),
        (["a"], 0, "a"),
        (["aa", "bb", "cc"], 10, "aa, bb, cc"),
        (["aa", "bb", "cc"], 9, "aa … and 2 more"),
        (["aa", "bb", "cc", "dd"], 19, "aa, bb, cc, dd"),
        (["a" * 9, "b" * 9, "c" * 9], 28, "a" * 9 + " … and 2 more"),
    ],
)
def test_lists_are_cut_between_items(items, most, text):
    assert listed(items, most) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("7", 7.0), ("-1.5e3", -1500.0), (" 2 ", 2.0), ("inf", float("inf")), (".5", 0.5)),
        *(("1_000", None), ("1,5", None), ("0x10", None), ("", None), ("seven", None)),
    ],
)
def test_texts_that_are_numbers(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "NA", "n/a", "NaN", "null", "None", "?"])
def test_missing_values_in_any_case_are_no_numbers(text):
    assert is_missing(text)
    assert is_missing(text.upper())
    assert not is_number(text)


@pytest.mark.parametrize(("text", "is_one"), [("7", True), ("inf", True), ("x", False)])
def test_other_texts_are_numbers_or_not(text, is_one):
    assert not is_missing(text)
    assert is_number(text) is is_one


@pytest.mark.parametrize(
    ("text", "point"),
    [("5,1", "5.1"), ("-,5", "-.5"), ("+1,5e-3", "+1.5e-3")],
)
def test_decimal_commas_become_points(text, point):
    assert has_decimal_comma(text)
    assert with_point(text) == point


@pytest.mark.parametrize("text", ["5.1", "5", "1,000,000", "5,", "a,b", "1,5 km", ""])
def test_other_texts_have_none(text):
    assert not has_decimal_comma(text)
    assert with_point(text) == text
