"""Messages: how names and values are cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlr.data.faults import fault, shown, tail


@pytest.mark.parametrize(
    ("name", "most", "text"),
    [
        ("abcde", 5, "abcde"),
        ("abcde", 4, "…cde"),
        ("abcde", 1, "…"),
        ("abcde", 0, "…"),
        ("", 0, ""),
        ("a\nb\x1b", 4, "a?b?"),
        (Path("/a/bc"), 3, "…bc"),
    ],
)
def test_of_a_name_the_end_is_kept(name, most, text):
    assert tail(name, most) == text


@pytest.mark.parametrize(
    ("value", "most", "text"),
    [
        ("abc", 3, "'abc'"),
        ("abcd", 3, "'abc…'"),
        ("it's", 4, '"it\'s"'),
        ("it's so", 4, '"it\'s…"'),
        ("\0", 4, r"'\x00'"),
        ("\0", 3, r"'\x0…'"),
        ("\0\0\0\0\0", 4, r"'\x00…'"),
        (7, 3, "7"),
        ("x" * 40, 40, f"'{'x' * 40}'"),
    ],
)
def test_of_a_value_the_beginning_is_kept(value, most, text):
    assert shown(value, most) == text


def test_forty_characters_of_a_value_are_shown():
    assert shown("x" * 41) == f"'{'x' * 40}…'"
    assert shown("x" * 40) == f"'{'x' * 40}'"


def test_a_message_has_at_most_195_characters_and_ends_whole():
    assert str(fault("x.csv", "is empty.")) == "x.csv is empty."
    problem = "is empty."  # 9, and a blank
    assert str(fault("x" * 185, problem)) == f"{'x' * 185} is empty."
    assert str(fault("y" + "x" * 185, problem)) == f"…{'x' * 184} is empty."
