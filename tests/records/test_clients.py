"""What others read the files with has the numbers that were recorded, to the last digit."""

from __future__ import annotations

import csv
from math import inf, nan

import duckdb
import numpy as np
import pandas as pd
import pytest
import tbparse

from mlr import records
from mlr.records import Recorder, RunFolder, write_runs_table
from tests.records.reading import accumulate

TAGS = ("loss/train", "accuracy/val", "loss/test", "grad_norm/never")
STEPS = np.array([0, 10, 20, 30])
# float32 of numbers whose shortest text is short, long, tiny, huge and not finite
LOSS = np.array([1 / 3, 1e-38, 3.4e38, nan], np.float32)
ACCURACY = np.array([0.1, nan, 0.7, inf], np.float32)
THERE = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]], bool)
VALUES = np.stack([LOSS, ACCURACY, np.full(4, 0.25, np.float32), np.zeros(4, np.float32)], 1)
EXPECTED = {tag: np.where(THERE[:, at], VALUES[:, at], nan) for at, tag in enumerate(TAGS)}
FINALS = {"accuracy/test": 1 / 3, "loss/test": 1e-300, "loss/train": nan, "rmse/test": 12345.678}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients") / "run"
    with Recorder(RunFolder.claim(folder, 0, "train.py", pair="sigmoid+se"), TAGS, {}) as recorder:
        recorder.scalars(STEPS, STEPS / 20, VALUES, THERE, STEPS + 1000.0)
        recorder.finish("done", FINALS)
    return folder


def with_pandas(run):
    return {tag: column.to_numpy() for tag, column in pd.read_csv(run / "metrics.csv").items()}


def with_duckdb(run):
    table = duckdb.sql(f"from read_csv('{run / 'metrics.csv'}')")
    assert [str(one) for one in table.types[:5]] == ["BIGINT", "DOUBLE", "DOUBLE", "DOUBLE", "DOUBLE"]
    return {tag: np.ma.filled(column, nan) for tag, column in table.fetchnumpy().items()}


def with_genfromtxt(run):
    found = np.genfromtxt(run / "metrics.csv", delimiter=",", skip_header=1)
    with (run / "metrics.csv").open(newline="") as file:
        return dict(zip(next(csv.reader(file)), found.T, strict=True))


def with_records(run):
    return {tag: column.to_numpy() for tag, column in records.load(run, series=True).items()}


def x(run):
    pass
