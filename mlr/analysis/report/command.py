"""The command report: read runs and write one page."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from mlr.analysis.explain import explain
from mlr.analysis.report import content, page
from mlr.core import console
from mlr.core.durable import atomic_write
from mlr.records.reading import left_out

FILE = "report.html"


def main(place: str, out: str | None = None) -> int:
    """Write the report of a run or a sweep, and print its path; returns the exit code.

    Args:
        place: folder of the run, the sweep, or above them.
        out: the file; None is report.html in that folder.

    Raises:
        InputError: there is no run in `place`.
        WriteError: it cannot be written.
    """
    path = write(Path(place), None if out is None else Path(out))
    size = path.stat().st_size / 1e6
    console.console().print(Text(f"report       {path} ({size:.1f} MB)"), soft_wrap=True)
    return 0


def write(place: Path, path: Path | None = None) -> Path:
    """Write the page, whole or not at all; returns its path."""
    found = content.read(place)
    if line := left_out([*found.runs, *found.left_out], [place]):
        console.refuse(line)
    target = place / FILE if path is None else path
    text = page.html(found, explain(found.runs))
    atomic_write(target, text.encode("utf-8", errors="backslashreplace"), sync=False)
    return target
