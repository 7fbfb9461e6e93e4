"""Texts of a table: what is a number, what is missing."""

from __future__ import annotations

import pytest

from mlr.data.table import has_decimal_comma, is_missing, is_number, number, with_point


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("7", 7.0), ("-1.5e3", -1500.0), (" 2 ", 2.0), ("inf", float("inf")), (".5", 0.5)),
        *(("1_000", None), ("1,5", None), ("0x10", None), ("", None), ("seven", None)),
    ],
)
def test_numbers(text, value):
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
