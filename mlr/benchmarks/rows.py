"""Results of a measurement: a row of the report, and rows as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from rich import box
from rich.markup import escape
from rich.table import Table

Measure = Callable[[], float]
"""Does something once; returns the seconds it took."""


@dataclass(frozen=True)
class Row:
    """One thing measured.

    what: which.
    mlr: what mlr took.
    other: what the other thing took, and which that is.
    value: what is judged, most often a ratio.
    unit: of the value.
    most: the promise, if it is an upper bound.
    least: the promise, if it is a lower one.
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
        """The promise in words; empty without one."""
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


def table(rows: Iterable[Row]) -> Table:
    """Rows as a person reads them."""
    made = Table(box=box.SIMPLE_HEAD)
    for name in ("", "mlr", "compared with", "result", "promised", ""):
        made.add_column(name, justify="right" if name in ("mlr", "result", "promised") else "left")
    verdicts = {True: "[green]kept[/]", False: "[bold red]missed[/]", None: ""}
    for row in rows:
        value = "" if row.value is None else f"{row.value:.3g}{row.unit}"
        cells = (row.what, row.mlr, row.other, value, row.promise)
        made.add_row(*map(escape, cells), verdicts[row.kept])
    return made


def duration(seconds: float) -> str:
    """Seconds in a unit that suits them."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def timed(job: Callable[[], object]) -> Measure:
    """The measure of a job."""

    def measure() -> float:
        started = perf_counter()
        job()
        return perf_counter() - started

    return measure


def in_turn(measures: Sequence[Measure], repeats: int, warm_up: bool = True) -> list[float]:
    """The median of each, one measured after the other and all of them again.

    Each time another begins, for what is measured first finds the machine rested.
    """
    found: list[list[float]] = [[] for _ in measures]
    for repeat in range(repeats + warm_up):
        for turn in range(len(measures)):
            which = (repeat + turn) % len(measures)
            took = measures[which]()
            if repeat >= warm_up:
                found[which].append(took)
    return [median(seconds) for seconds in found]
