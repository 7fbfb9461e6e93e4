"""Measure how often `explain` names planted faults first and leaves healthy runs alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from mlr.analysis.explain import explain, findings
from mlr.benchmarks.faults import FINE, HEALTHY, PLANTED, Case, write_tables
from mlr.benchmarks.rows import Row, duration, in_turn, timed
from mlr.records.reading import Recorded, read_runs

SWEEP = 512
"""Runs that a second must do for."""


@dataclass(frozen=True)
class Judged:
    """A run, and what was said of it first.

    case: what was planted.
    run: that came of it.
    first: rule of the first finding; `HEALTHY` for none.
    """

    case: Case
    run: Recorded
    first: str


class Rate(NamedTuple):
    """Of how many runs a thing is said rightly."""

    rule: str
    right: int
    total: int
    others: Sequence[str]
    """what was said instead, with the overrides of the run"""


def rows(repeats: int, cases: Sequence[Case] = (*PLANTED, *FINE)) -> Iterator[Row]:
    """Hit rates by rule, false alarms, and the time of explaining."""
    with TemporaryDirectory() as folder:
        judged = judge(Path(folder), cases)
        for rate in rates(judged):
            told = f"{rate.right} of {rate.total} runs"
            instead = "; ".join(dict.fromkeys(rate.others))
            if rate.rule == HEALTHY:
                alarms = 100 * (1 - rate.right / rate.total)
                yield Row("healthy: left alone", told, instead, alarms, " % alarms", most=0)
            else:
                hits = 100 * rate.right / rate.total
                yield Row(f"{rate.rule}: named first", told, instead, hits, " %", least=95)
        yield from _times([one.run for one in judged], repeats)


def judge(folder: Path, cases: Sequence[Case]) -> list[Judged]:
    """Train all cases, and ask for the first finding of every run in which its fault took."""
    from mlr.app.lab import Lab

    tables = {name: str(path) for name, path in write_tables(folder).items()}
    lab = Lab(folder / "runs")
    found = []
    for case in cases:
        words = case.overrides.format(**tables).split()
        for trained in lab.sweep(*words, f"seed=range(0,{case.seeds})"):
            (run,) = read_runs(trained.folder)
            if case.took(run):
                found.append(Judged(case, run, next(iter(findings(run)), HEALTHY)))
    return found


def rates(judged: Sequence[Judged]) -> list[Rate]:
    """By rule, in the order of the cases."""
    found = []
    for rule in dict.fromkeys(one.case.rule for one in judged):
        having = [one for one in judged if one.case.rule == rule]
        others = [f"{one.first}: {one.case.overrides}" for one in having if one.first != rule]
        found.append(Rate(rule, len(having) - len(others), len(having), others))
    return found


def _times(runs: Sequence[Recorded], repeats: int) -> Iterator[Row]:
    """Reading included: each run is read again."""

    def ask(some: Sequence[Recorded]) -> None:
        explain([read_runs(run.folder)[0] for run in some])

    one, many = in_turn([timed(lambda: ask(runs[:1])), timed(lambda: ask(runs))], repeats)
    yield Row("explaining one run", duration(one), value=1e3 * one, unit=" ms", most=50)
    whole = many * SWEEP / len(runs)
    told = f"{len(runs)} in {duration(many)}"
    yield Row(f"explaining {SWEEP} runs", duration(whole), told, whole, " s", most=1)
