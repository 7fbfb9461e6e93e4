"""Show the progress of a sweep, as one line in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlr.core.console import is_watched
from mlr.records.outcome import Outcome

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class ProgressListener:
    """Listener to the progress of jobs; this base class ignores it."""

    def ended(self, outcome: Outcome) -> None:
        """Handle the end of a job, whatever end it is."""

    def progress(self, runs: float) -> None:
        """Handle progress of the program in training, by how many runs' worth is done."""


class ProgressLine(ProgressListener):
    """Line with a bar, runs done and otherwise ended, and the time left."""

    def __init__(self, bar: Bar, task: TaskID, counts: Counter[str]) -> None:
        self.bar, self.task, self.counts = bar, task, counts

    def ended(self, outcome: Outcome) -> None:
        """Count the job."""
        self.counts[outcome.status] += 1
        self.progress(0.0)

    def progress(self, runs: float) -> None:
        """Move the bar."""
        over = sum(self.counts.values())
        rest = [f"{self.counts[status]} {status}" for status in self.counts if status != "done"]
        words = " ".join([f"{self.counts['done']} done", *rest])
        # files are written after the training: a program never moves the bar back
        known = next(task.completed for task in self.bar.tasks if task.id == self.task)
        self.bar.update(self.task, completed=max(known, over + 0.9 * runs), words=words)


@contextmanager
def progress_line(total: int, counts: Counter[str]) -> Iterator[ProgressListener]:
    """Show the progress of `total` jobs on standard error, if that is a terminal.

    Args:
        total: number of jobs.
        counts: statuses of those that have ended already.
    """
    if not is_watched():
        yield ProgressListener()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("sweep"),
        BarColumn(),
        TextColumn("{task.fields[words]} of {task.total:.0f}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as bar:
        line = ProgressLine(bar, bar.add_task("", total=total, words=""), counts)
        line.progress(0.0)
        yield line
