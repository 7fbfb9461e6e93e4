"""What is wrong with data, in one line of at most 200 characters.

`where` names the data, a file or `data=<name>`; it alone is shortened where a line is too long,
so that rule and fix are always read whole.
"""

from __future__ import annotations

from os import PathLike, fspath

from mlr.core.checks import DataError


class DataWarning(UserWarning):
    """What a person should know of data that are used all the same; meant to be read by them."""


LONGEST = 195
"""Characters of a message; `mlr: ` stands before it."""
_LONGEST_SHOWN = 40


def fault(where: str | PathLike[str], problem: str) -> DataError:
    """An error that says of `where` what `problem` says, as in `<file> is empty`."""
    return DataError(f"{tail(where, LONGEST - len(problem) - 1)} {problem}")


def tail(name: str | PathLike[str], most: int) -> str:
    """The end of a name, at most `most` characters that are safe to print: files are told by it."""
    text = "".join(char if char.isprintable() else "?" for char in fspath(name))
    return text if len(text) <= most else "…" + text[len(text) - max(most - 1, 0) :]


def shown(value: object, most: int = _LONGEST_SHOWN) -> str:
    """A value found in a file, quoted, escaped and cut."""
    text = repr(value[:most] if isinstance(value, str) else value)
    # escapes lengthen: a cell of control characters is four times as long when printed
    cut = text[: most + 1] + text[0] if len(text) > most + 2 else text
    return cut if cut == repr(value) else cut[:-1] + "…" + cut[-1]
