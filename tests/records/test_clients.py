"""Other programs read the numbers that were recorded, to the last digit.

They are imported where they are used: a worker that has other tests does without.
"""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from mlr import records
from mlr.records import Recorder, RunFolder
from mlr.records.sweep import write_runs_table
from tests.records.reading import accumulate
from tests.records.written import record_one

TAGS = ("loss/train", "accuracy/val", "loss/test", "grad_norm/never")
STEPS = np.array([0, 10, 20, 30])
# short and long, tiny and huge, not finite
LOSS = np.array([1 / 3, 1e-38, 3.4e38, nan], np.float32)
ACCURACY = np.array([0.1, nan, 0.7, inf], np.float32)
THERE = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]], bool)
VALUES = np.stack([LOSS, ACCURACY, np.full(4, 0.25, np.float32), np.zeros(4, np.float32)], 1)
EXPECTED = {tag: np.where(THERE[:, at], VALUES[:, at], nan) for at, tag in enumerate(TAGS)}
FINALS = {"accuracy/test": 1 / 3, "loss/test": 1e-300, "loss/train": nan, "rmse/test": 12345.678}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients") / "run"
    recorder = Recorder(RunFolder.claim(folder, 0, "train.py", pair="sigmoid+se"), TAGS, {})
    record_one(recorder, STEPS, STEPS / 20, VALUES, THERE)
    recorder.finish("interrupted")
    return folder


def with_pandas(run):
    import pandas as pd

    return pd.read_csv(run / "metrics.csv")


def with_duckdb(run):
    import duckdb

    found = duckdb.sql(f"from read_csv('{run / 'metrics.csv'}')").fetchnumpy()
    return {tag: np.ma.filled(column, nan) for tag, column in found.items()}


def with_numpy(run):
    found = np.genfromtxt(run / "metrics.csv", delimiter=",", skip_header=1)
    return dict(zip(["step", "epoch", *TAGS], found.T, strict=True))


def with_records(run):
    return records.load(run, series=True)


@pytest.mark.parametrize("read", [with_pandas, with_duckdb, with_numpy, with_records])
def test_readers_of_the_table_see_the_numbers_that_were_recorded(run, read):
    """An empty cell is a missing value for each of them: no zero, and no text in a column."""
    found = read(run)
    assert list(found["step"]) == [0, 10, 20, 30]
    assert list(found["epoch"]) == [0, 0.5, 1, 1.5]
    for tag in TAGS:
        own = np.asarray(found[tag], np.float64).astype(np.float32)
        nowhere_finite = np.isnan(EXPECTED[tag]) & THERE[:, TAGS.index(tag)]
        expected = np.where(nowhere_finite & (read is with_records), inf, EXPECTED[tag])
        np.testing.assert_array_equal(own, expected, err_msg=tag)


def test_sql_counts_and_averages_what_is_there(run):
    """To duckdb a column without any number is text; the cast makes its cells missing values."""
    import duckdb

    columns = 'avg("accuracy/val"), avg("loss/test"), avg(try_cast("grad_norm/never" as double))'
    some = f"from read_csv('{run / 'metrics.csv'}') where step < 30"
    (row,) = duckdb.sql(f'select count(*), count("accuracy/val"), {columns} {some}').fetchall()
    assert row[:2] == (3, 2)
    assert row[2:] == (pytest.approx(0.4), None, None)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # tbparse's own, with pandas 3.1
def test_readers_of_the_events_see_them_too(run):
    import tbparse

    table = tbparse.SummaryReader(str(run)).scalars
    events = accumulate(run)
    for at, tag in enumerate(TAGS[:3]):
        steps, values = STEPS[THERE[:, at]], VALUES[THERE[:, at], at]
        own = table[table["tag"] == tag]
        assert own["step"].tolist() == [one.step for one in events.Scalars(tag)] == steps.tolist()
        np.testing.assert_array_equal(own["value"].to_numpy(np.float32), values, err_msg=tag)
        np.testing.assert_array_equal([one.value for one in events.Scalars(tag)], values)
    assert "grad_norm/never" not in {*table["tag"], *events.Tags()["scalars"]}


def test_readers_of_a_sweeps_table_see_its_final_numbers(tmp_path):
    import duckdb
    import pandas as pd

    rows = [
        {"run": "a", "status": "done", "optimizer.lr": "0.1", **FINALS, "reason": ""},
        {"run": "b", "status": "failed", "optimizer.lr": "0.5", "reason": 'no, "it"\nis'},
    ]
    write_runs_table(tmp_path / "runs.csv", rows)
    whole = pd.read_csv(tmp_path / "runs.csv")
    query = duckdb.sql(f"from read_csv('{tmp_path / 'runs.csv'}')")
    other = dict(zip(query.columns, zip(*query.fetchall(), strict=True), strict=True))
    assert whole["reason"].tolist()[1] == other["reason"][1] == 'no, "it"\nis'
    assert whole["optimizer.lr"].tolist() == list(other["optimizer.lr"]) == [0.1, 0.5]
    for tag, value in FINALS.items():
        np.testing.assert_array_equal(whole[tag], [value, nan])
        np.testing.assert_array_equal(other[tag][0], value)
        assert other[tag][1] is None
