"""Show the progress of a sweep, as one line in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from mlr.app.run.job import ProgressReport
from mlr.core.console import is_watched


@contextmanager
def progress_line(
    total: int, counts: Counter[str], shown: bool = True
) -> Iterator[ProgressReport]:
    """Show the progress of `total` jobs on standard error, if that is a terminal.

    Args:
        total: number of jobs.
        counts: statuses of those that have ended, which the caller updates.
        shown: False to show nothing.

    Yields:
        The function to call at each progress.
    """
    if not shown or not is_watched():
        yield lambda runs: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("sweep"),
        BarColumn(),
        TextColumn("{task.fields[words]} of {task.total:.0f}"),
        TimeRemainingColumn(),
    )
    console, furthest = Console(stderr=True), 0.0

    def moved(runs: float) -> None:
        nonlocal furthest
        rest = [f"{counts[status]} {status}" for status in counts if status != "done"]
        words = " ".join([f"{counts['done']} done", *rest])
        # files are written after the training: a program never moves the bar back
        furthest = max(furthest, counts.total() + 0.9 * runs)
        bar.update(task, completed=furthest, words=words)

    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as bar:
        task = bar.add_task("", total=total, words="")
        moved(0.0)
        yield moved
