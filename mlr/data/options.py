"""Options of sources, and one check for all options of one name.

Checks import no numpy, so that errors come at once. Every name in a message is the override that a
person would type, `data.<option>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from mlr.core.checks import (
    CHOOSE,
    InputError,
    finite,
    flag,
    fraction,
    known,
    listed,
    non_negative,
    positive,
    typed,
    whole,
)
from mlr.data.faults import LONGEST, tail

COLUMN_SCALES = ("none", "standardize", "minmax")
IMAGE_SCALES = ("none", "unit", "standardize")
CLASSIFICATION, REGRESSION, MULTILABEL = "classification", "regression", "multilabel"
TASKS = (CLASSIFICATION, REGRESSION, MULTILABEL)
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
"""Separators that are awkward on a command line, by name."""
DECIMALS = ("point", "comma")
AUTO, STANDARDIZE, NONE = "auto", "standardize", "none"
TARGET_SCALES = (AUTO, STANDARDIZE, NONE)
RANDOM = "random"
REFUSE, MEAN, MEDIAN, DROP = "refuse", "mean", "median", "drop"
MISSING = (REFUSE, MEAN, MEDIAN, DROP)
SHUFFLED, GIVEN = "shuffled", "given"
ORDERS = (SHUFFLED, GIVEN)
_LONGEST_NAME = 30


def split_share(name: str, value: float) -> float:
    """Return the share of examples of a split that may not be empty.

    Raises:
        InputError: `value` is not in (0, 1).
    """
    if fraction(name, value) == 0:
        raise InputError(f"{name}={value} would leave that split empty: give a share in (0, 1).")
    return value


def optional_whole(name: str, value: int | None, at_least: int = 0) -> int | None:
    """Return a whole number of at least `at_least`, or None as it is.

    Raises:
        InputError: `value` is anything else.
    """
    return None if value is None else whole(name, value, at_least)


def optional_known(name: str, value: str | None, allowed: Iterable[str]) -> str | None:
    """Return one of the allowed names, or None as it is.

    Raises:
        InputError: `value` is anything else.
    """
    return None if value is None else known(name, value, allowed)


def optional_positive(name: str, value: float | None) -> float | None:
    """Return a finite number above 0, or None as it is.

    Raises:
        InputError: `value` is anything else.
    """
    return None if value is None else positive(name, value)


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


def unknown_name(option: str, name: str, names: Iterable[str], of: str) -> InputError:
    """Return an error about a name that is none of `names`, which come from a file called `of`."""
    there = [tail(one, _LONGEST_NAME) for one in names]
    start = f"Unknown {option}={tail(name, _LONGEST_NAME)}. {CHOOSE}"
    end = f" of {tail(of, 2 * _LONGEST_NAME)}."
    return InputError(f"{start}{listed(there, LONGEST - len(start + end))}{end}")


CHECKS: dict[str, Callable[[str, Any], object]] = {
    "n": partial(whole, at_least=3),
    "outputs": partial(whole, at_least=1),
    "label_noise": fraction,
    "val_fraction": fraction,
    "test_fraction": split_share,
    "seed": optional_whole,
    "split_seed": partial(whole, at_least=0),
    "val_size": partial(whole, at_least=0),
    "train_size": partial(optional_whole, at_least=1),
    "download": flag,
    "order": partial(known, allowed=ORDERS),
    "drop_last": flag,
    "task": partial(known, allowed=TASKS),
    "decimal": partial(known, allowed=DECIMALS),
    "split": partial(optional_known, allowed=(RANDOM, GIVEN)),
    "missing": partial(known, allowed=MISSING),
    "target_scale": partial(known, allowed=TARGET_SCALES),
    "noise": non_negative,
    "deformation": non_negative,
    "outliers": split_share,
    "distance": positive,
    "slope": finite,
    "intercept": finite,
    "size": optional_positive,
}
"""Check of each option by its name, which means the same in all sources."""


def check(options: Mapping[str, Any], scales: tuple[str, ...]) -> None:
    """Check the options of a source.

    Raises:
        InputError: the first value that is not allowed, or shares that leave nothing to train on.
    """
    for name, value in options.items():
        if name == "scale":
            known("data.scale", value, scales)
        elif name in CHECKS:
            CHECKS[name](f"data.{name}", value)
    if {"val_fraction", "test_fraction"} <= options.keys():
        val, test = options["val_fraction"], options["test_fraction"]
        if val + test >= 1:
            raise InputError(
                f"data.val_fraction={val} and data.test_fraction={test} leave nothing to train "
                "on: their sum must stay below 1."
            )
