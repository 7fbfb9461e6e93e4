"""Files of a sweep: runs.csv, one row a run, and sweep.yaml, its commands and their outcome."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlr.core.durable import atomic_write
from mlr.records.file_names import STORY
from mlr.records.format import UNNAMED, UNSEALED, check_format, never_sealed
from mlr.records.manifest import YAML, SealError, read_small, unsealed
from mlr.records.plain_yaml import parsed

_FIRST, _LAST = ("run", "status"), ("reason",)
_QUOTE, _FORMULA = "'", tuple("=+-@\t\r\n＝＋－＠")


def write_runs_table(path: Path | str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Write all rows, replacing the file at once; returns what it then holds.

    The columns are the union over the rows: run, status, then overrides and metrics in the
    order of their first appearance, those with a `/` (TensorBoard's tags) behind the
    others, then reason. A value that is missing or None leaves its cell empty, as in
    `MetricsTable`; True and False stand as in YAML.

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
    """The rows of such a file, each text as it was before it was marked.

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
    """What sweep.yaml in `folder` says.

    Raises:
        OSError: it cannot be read.
        FormatError: it is of another format.
        ValueError: it is not, to the bit, what was written.
    """
    path = folder / STORY
    content = read_small(path)
    try:
        told = parsed(unsealed(content, YAML).decode("utf-8"), path)
    except SealError:
        if never_sealed(older := parsed(content.decode("utf-8"), path)):
            check_format(path, older.get("format", UNSEALED))
        raise
    if not isinstance(told, dict):
        raise ValueError("it holds no mapping")
    check_format(path, told.get("format", UNNAMED))
    return told


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV, each ended by a newline; a cell with any line break in it is quoted."""
    lines = []
    for row in rows:
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\r\n").writerow(row)  # else it leaves \r unquoted
        lines.append(line.getvalue()[:-2] + "\n")
    return "".join(lines)


def marked(text: str) -> str:
    """A text of a CSV file; one that a spreadsheet would run as a formula begins with a quote.

    A negative number is none.
    """
    if not text.lstrip(_QUOTE).startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"{_QUOTE}{text}"
    return text


def unmarked(text: str) -> str:
    """The text that `marked` was given."""
    is_marked = text.startswith(_QUOTE) and text.lstrip(_QUOTE).startswith(_FORMULA)
    return text[1:] if is_marked else text


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The union of the rows' columns in their stable order."""
    seen = dict.fromkeys(column for row in rows for column in row)
    first = [column for column in _FIRST if column in seen or column in ("run", "status")]
    last = [column for column in _LAST if column in seen]
    between = [column for column in seen if column not in first + last]
    overrides = [column for column in between if "/" not in column]
    return [*first, *overrides, *(column for column in between if "/" in column), *last]


def _cell(value: Any) -> Any:
    """A value as the csv module writes it: None as nothing, a number as its shortest text."""
    if value is True or value is False:
        return "true" if value else "false"
    return marked(value) if isinstance(value, str) else value
