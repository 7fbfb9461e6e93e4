"""Checks of options that several sources share, without numpy, so that errors come at once.

Every name in a message is the override that a person would type, `data.<option>`.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path

from mlr.core.checks import InputError, fraction, listed, nearest, typed, unknown, whole
from mlr.data.faults import LONGEST, tail

COLUMN_SCALES = ("none", "standardize", "minmax")
IMAGE_SCALES = ("none", "unit", "standardize")
_LONGEST_NAME = 30
_MOST_COMPARED = 1000
TASKS = ("classification", "regression")
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
"""Separators that are awkward on a command line, by name."""
DECIMALS = ("point", "comma")
SHUFFLED, GIVEN = "shuffled", "given"
ORDERS = (SHUFFLED, GIVEN)


def split_share(name: str, value: float) -> float:
    """Return the share of examples of a split that may not be empty.

    Raises:
        InputError: `value` is not in (0, 1).
    """
    if fraction(name, value) == 0:
        raise InputError(f"{name}={value} would leave that split empty: give a share in (0, 1).")
    return value


def split_shares(val_fraction: float, test_fraction: float) -> tuple[float, float]:
    """Return both shares if they leave something to train on; validation may be empty.

    Raises:
        InputError: the share for validation is not in [0, 1), that for the test not in (0, 1),
            or together they take everything.
    """
    val = fraction("data.val_fraction", val_fraction)
    test = split_share("data.test_fraction", test_fraction)
    if val + test >= 1:
        raise InputError(
            f"data.val_fraction={val} and data.test_fraction={test} leave nothing to train on: "
            "their sum must stay below 1."
        )
    return val, test


def optional_whole(name: str, value: int | None, at_least: int = 0) -> int | None:
    """Return a whole number of at least `at_least`, or None as it is.

    Raises:
        InputError: `value` is anything else.
    """
    return None if value is None else whole(name, value, at_least)


def text(name: str, value: str) -> str:
    """Return `value` if it is a text that is not empty.

    Raises:
        InputError: otherwise.
    """
    if not isinstance(value, str) or not value:
        raise InputError(f"{name}={typed(value)} must be a text that is not empty.")
    return value


def path(name: str, value: str | PathLike[str] | None, what: str) -> Path:
    """Return `value` as a path with `~` expanded; its existence is checked by load().

    Raises:
        InputError: nothing was given, or no text; `what` is what the path should name.
    """
    if value is None:
        raise InputError(f"{name} is not set: name {what} with {name}=PATH.")
    if not isinstance(value, (str, PathLike)) or not fspath(value):
        raise InputError(f"{name}={typed(value)} must be the path of {what}.")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise InputError(f"{name}={value} names a home folder that does not exist.") from None


def named(option: str, name: str, names: Iterable[str], of: str) -> str:
    """Return `name` if it is one of `names`, which come from a file.

    Args:
        option: override that gives the name, as in data.label.
        name: the name given.
        names: any number, of any length.
        of: what has these names, for messages.

    Raises:
        InputError: lists the nearest and the first of them.
    """
    there = list(names)
    if name in there:
        return name
    few = [one for one in there[:_MOST_COMPARED] if len(one) <= _LONGEST_NAME]
    near = nearest(name[:_LONGEST_NAME], few)
    shown = [tail(one, _LONGEST_NAME) for one in there]
    meant = near and f"{option}={tail(near, _LONGEST_NAME)}"
    given, of = f"{option}={tail(name, _LONGEST_NAME)}", f" of {tail(of, 2 * _LONGEST_NAME)}"
    room = LONGEST - len(unknown(given, [""], meant, of))
    raise InputError(unknown(given, [listed(shown, room)], meant, of))
