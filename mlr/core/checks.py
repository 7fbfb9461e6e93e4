"""Checks of plain values, and the errors that a person's input can cause.

Every message is one or two sentences: the wrong value, what is allowed, which override fixes it.
`InputError` is a ValueError, so that callers of the library can catch it without importing mlr.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from sys import float_info
from types import ModuleType
from typing import TypeVar

resource: ModuleType | None
try:
    import resource  # at once: it cannot be loaded when memory has run out
except ImportError:  # Windows has none
    resource = None

T = TypeVar("T")

CHOOSE = "Choose from "
"""Beginning of every list of choices."""
DASHES = "‐‑‒–—"
"""Characters that word processors substitute for a hyphen."""
_SHORTEST_BEGINNING = 3
"""Smallest number of letters that identify a longer name, as acc does accuracy/test."""


class InputError(ValueError):
    """Refusal of a value that a person gave; the text is shown to the person.

    Attributes:
        exit_code: of a command that ends with this error.
    """

    exit_code = 2


class DataError(InputError):
    """Refusal of a file or its content rather than an option: bad data, a damaged run."""

    exit_code = 3


class UnreadableError(DataError):
    """File or folder that exists but cannot be read: permission denied, a disk failure."""

    exit_code = 74


class PlaceError(InputError):
    """Folder that cannot be created or written."""

    exit_code = 74


def known(name: str, value: str, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of `allowed`; else name the nearest and list all."""
    choices = sorted(allowed)
    if value in choices:
        return value
    near = nearest(str(value), choices)
    raise InputError(unknown(f"{name}={typed(value)}", choices, near and f"{name}={near}"))


def unknown(given: str, choices: Iterable[str], near: str | None = None) -> str:
    """Return the message about an unknown name, with the one that was probably meant.

    Args:
        given: the override as typed, as in `head=sigmod`.
        choices: the known names.
        near: as in `head=sigmoid`.
    """
    hint = f" Did you mean {near}?" if near else ""
    listed = ", ".join(choices)
    return f"Unknown {given}.{hint}" + (f" {CHOOSE}{listed}." if listed else "")


def nearest(name: str, choices: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the choice nearest to `name`, ignoring case and hyphens; None if none is near."""
    spelled = {_spelled(choice): choice for choice in choices}
    given = _spelled(name)
    near = get_close_matches(given, spelled, n=1, cutoff=cutoff)
    if not near and len(given) >= _SHORTEST_BEGINNING and cutoff < 1:
        near = [choice for choice in spelled if choice.startswith(given)]
    return spelled[near[0]] if near else None


def _spelled(name: str) -> str:
    return re.sub(r"[-_ ]+", "_", name.strip()).casefold()


def listed(choices: Sequence[str], room: int) -> str:
    """Join choices up to `room` characters, at least one, and count those left out."""
    for count in range(min(len(choices), max(room, 1)), 0, -1):
        more = "" if count == len(choices) else f" … and {len(choices) - count} more"
        text = ", ".join(choices[:count]) + more
        if len(text) <= room or count == 1:
            return text
    return "nothing"


def is_out_of_memory(error: BaseException) -> bool:
    """Return True for a lack of memory, of which torch raises a RuntimeError."""
    words = "out of memory|(allocate|enough) memory"
    return isinstance(error, MemoryError) or bool(re.search(words, str(error), re.IGNORECASE))


def memory_limit() -> str:
    """Return the process's own memory limit in brackets, for messages; empty without one."""
    most = -1 if resource is None else resource.getrlimit(resource.RLIMIT_AS)[0]
    if resource is None or most == resource.RLIM_INFINITY:
        return ""
    return f" (ulimit -v gives all of this process {most >> 20:,} MiB)"


def users_stacklevel() -> int:
    """Return the `stacklevel` with which a warning shows the line of the user's own code."""
    frame, level = sys._getframe(1), 1
    while frame.f_globals.get("__name__", "").partition(".")[0] in ("mlr", "torch"):
        if frame.f_back is None:
            return 1
        frame, level = frame.f_back, level + 1
    return level


def typed(value: object) -> str:
    """Return a value as it is typed in an override: null for None, true for True."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def positive(name: str, value: float) -> float:
    """Return a finite number above 0; anything else is an InputError."""
    return _fitting(name, value, _is_finite(value) and value > 0, "be a finite number above 0")


def non_negative(name: str, value: float) -> float:
    """Return a finite number of at least 0; anything else is an InputError."""
    return _fitting(name, value, _is_finite(value) and value >= 0, "be a finite number, 0 or above")


def finite(name: str, value: float) -> float:
    """Return a finite number; anything else is an InputError."""
    return _fitting(name, value, _is_finite(value), "be a finite number")


def fraction(name: str, value: float) -> float:
    """Return a number in [0, 1); anything else is an InputError."""
    return _fitting(name, value, _is_finite(value) and 0 <= value < 1, "lie in [0, 1)")


def flag(name: str, value: bool) -> bool:
    """Return true or false; anything else is an InputError."""
    return _fitting(name, value, isinstance(value, bool), "be true or false")


def whole(name: str, value: int, at_least: int = 1, at_most: int | None = None) -> int:
    """Return a whole number within the bounds given; anything else is an InputError."""
    fits = _is_whole(value) and value >= at_least and (at_most is None or value <= at_most)
    upper = "" if at_most is None else f" and at most {at_most}"
    if isinstance(value, float) and float(value).is_integer():
        upper += f": write {int(value)}"
    return _fitting(name, value, fits, f"be a whole number of at least {at_least}{upper}")


def whole_numbers(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Return the values of a list if there are some and each is a whole number of at least 1.

    Raises:
        InputError: shows the list.
    """
    given = values if isinstance(values, (list, tuple)) else ()
    if not given or any(type(value) is not int or value < 1 for value in given):
        shown = typed(values).replace(" ", "").replace("'", "")
        raise InputError(
            f"{name}={shown} must list whole numbers of at least 1, as in {name}=[32,16]."
        )
    return tuple(given)


def _fitting(name: str, value: T, fits: bool, rule: str) -> T:
    if not fits:
        raise InputError(f"{name}={typed(value)} must {rule}.")
    return value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    """Tell if it is a number, neither infinite nor NaN, nor an integer above the largest float."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= float_info.max
