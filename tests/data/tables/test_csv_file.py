"""Tables with and without a header, and those of other programs."""

import pytest
import torch

from mlr.core.checks import DataError, InputError, listed
from mlr.data import Csv
from mlr.data.faults import DataWarning
from mlr.data.tables import table

ROWS = [f"{i},{i / 10},{'red' if i % 3 else 'blue'},note {i}" for i in range(30)]
HEADER = "length,width,label,remark"
IRIS = [
    *[f"{5 + i / 10},{3 + i % 4 / 10},{1.4 + i % 3 / 10},0.2,Iris-setosa" for i in range(10)],
    *[f"{6 + i / 10},{2 + i % 5 / 10},{4.4 + i % 3 / 10},1.3,Iris-versicolor" for i in range(10)],
    *[f"{7 + i / 10},{3 + i % 2 / 10},{5.4 + i % 3 / 10},2.1,Iris-virginica" for i in range(10)],
]
NAMES = "length,width,petal,depth,label"

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*not used as features. 'remark':mlr.data.faults.DataWarning"
)


@pytest.fixture
def write(tmp_path):
    def to_file(*lines, encoding="utf-8", end="\n"):
        path = tmp_path / "own.csv"
        path.write_bytes((end.join(lines) + end).encode(encoding))
        return path

    return to_file


def count(data):
    return len(data.train) + len(data.val) + len(data.test)


def test_numeric_columns_are_features_and_texts_become_classes(write):
    data = Csv(path=write(HEADER, *ROWS), scale="none").load(0)
    assert data.feature_shape == (2,)
    assert data.classes == 2
    # blue sorts before red, and every third row is blue
    blue = data.train.targets == 0
    assert (data.train.features[blue][:, 0] % 3 == 0).all()
    torch.testing.assert_close(data.train.features[:, 1], data.train.features[:, 0] / 10)


def test_columns_are_chosen_by_name_in_the_order_given(write):
    path = write(HEADER, *ROWS)
    data = Csv(path=path, features=["width", "length"], scale="none").load(0)
    torch.testing.assert_close(data.test.features[:, 0], data.test.features[:, 1] / 10)
    assert Csv(path=path, features=["width"]).load(0).feature_shape == (1,)


def test_number_labels_are_sorted_by_value(write):
    path = write("x,label", *[f"{k},{k}" for k in (9, 10, 100) * 10])
    data = Csv(path=path, scale="none").load(0)
    for value, index in ((9, 0), (10, 1), (100, 2)):
        assert (data.train.targets[data.train.features[:, 0] == value] == index).all()


@pytest.mark.filterwarnings("ignore:.*not used as features. 'label':mlr.data.faults.DataWarning")
def test_regression(write):
    data = Csv(path=write(HEADER, *ROWS), label="width", task="regression", scale="none").load(0)
    assert data.classes is None
    torch.testing.assert_close(data.train.targets, data.train.features / 10)


def test_semicolons_quotes_blank_lines_byte_order_mark_and_crlf(write):
    rows = [f'"{i}"; {"yes" if i % 2 else "no"}\r' for i in range(20)]
    path = write('x;"is; it"\r', "\r", *rows, encoding="utf-8-sig")
    data = Csv(path=path, label="is; it", delimiter=";").load(0)
    assert data.classes == 2


def test_a_class_may_be_called_none(write):
    rows = [f"{i},{'none' if i % 2 else 'NA'},{'nan' if i else 'text'}" for i in range(20)]
    data = Csv(path=write("x,label,remark", *rows)).load(0)
    assert (data.classes, data.feature_shape) == (2, (1,))


