"""Rows of the report, and the timing of alternatives in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import NormalDist, median, quantiles
from time import perf_counter, process_time
from types import MappingProxyType
from typing import Self

from rich import box
from rich.markup import escape
from rich.table import Table

Measure = Callable[[], float]
"""Does something once; returns its duration in seconds, or its memory in bytes."""
NOTHING: Mapping[str, str] = MappingProxyType({})


class Ratio(float):
    """The median of ratios that were measured in turn; the lower, the better.

    Attributes:
        noise: standard error of the median, as a share of it; NaN if there are fewer than three
            ratios. It is that of normal noise with the quartiles of the ratios, so that single
            measurements during which another program ran do not count.
        repeats: number of ratios.
    """

    noise: float
    repeats: int

    def __new__(cls, value: float, noise: float, repeats: int) -> Self:
        """Make the number with its noise."""
        made = super().__new__(cls, value)
        made.noise, made.repeats = noise, repeats
        return made

    @classmethod
    def of(cls, own: Sequence[float], other: Sequence[float]) -> Self:
        """Divide what was measured in the same rounds."""
        ratios = [a / b for a, b in zip(own, other, strict=True)]
        return cls(median(ratios), relative_noise(ratios), len(ratios))

    def __str__(self) -> str:
        """Return the number with its noise in percent, if that is known."""
        noise = f" ± {100 * self.noise:.2g} %" if isfinite(self.noise) else ""
        return f"{float(self):.3g}{noise}"


MEDIAN = 1.253
"""Standard error of the median of normal noise over that of the mean."""


def relative_noise(ratios: Sequence[float]) -> float:
    """Estimate the standard error of the median of some ratios, as a share of it.

    Source: G. Blom, Statistical Estimates and Transformed Beta-Variables, 1958, for the distance
    between the quartiles of a few normal numbers.
    """
    count = len(ratios)
    if count < 3:
        return float("nan")
    low, _, high = quantiles(ratios, n=4, method="inclusive")
    rank = 1 + 0.75 * (count - 1)
    distance = 2 * NormalDist().inv_cdf((rank - 0.375) / (count + 0.25))
    return MEDIAN * (high - low) / distance / sqrt(count) / median(ratios)


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
    quantity: name of a ratio in `history.csv`; empty if it is not recorded.
    """

    what: str
    mlr: str = ""
    other: str = ""
    value: float | None = None
    unit: str = ""
    most: float | None = None
    least: float | None = None
    quantity: str = ""

    @property
    def result(self) -> str:
        """Value in words; empty without one."""
        if self.value is None:
            return ""
        number = str(self.value) if isinstance(self.value, Ratio) else f"{self.value:.3g}"
        return f"{number}{self.unit}"

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


def table(rows: Iterable[BenchmarkRow], before: Mapping[str, str] = NOTHING) -> Table:
    """Build the table of rows for the terminal.

    Args:
        rows: the measurements.
        before: by quantity, the last recorded ratio, as text.
    """
    built = Table(box=box.SIMPLE_HEAD)
    names = ["", "mlr", "compared with", "result", *(["before"] if before else []), "promised", ""]
    for name in names:
        left = name in ("", "compared with")
        built.add_column(name, justify="left" if left else "right")
    verdicts = {True: "[green]kept[/]", False: "[bold red]missed[/]", None: ""}
    for row in rows:
        last = [before.get(row.quantity, "")] if before else []
        cells = (row.what, row.mlr, row.other, row.result, *last, row.promise)
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


def worked(job: Callable[[], object]) -> Measure:
    """Build the measure of a job's CPU seconds, on all threads."""

    def measure() -> float:
        started = process_time()
        job()
        return process_time() - started

    return measure


def rounds(measures: Sequence[Measure], repeats: int, warm_up: bool = True) -> list[list[float]]:
    """Measure alternatives in turn, repeatedly; returns what each gave, round by round.

    Each round begins with another one, since the first of a round finds the machine rested.
    """
    found: list[list[float]] = [[] for _ in measures]
    for repeat in range(repeats + warm_up):
        for turn in range(len(measures)):
            which = (repeat + turn) % len(measures)
            took = measures[which]()
            if repeat >= warm_up:
                found[which].append(took)
    return found


def in_turn(measures: Sequence[Measure], repeats: int, warm_up: bool = True) -> list[float]:
    """Measure alternatives in turn, repeatedly; returns the median of each."""
    return [median(seconds) for seconds in rounds(measures, repeats, warm_up)]
