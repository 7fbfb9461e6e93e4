"""Texts of a table's cells: numbers, decimal commas, missing values."""

from __future__ import annotations

import re

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""Texts that mean a value is missing, in any case."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


def number(text: str) -> float | None:
    """The number that a text is, or None."""
    # Python reads 1_000 as a number; in a table it is a typing error
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def is_missing(text: str) -> bool:
    """Tell if a value is missing."""
    return text.lower() in MISSING


def is_number(text: str) -> bool:
    """Tell if a text is a number; `nan` alone says nothing of its column."""
    return not is_missing(text) and number(text) is not None


def has_decimal_comma(text: str) -> bool:
    """Tell if a text is a number as much of Europe writes it, as in 5,1."""
    return _DECIMAL_COMMA.fullmatch(text) is not None


def with_point(text: str) -> str:
    """A number with a decimal comma as one with a point; any other text as it is."""
    return text.replace(",", ".") if has_decimal_comma(text) else text
