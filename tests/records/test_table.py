"""Rows of metrics.csv: shortest numbers that read back as they were."""

from __future__ import annotations

import csv
import io
from timeit import repeat

import numpy as np
import pytest

from mlr.records.table import table_head, table_rows


def cells(numbers):
    """Cells of a column of numbers (N, 1)."""
    steps = np.arange(len(numbers))
    rows = table_rows(steps, steps / 1, numbers, np.ones(numbers.shape, dtype=bool))
    return [row[:-1].decode().split(",")[2] for row in rows]


def test_rows_columns_and_absent_cells():
    values = np.array([[0.1, 2.0], [np.nan, -np.inf]], dtype=np.float32)
    present = np.array([[True, False], [True, True]])
    rows = table_rows(np.array([0, 10]), np.array([0.0, 0.5]), values, present)
    content = (table_head(["loss/train", 'größe, "x"']) + b"".join(rows)).decode()
    assert list(csv.reader(io.StringIO(content, newline=""))) == [
        ["step", "epoch", "loss/train", 'größe, "x"'],
        ["0", "0.0", "0.1", ""],
        ["10", "0.5", "nan", "-inf"],
    ]
    assert "\r" not in content


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_read_back_as_the_same_number(dtype):
    bits = np.random.default_rng(0).integers(0, 2**63, 30_000, dtype=np.int64)
    with np.errstate(invalid="ignore"):
        numbers = np.frombuffer(bits.tobytes(), dtype)[:30_000, None].copy()
    back = np.array([dtype(text) for text in cells(numbers)])
    np.testing.assert_array_equal(back, numbers[:, 0])


@pytest.mark.parametrize("power", [-36, -20, -14, -13, -5, 0, 4, 13, 14, 30])
def test_float32_stands_with_the_fewest_digits(power):
    numbers = np.random.default_rng(power + 50).normal(size=(500, 1)) * 10.0**power
    numbers = numbers.astype(np.float32)
    for text, number in zip(cells(numbers), numbers[:, 0], strict=True):
        assert float(text) == float(str(number))


def shortest(number) -> str:
    """Text of a number by C's formats, the fewest of three counts of digits that suffice."""
    for digits in (np.finfo(number.dtype).precision + 1, np.finfo(number.dtype).precision + 2, 9):
        decimal = float(f"{float(number):.{digits}g}")
        if number.dtype.type(decimal) == number:
            break
    return f"{decimal:.1f}" if decimal % 1 == 0 and abs(decimal) < 1e9 else f"{decimal:.9g}"


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_texts_are_those_of_c(dtype):
    rng, largest = np.random.default_rng(1), float(np.finfo(dtype).max)
    powers = 10.0 ** np.arange(-44, 39)
    halves = rng.integers(0, 2**31, 2000) / 2.0 ** rng.integers(0, 31, 2000)  # between decimals
    whole = [0.0, 0.1, 0.99999994, 99999.999, 16777216.0, 123456792.0, 999999999.0, 1e9]
    sizes = np.array([*powers, *powers * 9.9999998, *halves, *rng.normal(size=2000), *whole])
    numbers = np.concatenate([sizes, -sizes])[:, None]
    numbers = numbers[np.abs(numbers[:, 0]) <= largest].astype(dtype)
    assert cells(numbers) == [shortest(number) for number in numbers[:, 0]]


def test_no_rows_and_rows_without_values():
    none, values = np.array([]), np.ones((1, 2), np.float32)
    for dtype in (np.float32, np.float64):
        columns = (values.astype(dtype), np.zeros((1, 2), dtype=bool))
        assert table_rows(np.array([3]), np.array([0.25]), *columns) == [b"3,0.25,,\n"]
        assert table_rows(none, none, *(one[:0] for one in columns)) == []


def test_two_hundred_rows_take_about_a_millisecond():
    values = np.random.default_rng(0).normal(size=(200, 14)).astype(np.float32)
    columns = (np.arange(200), np.arange(200) / 40, values, np.ones(values.shape, dtype=bool))
    # measured 1.1 ms; room for CI
    assert min(repeat(lambda: table_rows(*columns), number=1, repeat=20)) < 10e-3