def changed(line, row):
    lines = [HEADER, *ROWS]
    lines[line - 1] = row
    return lines


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (changed(5, "3,0.3x,red,n"), {}, r"own\.csv, line 5, column width: '0\.3x' is not a"),
        (changed(5, "1e39,1,red,n"), {}, "column length: '1e39' is not a number that float32"),
        (changed(5, "inf,1,red,n"), {}, "line 5, column length: 'inf' is not a number"),
        (changed(5, "-1e39,1,red,n"), {}, "line 5, column length: '-1e39' is not a number"),
        (changed(5, "1_0,1,red,n"), {}, "line 5, column length: '1_0'"),
        (changed(5, "=A1*2,1,red,n"), {}, r"line 5, column length: '=A1\*2'"),
        (changed(5, "x" * 999 + ",1,red,n"), {}, "'x{40}…' is not a number"),
        (
            changed(5, ",1,red,n"),
            {},
            r"line 5, column length: a missing value; data\.missing=mean or median .* the lines\.$",
        ),
        (changed(5, "1,NaN,red,n"), {}, "line 5, column width: a missing value; data"),
        (changed(9, "1,1,,n"), {}, "line 9 has an empty label in column label"),
        (changed(5, "3,0.3,red"), {}, "line 5 has 3 values and the first line 4; is"),
        (changed(5, "3,0.3,red,n,"), {}, "line 5 has 5 values and the first line 4; is"),
        (changed(5, '3,"0.3,red,n'), {}, r"own\.csv, line \d+: unexpected end of data"),
        (changed(5, "9" * 200_000 + ",1,red,n"), {}, "line 5: field larger than field limit"),
        (changed(1, "a,a,label,b"), {}, "has two columns named 'a'"),
        (["", ""], {}, "has no lines of data"),
        ([HEADER], {}, "has no lines of data"),
        ([HEADER, *ROWS], {"delimiter": ";"}, "has the single column 'length,.*delimiter=comma"),
        ([HEADER, *ROWS], {"label": "lable"}, r"Unknown data\.label=lable. Choose from .*label"),
        ([HEADER, *ROWS], {"label": ""}, r"Unknown data\.label=\. Choose from length"),
        ([HEADER, *ROWS], {"features": ["widht"]}, "Unknown data.features=widht. .* width"),
        ([HEADER, *ROWS], {"features": ["remark"]}, "column remark: 'note 0' is not a number"),
        ([HEADER, *ROWS], {"features": ["width", "label"]}, "data.features names label twice"),
        ([HEADER, *ROWS], {"features": ["width", "width"]}, "data.features names width twice"),
        ([HEADER, *ROWS], {"label": "remark"}, "all 30 classes in each: .* data.task=regression"),
        ([HEADER, *ROWS], {"task": "regression"}, "column label: 'blue' is not a number"),
        (["x,label", "1,a", "2,a"], {}, "line 2 has the single label 'a' in column label"),
        (["x,label", "u,a", "v,b"], {}, "has no numeric column besides label"),
        (["<!DOCTYPE html>", "<p>please log in</p>"], {}, "single column '<!DOCTYPE html>'"),
        ([NAMES, *IRIS, "1,1,1,1,rara"], {}, "'rara' has 1"),
    ],
)
def test_bad_files_are_refused(lines, options, message, write):
    with pytest.raises(InputError, match=message) as caught:
        Csv(path=write(*lines), **options).load(0)
    assert len(str(caught.value)) <= 195


def test_files_that_are_no_text(write, tmp_path):
    with pytest.raises(InputError, match=r"own\.csv is not UTF-8 text: byte 0xe9 near line 1"):
        Csv(path=write("laenge\xe9,label", encoding="latin-1")).load(0)
    with pytest.raises(InputError, match=r"nowhere\.csv does not exist; .*data\.path=FILE"):
        Csv(path=tmp_path / "nowhere.csv").load(0)
    with pytest.raises(InputError, match="is not a file: a folder, a pipe"):
        Csv(path=tmp_path).load(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": None}, r"data\.path is not set: name the CSV file with data\.path=PATH"),
        (
            {"task": "clustering"},
            r"Unknown data\.task=clustering. Choose from classification, multilabel, reg",
        ),
        ({"decimal": "dot"}, r"Unknown data\.decimal=dot. Choose from comma, point"),
        ({"header": "no"}, r"data\.header=no must be true or false"),
        ({"features": "width"}, r"data\.features=width must be a list of column names"),
        ({"features": 5}, r"data\.features=5 must be a list of column names"),
        ({"features": [True]}, r"data\.features=\[True\] must be a list of column names"),
        ({"features": [1.5]}, r"data\.features=\[1\.5\] must be a list of column names"),
        ({"features": []}, r"data\.features=\[\] must be a list of column names"),
        ({"label": True}, r"data\.label=true must be the name of a column"),
        ({"label": 1.5}, r"data\.label=1\.5 must be the name of a column"),
        ({"delimiter": ", "}, r"data\.delimiter=,  must be one character"),
        ({"delimiter": '"'}, "must be one character"),
        ({"delimiter": " "}, "must be one character"),
        ({"delimiter": ""}, "must be one character"),
        ({"delimiter": None}, r"data\.delimiter=null must be one character"),
        ({"delimiter": 7}, r"data\.delimiter=7 must be one character"),
    ],
)
def test_bad_options_are_refused_at_construction(options, message):
    with pytest.raises(InputError, match=message):
        Csv(**{"path": "own.csv"} | options)


def test_the_largest_number_of_float32_is_read(write):
    largest = "3.4028234663852886e38"
    path = write("x,label", *[f"{largest if i else -float(largest)},{i % 2}" for i in range(20)])
    data = Csv(path=path, scale="none", order="given").load(0)
    assert data.train.features[:2, 0].tolist() == [-float(largest), float(largest)]


