"""A sweep as it runs: one line that a terminal shows and nobody else."""

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


class Watch:
    """Is told what becomes of jobs; this one lets it go by."""

    def ended(self, outcome: Outcome) -> None:
        """A job has come to its end, whatever end it is."""

    def progress(self, runs: float) -> None:
        """So many runs' worth of the batch in training is done."""


class LiveLine(Watch):
    """Bar, runs done and otherwise ended, time left."""

    def __init__(self, bar: Bar, task: TaskID, counts: Counter[str]) -> None:
        self.bar, self.task, self.counts = bar, task, counts

    def ended(self, outcome: Outcome) -> None:
        """Count it."""
        self.counts[outcome.status] += 1
        self.progress(0.0)

    def progress(self, runs: float) -> None:
        """Move the bar."""
        over = sum(self.counts.values())
        rest = [f"{self.counts[status]} {status}" for status in self.counts if status != "done"]
        words = " ".join([f"{self.counts['done']} done", *rest])
        # files are written after the training: a batch never moves the bar back
        known = next(task.completed for task in self.bar.tasks if task.id == self.task)
        self.bar.update(self.task, completed=max(known, over + 0.9 * runs), words=words)


@contextmanager
def live_line(total: int, counts: Counter[str]) -> Iterator[Watch]:
    """What watches `total` jobs: a line on standard error, or nothing where no one looks.

    Args:
        total: jobs.
        counts: statuses of those that are at their end already.
    """
    if not is_watched():
        yield Watch()
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
        line = LiveLine(bar, bar.add_task("", total=total, words=""), counts)
        line.progress(0.0)
        yield line
