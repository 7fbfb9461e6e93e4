"""Files of a sweep: runs.csv, one row a run, and sweep.yaml, its commands and their outcome."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlr.core.durable import atomic_write
from mlr.records.checksums import read_small
from mlr.records.plain_yaml import parsed
from mlr.records.run_folder import STORY
from mlr.records.status import FORMATS, check_format

_FIRST = ("run", "status")
_QUOTE, _FORMULA = "'", tuple("=+-@\t\r\n＝＋－＠")


def write_runs_table(path: Path | str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Write all rows, replacing the file at once; returns what it then holds.

    The columns are the union over the rows: run, status, then overrides and metrics in the
    order of their first appearance, those with a `/` (TensorBoard's tags) after the
    others, then reason. A value that is missing or None leaves its cell empty; True and False
    stand as in YAML.

    Args:
        path: the file; its folder must exist.
        rows: one mapping a run, from column to text, number, bool or None.

    Raises:
        WriteError: naming the path and the cause; the old file is then untouched.
    """
    columns = _columns(rows)
    cells = [[_cell(value) for value in map(row.get, columns)] for row in rows]
    text = csv_text([[marked(column) for column in columns], *cells])
    content = text.encode("utf-8", errors="backslashreplace")
    atomic_write(Path(path), content)
    return content


def read_runs_table(path: Path) -> list[dict[str, str]]:
    """Read the rows of a runs.csv, each text as it was before `marked`.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no UTF-8.
        csv.Error: it is no table.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        columns = [unmarked(column) for column in next(rows, [])]
        return [dict(zip(columns, map(unmarked, row), strict=False)) for row in rows]


def read_story(folder: Path) -> dict[str, Any]:
    """Read sweep.yaml of a folder.

    Raises:
        OSError: it cannot be read.
        FormatError: it is of another format.
        ValueError: it holds no YAML, or no mapping.
    """
    path = folder / STORY
    story = parsed(read_small(path).decode("utf-8"), path)
    if not isinstance(story, dict):
        raise ValueError("it holds no mapping")
    check_format(path, story.get("format", FORMATS[0]))
    return story


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Format rows as CSV, each ended by a newline; a cell with any line break in it is quoted."""
    lines = []
    for row in rows:
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\r\n").writerow(row)  # else it leaves \r unquoted
        lines.append(line.getvalue()[:-2] + "\n")
    return "".join(lines)


def marked(text: str) -> str:
    """Put a quote before a text that a spreadsheet would run as a formula.

    A negative number is no formula.
    """
    if not text.lstrip(_QUOTE).startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"{_QUOTE}{text}"
    return text


def unmarked(text: str) -> str:
    """Undo `marked`."""
    is_marked = text.startswith(_QUOTE) and text.lstrip(_QUOTE).startswith(_FORMULA)
    return text[1:] if is_marked else text


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the union of the rows' columns in their stable order."""
    seen = dict.fromkeys(column for row in rows for column in row)
    last = ["reason"] if "reason" in seen else []
    between = [column for column in seen if column not in (*_FIRST, "reason")]
    return [*_FIRST, *sorted(between, key=lambda column: "/" in column), *last]


def _cell(value: Any) -> Any:
    """Convert a value for the csv module, which writes None as nothing."""
    if value is True or value is False:
        return "true" if value else "false"
    return marked(value) if isinstance(value, str) else value
