"""The first line of a table: names of its columns, or data already."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from mlr.data.cells import is_missing, is_number

_LOOKED_AT = 1000
"""Rows that are compared with the first line."""


class Sign(Enum):
    """What one cell of the first line says of it."""

    NUMBER = auto()
    """a number above numbers"""
    VALUE = auto()
    """a text that occurs below"""
    NAME = auto()
    """a text above numbers"""
    OTHER = auto()
    """a text that is none of the few below, which repeat"""
    NOTHING = auto()


def signs(first: Sequence[str], rows: Sequence[Sequence[str]]) -> set[Sign]:
    """What the cells of the first line say, compared with the rows below."""
    below = zip(*rows[:_LOOKED_AT], strict=True)
    return {_sign(cell, texts) for cell, texts in zip(first, below, strict=True)}


def is_data(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Tell if the first line looks like the rows below it, and no cell of it like a name."""
    found = signs(first, rows)
    return bool(found & {Sign.NUMBER, Sign.VALUE}) and not found & {Sign.NAME, Sign.OTHER}


def is_names(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Tell if the first line can be no data: a text stands above numbers, and no number does."""
    found = signs(first, rows)
    return Sign.NAME in found and Sign.NUMBER not in found


def _sign(cell: str, below: Sequence[str]) -> Sign:
    there = [text for text in below if not is_missing(text)]
    if is_missing(cell) or not there:
        return Sign.NOTHING
    numbers = sum(map(is_number, there))
    if 2 * numbers > len(there):
        return Sign.NUMBER if is_number(cell) else Sign.NAME
    if cell in there:
        return Sign.VALUE
    return Sign.OTHER if len(set(there)) < len(there) else Sign.NOTHING
