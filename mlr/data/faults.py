"""Messages about faulty data, one line of at most 200 characters each.

`where` names the data, a file or `data=<name>`; it alone is shortened where a line is too long,
so that rule and fix are always complete.
"""

from __future__ import annotations

from os import PathLike, fspath

from mlr.core.checks import DataError


class DataWarning(UserWarning):
    """Warning about data that are used all the same; its text is shown to the person."""


LONGEST = 195
"""Characters of a message, without the `mlr: ` before it."""
_LONGEST_SHOWN = 40


def fault(where: str | PathLike[str], problem: str) -> DataError:
    """Return an error with the sentence `<where> <problem>`, as in `<file> is empty`."""
    return DataError(f"{tail(where, LONGEST - len(problem) - 1)} {problem}")


def tail(name: str | PathLike[str], most: int) -> str:
    """Return the end of a name, which identifies a file: at most `most` printable characters."""
    text = "".join(char if char.isprintable() else "?" for char in fspath(name))
    return text if len(text) <= most else "…" + text[len(text) - max(most - 1, 0) :]


def shown(value: object, most: int = _LONGEST_SHOWN) -> str:
    """Return a value found in a file quoted, escaped and cut to about `most` characters."""
    text = repr(value[:most] if isinstance(value, str) else value)
    # escapes lengthen: a cell of control characters is four times as long when printed
    cut = text[: most + 1] + text[0] if len(text) > most + 2 else text
    return cut if cut == repr(value) else cut[:-1] + "…" + cut[-1]