@pytest.mark.parametrize(
    ("name", "values", "counted"),
    [
        ("id", range(20), True),
        ("ID", range(1, 21), True),
        ("index", range(20), True),
        ("Unnamed: 0", range(20), True),
        ("", range(20), True),
        ("id", range(2, 22), False),
        ("id", range(-1, 19), False),
        ("id", range(1, -19, -1), False),
        ("id", [*range(19), 20], False),
        ("x", range(20), False),
    ],
)
@pytest.mark.filterwarnings("ignore:.*it counts the rows:mlr.data.faults.DataWarning")
def test_only_a_column_of_such_a_name_that_counts_the_rows_is_no_feature(
    write, name, values, counted
):
    path = write(f"{name},y,label", *[f"{k},{i / 7},{i % 2}" for i, k in enumerate(values)])
    assert Csv(path=path).load(0).feature_shape == (1 if counted else 2,)
    assert Csv(path=path, features=[name, "y"]).load(0).feature_shape == (2,)


def test_large_files_are_refused(write, monkeypatch):
    assert table.MOST_BYTES == 268_435_456
    monkeypatch.setattr(table, "MOST_BYTES", 200)
    with pytest.raises(DataError, match=r"has \d+ bytes; 200 are the most that is read"):
        Csv(path=write(HEADER, *ROWS)).load(0)


@pytest.mark.parametrize("label", [None, "5.0", "0.2", -1])
@pytest.mark.parametrize("first", [IRIS[0], "5.0,3.0,3.0,0.2,Iris-setosa"])
def test_a_first_line_of_data_is_no_header(write, label, first):
    with pytest.raises(DataError) as caught:
        Csv(path=write(first, *IRIS), label=label).load(0)
    assert "own.csv seems to have no header: its first line is '5.0', '3.0'" in str(caught.value)
    assert "data.header=false" in str(caught.value)
    assert "data.header=true" in str(caught.value)
    assert len(str(caught.value)) <= 195


def test_a_header_of_numbers_is_taken_when_it_is_said_to_be_one(write):
    path = write("2019,2020,2021", *[f"{i},{i % 7},{i % 3}" for i in range(30)])
    with pytest.raises(DataError, match="seems to have no header"):
        Csv(path=path, label="2021").load(0)
    data = Csv(path=path, label="2021", header=True).load(0)
    assert (count(data), data.classes) == (30, 3)
    assert count(Csv(path=path, label=2021, header=True).load(0)) == 30  # as YAML reads it


@pytest.mark.parametrize(
    "header",
    [
        "0,1,2,3,label",  # pandas numbers columns without names
        "a,b,c,nan,label",
        ",b,c,d,label",
    ],
)
def test_names_over_data_are_a_header(write, header):
    assert count(Csv(path=write(header, *IRIS)).load(0)) == 30


def test_a_header_is_no_line_of_data(write):
    with pytest.raises(DataError, match="line 1, column 0: 'length' is not a number"):
        Csv(path=write(NAMES, *IRIS), header=False).load(0)


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
        ({"label": 5}, r"Unknown data\.label=5. Choose from 0, 1, 2, 3, 4 of own\.csv"),
        ({"label": -6}, r"Unknown data\.label=-6\."),
        ({"label": "species"}, r"Unknown data\.label=species"),
        ({"label": "-1.5"}, r"Unknown data\.label=-1\.5"),
        ({"label": "nan"}, r"Unknown data\.label=nan"),
        ({"features": [0, 7]}, r"Unknown data\.features=7"),
        ({"features": [4]}, "names 4 twice, or it is the label"),
        ({"features": [1, -4]}, "names 1 twice"),
    ],
)
def test_numbers_that_no_column_has(write, options, message):
    with pytest.raises(InputError, match=message):
        Csv(path=write(*IRIS), header=False, **options).load(0)


def test_columns_that_are_no_features_are_named_once_it_works(write):
    rows = [f"{i},{line},red,{i % 3}" for i, line in enumerate(IRIS)]
    path = write(f",{NAMES},colour,label 2", *rows)
    with pytest.warns(DataWarning) as caught:
        data = Csv(path=path).load(0)
    (told,) = caught
    assert str(told.message).endswith(
        "own.csv: not used as features: '' (it counts the rows), 'colour' (text); "
        "data.features=[…] chooses numbers, data.categorical=[…] categories."
    )
    assert data.feature_shape == (5,)
    # who names the features is told nothing
    assert Csv(path=path, features=["", "width"]).load(0).feature_shape == (2,)


