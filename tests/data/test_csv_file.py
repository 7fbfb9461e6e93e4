import dataclasses

import pytest
import torch

from mlr.core.checks import DataError, InputError
from mlr.data import Csv, table

ROWS = [f"{i},{i / 10},{'red' if i % 3 else 'blue'},note {i}" for i in range(30)]
HEADER = "length,width,label,remark"


@pytest.fixture
def write(tmp_path):
    def to_file(*lines, encoding="utf-8"):
        path = tmp_path / "own.csv"
        path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
        return path

    return to_file


@pytest.mark.filterwarnings("ignore:.*not used as features. 'remark':mlr.data.faults.DataWarning")
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
    data = Csv(path=write("x,label", *[f"{k},{k}" for k in (9, 10, 100) * 10]), scale="none").load(
        0
    )
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


@pytest.mark.filterwarnings("ignore:.*not used as features. 'remark':mlr.data.faults.DataWarning")
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
        (
            changed(5, "3,0.3x,red,n"),
            {},
            r"own\.csv, line 5, column width: '0\.3x' is not a number",
        ),
        (
            changed(5, "1e39,1,red,n"),
            {},
            "line 5, column length: '1e39' is not a number that float32",
        ),
        (changed(5, "inf,1,red,n"), {}, "line 5, column length: 'inf' is not a number"),
        (changed(5, "-1e39,1,red,n"), {}, "line 5, column length: '-1e39' is not a number"),
        (changed(5, "1_0,1,red,n"), {}, "line 5, column length: '1_0'"),
        (changed(5, "=A1*2,1,red,n"), {}, r"line 5, column length: '=A1\*2'"),
        (changed(5, "x" * 999 + ",1,red,n"), {}, "'x{40}…' is not a number"),
        (
            changed(5, ",1,red,n"),
            {},
            "in column length, the first in line 5; fill them in or leave those lines out, "
            r"or those columns by data\.features=\[…\]\.$",
        ),
        (changed(5, "1,NaN,red,n"), {}, "has 1 missing value of 30 in column width"),
        (
            changed(9, "1,1,,n"),
            {},
            "in column label, the first in line 9; fill them in or leave those lines out.$",
        ),
        (changed(5, "3,0.3,red"), {}, "line 5 has 3 values and the first line 4; is"),
        (changed(5, "3,0.3,"), {}, "line 5 has 3 values and the first line 4; is"),
        (changed(5, "3,0.3,red,n,x"), {}, "line 5 has 5 values and the first line 4; is"),
        (changed(5, "3,0.3,,n,x"), {}, "line 5 has 5 values and the first line 4; is"),
        (changed(5, "3,0.3,red,n,,"), {}, "line 5 has 6 values and the first line 4; is"),
        (changed(5, "3,0.3,red,n,"), {}, "line 5 has 5 values and the first line 4; take the ','"),
        (changed(5, '3,"0.3,red,n'), {}, r"own\.csv, line \d+: unexpected end of data"),
        (changed(5, "9" * 200_000 + ",1,red,n"), {}, "line 5: field larger than field limit"),
        (changed(1, "a,a,label,b"), {}, "has 2 columns of the name 'a'"),
        ([" , ", "1,2"], {}, "has no header"),
        (["", ""], {}, "has no header"),
        ([HEADER], {}, "has a header but no lines of data"),
        ([HEADER, *ROWS], {"delimiter": ";"}, r"has no ';' in .* 3 of ','; give .*delimiter=comma"),
        (
            [HEADER, *ROWS],
            {"label": "lable"},
            r"Unknown data\.label=lable. Did you mean .*label",
        ),
        ([HEADER, *ROWS], {"features": ["widht"]}, r"Did you mean data\.features=width\?"),
        (
            [HEADER, *ROWS],
            {"features": ["remark"]},
            r"'note 0' is not a number .*leave the column out",
        ),
        ([HEADER, *ROWS], {"label": "remark"}, "1 of class 'note 0': .* data.task=regression"),
        ([HEADER, *ROWS], {"task": "regression"}, r"label: 'blue' is not a number that .* hold\.$"),
        (["x,label", "1,a", "2,a"], {}, "has the single label 'a' in column label"),
        (["x,label", "u,a", "v,b"], {}, "has no numeric column besides label"),
    ],
)
def test_bad_files_are_refused(lines, options, message, write):
    with pytest.raises(InputError, match=message):
        Csv(path=write(*lines), **options).load(0)


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
        ({"task": "clustering"}, r"Unknown data\.task=clustering. Choose from classification, reg"),
        ({"delimiter": ", "}, r"data\.delimiter=', ' must be one character"),
        ({"features": "width"}, r"data\.features=width must be a list of column names"),
        ({"features": 5}, r"data\.features=5 must be a list of column names"),
        ({"features": [True]}, r"data\.features=\[True\] must be a list of column names"),
        ({"features": [1.5]}, r"data\.features=\[1\.5\] must be a list of column names"),
        ({"label": True}, r"data\.label=True must be the name of a column"),
        ({"label": 1.5}, r"data\.label=1\.5 must be the name of a column"),
        ({"delimiter": '"'}, "must be one character"),
        ({"delimiter": " "}, "must be one character"),
        ({"delimiter": ""}, "must be one character"),
        ({"delimiter": None}, r"data\.delimiter=null must be one character"),
        ({"delimiter": 7}, r"data\.delimiter=7 must be one character"),
        ({"features": []}, "names no column"),
        ({"features": ["a", "a"]}, "names a twice"),
        ({"features": ["a", "label"]}, "includes the label label"),
        ({"label": ""}, r"data\.label= must be the name of a column"),
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


