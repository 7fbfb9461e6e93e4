import csv
import errno
import os
from hashlib import sha256
from timeit import repeat

import numpy as np
import pytest

from mlr.core import durable as durable_module
from mlr.core.checks import DataError
from mlr.core.durable import WriteError
from mlr.records.checksums import checksum
from mlr.records.metrics_table import MetricsTable
from tests.records.written import add_rows


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_rows_columns_and_absent_cells(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv", ["loss/train", 'größe, "x"'])
    values = np.array([[0.1, 2.0], [np.nan, -np.inf]], dtype=np.float32)
    present = np.array([[True, False], [True, True]])
    add_rows(table, np.array([0, 10]), np.array([0.0, 0.5]), values, present)
    table.flush()
    assert read(tmp_path / "metrics.csv") == [
        ["step", "epoch", "loss/train", 'größe, "x"'],
        ["0", "0.0", "0.1", ""],
        ["10", "0.5", "nan", "-inf"],
    ]
    assert b"\r" not in (tmp_path / "metrics.csv").read_bytes()


def test_a_table_without_rows_has_its_header(tmp_path):
    MetricsTable(tmp_path / "m.csv", ["a"]).flush()
    assert read(tmp_path / "m.csv") == [["step", "epoch", "a"]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_read_back_as_the_same_number(tmp_path, dtype):
    bits = np.random.default_rng(0).integers(0, 2**63, 30_000, dtype=np.int64)
    with np.errstate(invalid="ignore"):
        numbers = np.frombuffer(bits.tobytes(), dtype)[:30_000, None].copy()
    table = MetricsTable(tmp_path / "m.csv", ["a"])
    add_rows(table, np.arange(len(numbers)), np.zeros(len(numbers)), numbers)
    table.flush()
    texts = [row[2] for row in read(tmp_path / "m.csv")[1:]]
    back = np.array([dtype(text) for text in texts])
    np.testing.assert_array_equal(back, numbers[:, 0])


@pytest.mark.parametrize("power", [-36, -20, -14, -13, -5, 0, 4, 13, 14, 30])
def test_float32_stands_with_the_fewest_digits(tmp_path, power):
    numbers = np.random.default_rng(power + 50).normal(size=(500, 1)) * 10.0**power
    numbers = numbers.astype(np.float32)
    table = MetricsTable(tmp_path / "m.csv", ["a"])
    add_rows(table, np.arange(500), np.zeros(500), numbers)
    table.flush()
    for row, number in zip(read(tmp_path / "m.csv")[1:], numbers[:, 0], strict=True):
        assert float(row[2]) == float(str(number))


def test_every_step_has_one_row(tmp_path):
    """A step that is logged in two parts, the end of a run for one, fills one row."""
    table = MetricsTable(tmp_path / "m.csv", ["a", "b", "c"])
    nan = np.nan
    for late in (False, True):
        at = 10 * late
        first, second = np.array([[1.0, nan, 3.0]]), np.array([[nan, 2.0, 4.0]])
        add_rows(table, np.array([at]), np.array([1.0]), first, ~np.isnan(first))
        if late:
            table.flush()
        add_rows(table, np.array([at]), np.array([1.0]), second, ~np.isnan(second))
    add_rows(table, np.array([11]), np.array([1.0]), np.array([[5.0, 6.0, 7.0]]))
    table.flush()
    assert read(tmp_path / "m.csv")[1:] == [
        ["0", "1.0", "1.0", "2.0", "4.0"],
        ["10", "1.0", "1.0", "2.0", "4.0"],
        ["11", "1.0", "5.0", "6.0", "7.0"],
    ]


def test_steps_that_go_back_are_refused(tmp_path):
    table = MetricsTable(tmp_path / "m.csv", ["a"])
    add_rows(table, np.array([2]), np.zeros(1), np.zeros((1, 1)))
    with pytest.raises(ValueError, match="steps must increase, from 2 on"):
        add_rows(table, np.array([1]), np.zeros(1), np.zeros((1, 1)))


def test_double_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match="occurs twice"):
        MetricsTable(tmp_path / "m.csv", ["a", "a"])
    with pytest.raises(ValueError, match="occurs twice"):
        MetricsTable(tmp_path / "m.csv", ["step"])


def test_an_older_table_is_never_appended_to(tmp_path):
    (tmp_path / "m.csv").write_text("old")
    with pytest.raises(WriteError, match="exists"):
        MetricsTable(tmp_path / "m.csv", ["a"]).flush()
    assert (tmp_path / "m.csv").read_text() == "old"


def test_rows_wait_for_room_on_the_disk(tmp_path, monkeypatch):
    table = MetricsTable(tmp_path / "m.csv", ["a"])
    table.flush()
    add_rows(table, np.array([1]), np.zeros(1), np.zeros((1, 1)))

    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(durable_module.os, "write", fail)
        with pytest.raises(WriteError, match=r"m\.csv: No space"):
            table.flush()
    table.flush()
    assert len(read(tmp_path / "m.csv")) == 2


def test_two_hundred_rows_take_about_a_millisecond(tmp_path):
    values = np.random.default_rng(0).normal(size=(200, 14)).astype(np.float32)
    tags = [f"group/name{number}" for number in range(14)]
    steps, epochs = np.arange(200), np.arange(200) / 40

    def once():
        add_rows(MetricsTable(tmp_path / "m.csv", tags), steps, epochs, values)

    assert min(repeat(once, number=1, repeat=20)) < 10e-3  # measured 1.1 ms; room for CI


@pytest.mark.parametrize("seed", range(6))
def test_the_table_knows_its_sha256_without_reading(tmp_path, seed):
    """Whenever it is flushed, and whether its last row is filled before that or after."""
    random, path = np.random.default_rng(seed), tmp_path / "metrics.csv"
    table = MetricsTable(path, ["a", "b"])
    for call in range(40):
        present = np.array([[call % 2 == 0, call % 2 == 1]])
        add_rows(table, np.array([call // 2]), np.array([1.0]), random.random((1, 2)), present)
        if random.random() < 0.5:
            table.flush()
            assert table.checksum() == checksum(path.read_bytes())
            if random.random() < 0.3:
                position = table.position()
                with path.open("ab") as file:
                    file.write(b"9,9,9,9\n")
                table = MetricsTable(path, ["a", "b"])
                table.resume(position)
    table.flush()
    assert table.checksum() == checksum(path.read_bytes())


def test_a_table_goes_on_only_with_the_rows_it_had(tmp_path):
    path = tmp_path / "metrics.csv"
    table = MetricsTable(path, ["a"])
    add_rows(table, np.arange(9), np.zeros(9), np.ones((9, 1)))
    table.flush()
    position, content = table.position(), path.read_bytes()
    assert position["sha256"] == sha256(content[: -len(position["last"])]).hexdigest()
    for at in range(len(content) - len(position["last"])):
        path.write_bytes(content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :])
        with pytest.raises(DataError, match=r"metrics\.csv is damaged"):
            MetricsTable(path, ["a"]).resume(position)
    path.unlink()
    with pytest.raises(DataError, match="No such file"):
        MetricsTable(path, ["a"]).resume(position)
