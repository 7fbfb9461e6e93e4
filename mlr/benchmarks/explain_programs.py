"""Measure how often `explain` names the fault of a PyTorch program, and leaves sound ones alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn
from torch.optim import Optimizer

from mlr.analysis.explain import findings
from mlr.benchmarks.programs.case import Faulty, LookAlike
from mlr.benchmarks.programs.corpus import FAULTY, LOOK_ALIKES
from mlr.benchmarks.programs.faults import MISMATCHES, rules_of
from mlr.benchmarks.rows import BenchmarkRow
from mlr.core.checks import InputError
from mlr.loop.probe import GradientProbe
from mlr.records.reading import read_runs

NOTHING_FOUND = "nothing found"


@dataclass(frozen=True)
class JudgedProgram:
    """A program that was observed, and the first finding.

    case: of the program.
    faulty: True for the form with the fault.
    first: rule of the first finding, or the error that the program ended with instead.
    """

    case: Faulty | LookAlike
    faulty: bool
    first: str

    @property
    def right(self) -> bool:
        """True if the fault is named, or a sound program is left alone."""
        if isinstance(self.case, Faulty) and self.faulty:
            return self.first in rules_of(self.case.faults)
        return self.first == NOTHING_FOUND

    @property
    def mismatch(self) -> bool:
        """True for a fault by which the output does not fit the loss."""
        return isinstance(self.case, Faulty) and self.faulty and self.case.faults[0] in MISMATCHES


def rows(
    faulty: Sequence[Faulty] = FAULTY, look_alikes: Sequence[LookAlike] = LOOK_ALIKES
) -> Iterator[BenchmarkRow]:
    """Observe all programs, and compare the shares of right findings with the promises."""
    with TemporaryDirectory() as folder:
        yield from shares(judge_programs(Path(folder), faulty, look_alikes))


def judge_programs(
    folder: Path, faulty: Sequence[Faulty], look_alikes: Sequence[LookAlike]
) -> list[JudgedProgram]:
    """Run each program with its fault and without, and each look-alike, observed by a probe."""
    judged = []
    for one in faulty:
        for faulty_form in (True, False):
            place = folder / f"{one.name}-{'faulty' if faulty_form else 'corrected'}"
            first = first_finding(one.form(faulty_form), place)
            judged.append(JudgedProgram(one, faulty_form, first))
    for other in look_alikes:
        judged.append(
            JudgedProgram(other, False, first_finding(other.program, folder / other.name))
        )
    return judged


def first_finding(program: Callable[..., float], folder: Path) -> str:
    """Run a program as its author would with the probe's three lines, and diagnose its folder.

    Args:
        program: takes what opens its probe.
        folder: of the run.

    Returns:
        The rule; the error if the program ended with one, and no rule says more.
    """
    error = ""

    def watch(
        model: nn.Module, optimizer: Optimizer | Sequence[Optimizer], **options: Any
    ) -> GradientProbe:
        return GradientProbe(model, optimizer, folder, **options)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program(watch)
        except (RuntimeError, InputError) as raised:
            error = f"{type(raised).__name__}: {raised}"
        try:
            found = [rule for run in read_runs(folder) for rule in findings(run)]
        except InputError as unreadable:  # nothing was recorded
            found, error = [], error or str(unreadable)
    return next(iter(found), error or NOTHING_FOUND)


def shares(judged: Sequence[JudgedProgram]) -> Iterator[BenchmarkRow]:
    """Count what is right among all programs, among those written blind, and among the others."""
    faulty = [one for one in judged if one.faulty]
    sound = [one for one in judged if not one.faulty]
    yield from _rows("programs with a fault: named first", faulty, least=80)
    mismatches = [one for one in faulty if one.mismatch]
    yield from _rows("output does not fit loss: named first", mismatches, least=95)
    yield from _rows("sound programs: false alarms", sound, most=2)


def _rows(
    what: str,
    judged: Sequence[JudgedProgram],
    least: float | None = None,
    most: float | None = None,
) -> Iterator[BenchmarkRow]:
    """Yield the share that is right, or that is wrong if `most` bounds it; for all, with a list."""
    wrong = "; ".join(f"{one.case.name}: {one.first}" for one in judged if not one.right)
    yield _share(what, judged, wrong, least, most)
    for part, blind in (("written with the rules", False), ("written blind", True)):
        some = [one for one in judged if one.case.blind == blind]
        row = _share(f"  of those {part}", some, "", least, most)
        yield replace(row, least=None, most=None)


def _share(
    what: str,
    judged: Sequence[JudgedProgram],
    wrong: str,
    least: float | None,
    most: float | None,
) -> BenchmarkRow:
    count = sum(one.right == (most is None) for one in judged)
    share = 100 * count / len(judged) if judged else None
    counts = f"{count} of {len(judged)}"
    return BenchmarkRow(what, counts, wrong, share, " %", least=least, most=most)