def test_the_limits_of_a_table():
    assert (table.MOST_BYTES, table.LONGEST_LINE) == (268_435_456, 4_194_304)


def test_long_lines_and_large_files_are_refused(write, monkeypatch):
    path = write(HEADER, *ROWS)
    monkeypatch.setattr(table, "LONGEST_LINE", 20)
    with pytest.raises(DataError, match="has more than 20 characters in line 1"):
        Csv(path=path).load(0)
    last = write("x,label", *["1,2"] * 6, "1," + "2" * 18)
    with pytest.raises(DataError, match="has more than 20 characters in line 8"):
        Csv(path=last).load(0)
    path = write(HEADER, *ROWS)
    monkeypatch.setattr(table, "MOST_BYTES", 200)
    with pytest.raises(DataError, match=r"has \d+ bytes; 200 are the most that is read"):
        Csv(path=path).load(0)


def test_a_web_page_is_told_from_a_table(write):
    with pytest.raises(DataError, match="is an HTML or XML page, not data"):
        Csv(path=write("<!DOCTYPE html>", "<p>please log in</p>")).load(0)


class Name(str):
    """The name of a column, which counts how often it is compared."""

    __slots__ = ()
    __hash__ = str.__hash__
    compared = 0

    def __eq__(self, other):
        Name.compared += 1
        return str.__eq__(self, other)


@pytest.mark.parametrize("chosen", [False, True])
@pytest.mark.filterwarnings("ignore:.*not used as features:mlr.data.faults.DataWarning")
def test_no_column_is_searched_for_among_all_others(write, chosen, monkeypatch):
    """Of 50,000 columns each search would take as long as reading the file."""
    read, count = table.read, 500
    names = [f"{'id' if i else ''}{i or ''}" for i in range(count)]
    rows = [",".join(["t" if i % 7 == 3 else str(k) for i in range(count)]) for k in range(9)]
    path = write(",".join([*names, "label"]), *[f"{row},{i % 3}" for i, row in enumerate(rows)])

    def counting(*arguments):
        found = read(*arguments)
        return dataclasses.replace(found, header=[Name(name) for name in found.header])

    monkeypatch.setattr(table, "read", counting)
    monkeypatch.setattr(Name, "compared", 0)
    features = [name for i, name in enumerate(names) if i % 7 != 3] if chosen else None
    data = Csv(path=path, features=features, val_fraction=0, test_fraction=0.34).load(0)
    # without a choice the first column, which has no name, is taken for a count of the rows
    assert data.feature_shape == (429 if chosen else 428,)
    assert Name.compared <= 10 * count


def test_of_columns_without_a_name_the_one_that_is_not_empty_is_read(write):
    data = Csv(path=write(",,label", *[f",{9 - i},{i % 2}" for i in range(10)]), scale="none").load(
        0
    )
    assert data.feature_shape == (1,)
    assert set(data.train.features[:, 0].tolist()) < set(range(10))


def test_a_missing_value_of_a_column_without_a_name_is_told(write):
    rows = [f",{i if i != 4 else ''},{i % 2}" for i in range(10)]
    with pytest.raises(
        DataError, match="has 1 missing value of 10 in column , the first in line 6"
    ):
        Csv(path=write(",,label", *rows)).load(0)


@pytest.mark.filterwarnings("ignore:.*not used as features. 'remark':mlr.data.faults.DataWarning")
def test_texts_of_which_one_might_be_a_number_with_a_decimal_comma_are_texts(write):
    rows = [f'{i},{i % 2},"{"1,5" if i == 3 else "good"}"' for i in range(10)]
    assert Csv(path=write("x,label,remark", *rows)).load(0).feature_shape == (1,)


def test_very_many_long_names_are_told_of_briefly(write):
    names = ",".join(f"{'n' * 900}{i}" for i in range(2000))
    message = r"^Unknown data\.label=label. Choose from .*of own\.csv"
    with pytest.raises(InputError, match=message) as caught:
        Csv(path=write(names, ",".join("1" * 2000))).load(0)
    assert len(str(caught.value)) <= 195
