"""Rows of the report, and the timing of alternatives in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from rich import box
from rich.markup import escape
from rich.table import Table

Measure = Callable[[], float]
"""Does something once; returns its duration in seconds."""


@dataclass(frozen=True)
class BenchmarkRow:
    """One measurement and its promise.

    what: name of the measurement.
    mlr: result of mlr, as text.
    other: result and name of the program compared with, as text.
    value: number that the promise bounds, most often a ratio.
    unit: unit of the value.
    most: promised upper bound.
    least: promised lower bound.
    """

    what: str
    mlr: str = ""
    other: str = ""
    value: float | None = None
    unit: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def promise(self) -> str:
        """Promise in words; empty without one."""
        if self.most is not None:
            return f"≤ {self.most:g}{self.unit}"
        return "" if self.least is None else f"≥ {self.least:g}{self.unit}"

    @property
    def kept(self) -> bool | None:
        """True if the promise is kept; None without one."""
        if self.value is None or (self.most is None and self.least is None):
            return None
        too_much = self.most is not None and not self.value <= self.most
        too_little = self.least is not None and not self.value >= self.least
        return not (too_much or too_little)


def table(rows: Iterable[BenchmarkRow]) -> Table:
    """Build the table of rows for the terminal."""
    built = Table(box=box.SIMPLE_HEAD)
    for name in ("", "mlr", "compared with", "result", "promised", ""):
        built.add_column(name, justify="right" if name in ("mlr", "result", "promised") else "left")
    verdicts = {True: "[green]kept[/]", False: "[bold red]missed[/]", None: ""}
    for row in rows:
        value = "" if row.value is None else f"{row.value:.3g}{row.unit}"
        cells = (row.what, row.mlr, row.other, value, row.promise)
        built.add_row(*map(escape, cells), verdicts[row.kept])
    return built


def duration(seconds: float) -> str:
    """Format seconds in a suitable unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def timed(job: Callable[[], object]) -> Measure:
    """Build the measure of a job."""

    def measure() -> float:
        started = perf_counter()
        job()
        return perf_counter() - started

    return measure


def in_turn(measures: Sequence[Measure], repeats: int, warm_up: bool = True) -> list[float]:
    """Measure alternatives in turn, repeatedly; returns the median of each.

    Each round begins with another one, since the first of a round finds the machine rested.
    """
    found: list[list[float]] = [[] for _ in measures]
    for repeat in range(repeats + warm_up):
        for turn in range(len(measures)):
            which = (repeat + turn) % len(measures)
            took = measures[which]()
            if repeat >= warm_up:
                found[which].append(took)
    return [median(seconds) for seconds in found]