def test_of_many_columns_that_are_no_features_some_are_named(write):
    names = ",".join(f"column_{i}" for i in range(40))
    path = write(f"x,label,{names}", *[f"{i},{i % 2}" + ",t" * 40 for i in range(20)])
    with pytest.warns(DataWarning) as caught:
        Csv(path=path).load(0)
    text = str(caught[0].message)
    assert 170 < len(text) <= 195
    assert ": not used as features: 'column_0' (text), 'column_1' (text)" in text
    assert " more; data.features=[…] chooses" in text


def test_very_many_long_names_are_listed_briefly(write):
    names = ",".join(f"{'n' * 900}{i}" for i in range(2000))
    message = r"^Unknown data\.label=label. Choose from .*of own\.csv"
    with pytest.raises(InputError, match=message) as caught:
        Csv(path=write(names, ",".join("1" * 2000))).load(0)
    assert len(str(caught.value)) <= 195


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", ","])
def test_other_ends_of_lines(write, end, last):
    lines = ["\ufeff" + NAMES, *IRIS]
    data = Csv(path=write("", *[line + last for line in lines], "", end=end)).load(0)
    assert (count(data), data.feature_shape) == (30, (4,))


def test_empty_columns_to_the_right_of_the_table(write):
    path = write(f"{NAMES},,", *[f"{line},," for line in IRIS])
    assert Csv(path=path).load(0).feature_shape == (4,)
    path = write(f"{NAMES},,", *[f"{line},1,2" for line in IRIS])
    with pytest.raises(DataError, match="has two columns named ''; rename one of them"):
        Csv(path=path).load(0)


def test_of_columns_without_a_name_the_one_that_is_not_empty_is_read(write):
    path = write(",,label", *[f",{9 - i},{i % 2}" for i in range(10)])
    data = Csv(path=path, scale="none").load(0)
    assert data.feature_shape == (1,)
    assert set(data.train.features[:, 0].tolist()) < set(range(10))


SEPARATED = {"semicolon": ";", "tab": "\t", "bar": "|"}


@pytest.mark.parametrize("name", SEPARATED)
def test_other_delimiters_have_names(write, name):
    path = write(*[line.replace(",", SEPARATED[name]) for line in (NAMES, *IRIS)])
    with pytest.raises(DataError, match=rf"single column .* by data\.delimiter=.*{name}"):
        Csv(path=path).load(0)
    assert count(Csv(path=path, delimiter=name).load(0)) == 30
    assert count(Csv(path=path, delimiter=SEPARATED[name]).load(0)) == 30


@pytest.mark.parametrize("header", [[NAMES], []])
def test_decimal_commas(write, header):
    german = [line.replace(",", ";").replace(".", ",") for line in (*header, *IRIS)]
    path = write(*german)
    options = {"delimiter": "semicolon", "header": None if header else False, "scale": "none"}
    with pytest.raises(DataError, match=r"'5,0' is not a number .* needs data\.decimal=comma"):
        Csv(path=path, **options).load(0)
    data = Csv(path=path, decimal="comma", **options).load(0)
    english = Csv(path=write(NAMES, *IRIS), scale="none").load(0)
    assert torch.equal(data.train.features, english.train.features)


def test_one_decimal_comma_among_whole_numbers(write):
    rows = [f"{i};{'2,5' if i == 7 else i};{'ab'[i % 2]}" for i in range(30)]
    with pytest.raises(DataError, match=r"line 9, column y: '2,5' is not .* data\.decimal=comma"):
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


def test_the_order_of_the_file_is_that_of_the_splits(write):
    path = write("x,label", *[f"{i},{i % 3}" for i in range(20)])
    options = {"order": "given", "scale": "none", "val_fraction": 0.1, "test_fraction": 0.25}
    data = Csv(path=path, **options).load(0)
    splits = (data.train, data.val, data.test)
    rows = [list(range(13)), [13, 14], list(range(15, 20))]
    assert [split.features[:, 0].tolist() for split in splits] == rows
    assert [split.targets.tolist() for split in splits] == [[i % 3 for i in own] for own in rows]


def test_a_class_that_only_comes_later_is_warned_of(write):
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
    assert table.number(text) == value


@pytest.mark.parametrize(
    ("text", "point"),
    [
        *(("5,1", "5.1"), ("-,5", "-.5"), ("+1,5e-3", "+1.5e-3"), ("5.1", "5.1"), ("5", "5")),
        *((text, text) for text in ("1,000,000", "a,b", "1,5 km", "")),
    ],
)
def test_decimal_commas_of_numbers_become_points(text, point):
    assert table.with_point(text) == point
