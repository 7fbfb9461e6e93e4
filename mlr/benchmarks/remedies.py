"""Measure how often the best remedy of `explain --try` cures a planted fault.

The judge shares nothing with the trial but the command to paste: it is trained with other seeds and
compared, on test data, with the healthy twin, the same training without what was planted.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from mlr.analysis.explain import explain
from mlr.analysis.explain.command import repaired
from mlr.app.remedies.command import Attempts
from mlr.benchmarks.explain import PLANTED, Fault, write_tables
from mlr.benchmarks.rows import BenchmarkRow
from mlr.core.checks import InputError
from mlr.lecture.lab import Lab
from mlr.records.reading import read_runs

_INIT, _DRAWN = "model.init=torch model.init_scale=1", "model.weight=null model.bias=null"
_DEEP = "model.init=he model.init_scale=1 model.activation=relu optimizer.lr=0.1"
_LOGISTIC = "head=sigmoid loss=bce"
CURES: Mapping[str, Sequence[str]] = {
    "unscaled": (*["data.scale=unit"] * 4, *["data.scale=standardize"] * 4),
    "lr_too_high": [
        f"optimizer.lr={rate}" for rate in (0.03, 0.5, 0.5, 0.2, 0.001, 0.001, 0.1, 0.5, 0.5)
    ],
    "lr_too_low": [f"optimizer.lr={rate}" for rate in (0.5, 0.5, 0.03, 0.001, 0.5, 0.5, 0.01, 0.1)],
    "clipped_dead": (
        *[f"{_LOGISTIC} model.init=torch"] * 2,
        *[f"{_LOGISTIC} {_DRAWN}"] * 3,
        f"{_LOGISTIC} model.init_scale=1",
    ),
    "saturated": (
        f"loss=bce {_INIT}",
        f"loss=ce {_INIT}",
        f"loss=bce {_DRAWN}",
        "loss=bce model.init=he model.init_scale=1",
        f"loss=bce {_INIT}",
        f"{_LOGISTIC} {_DRAWN}",
    ),
    "dead_class": ["loss=bce model.init=glorot optimizer.lr=0.5"] * 3,
    "confident_right": [_LOGISTIC] * 2,
    "starved": ["model.init=he", *[_DEEP] * 4],
    "label_noise": [""] * 7,
    "rare_class": [""] * 2,  # balanced weights raise its recall, not the accuracy
    "overfitting": [""] * 3,
    "underfitting": ["model=mlp"] * 4,
    "no_likelihood": ["loss=bce"] * 3,
    "not_finite": (_DRAWN, f"{_DRAWN} optimizer.lr=0.05"),
    "initial_loss": (_INIT, "model.init_scale=1", _INIT, _DRAWN, "model.init=torch"),
}
"""By rule, for each of its planted faults in their order: the overrides that undo it.

They were written down without a look at the remedies. Wrong labels and too few examples have none:
to undo them is another task.
"""
FRESH = range(100, 103)
"""Seeds of the judge, which no trial uses."""
BAND = 0.03
"""Largest distance of a cured run's test accuracy from the healthy twin's."""


@dataclass(frozen=True)
class TriedFault:
    """A planted fault and its trial.

    case: the fault.
    remedy: that was recommended; empty for none.
    faulty: mean test accuracy of fresh seeds with the fault.
    cured: with the remedy; that with the fault if there is none.
    healthy: of the healthy twin.
    """

    case: Fault
    remedy: str
    faulty: float
    cured: float
    healthy: float

    @property
    def is_harmful(self) -> bool:
        """True if the fault costs more accuracy than `BAND`, so that there is something to cure."""
        return self.faulty < self.healthy - BAND

    @property
    def is_cured(self) -> bool:
        """True if the remedy brings the accuracy within `BAND` of the healthy twin's."""
        return self.cured >= self.healthy - BAND

    @property
    def in_vain(self) -> bool:
        """True if a remedy was recommended with which the accuracy is lower."""
        return bool(self.remedy) and self.cured < self.faulty - BAND


def rows(repeats: int, cases: Sequence[tuple[Fault, str]] | None = None) -> Iterator[BenchmarkRow]:
    """Measure the share of cured faults, and remedies that made it worse; `repeats` is not used.

    Faults that cost no accuracy are not counted: nothing is needed to cure them.
    """
    with TemporaryDirectory() as folder:
        tried = try_faults(Path(folder), curable() if cases is None else cases)
    harmful = [one for one in tried if one.is_harmful]
    others = [
        f"{one.remedy or 'none'}: {one.case.overrides}" for one in harmful if not one.is_cured
    ]
    cured = len(harmful) - len(others)
    yield BenchmarkRow(
        "explain --try: planted faults cured",
        f"{cured} of {len(harmful)}",
        "; ".join(others),
        100 * cured / len(harmful) if harmful else nan,
        " %",
        least=80,
    )
    worse = [f"{one.remedy}: {one.case.overrides}" for one in tried if one.in_vain]
    yield BenchmarkRow(
        "explain --try: recommended, but worse",
        f"{len(worse)} of {sum(bool(one.remedy) for one in tried)}",
        "; ".join(worse),
        len(worse),
        most=0,
    )


def curable() -> list[tuple[Fault, str]]:
    """Return the planted faults that an override cures, each with its cure."""
    cures = {rule: iter(found) for rule, found in CURES.items()}
    every = [(case, next(cures[case.rule])) for case in PLANTED]
    return [(case, cure) for case, cure in every if cure]


def try_faults(folder: Path, cases: Sequence[tuple[Fault, str]]) -> list[TriedFault]:
    """Train each fault, try its remedies, and train with fresh seeds what was recommended.

    A fault that came about with none of its seeds is left out.
    """
    tables = {name: str(path) for name, path in write_tables(folder).items()}
    lab = Lab(folder / "runs")
    found = []
    for case, cure in cases:
        words = case.overrides.format(**tables).split()
        trained = lab.sweep(*words, f"seed=range(0,{case.seeds})")
        runs = [run for one in trained for run in read_runs(one.folder) if case.took(run)]
        if not runs:
            continue
        remedy, line = _recommended(runs[0].folder)
        faulty = _accuracy(lab, words)
        pasted = shlex.split(line)[2:] if line else words
        cured = _accuracy(lab, pasted) if line else faulty
        healthy = _accuracy(lab, repaired(words, cure))
        found.append(TriedFault(case, remedy, faulty, cured, healthy))
    return found


def _recommended(folder: Path) -> tuple[str, str]:
    """Return the best remedy of a run, and the command to paste; empty for none."""
    runs = read_runs(folder)
    attempts = Attempts(runs, explain(runs), [])
    try:
        attempts.run()
    except InputError:
        return "", ""
    told = attempts.as_object("")
    return told["best"] or "", told.get("command") or ""


def _accuracy(lab: Lab, words: Sequence[str]) -> float:
    """Train with fresh seeds; return the mean test accuracy, 0 for a run that diverged."""
    others = [word for word in words if not word.startswith("seed=")]
    trained = lab.sweep(*others, f"seed=range({FRESH.start},{FRESH.stop})")
    found = [one.metrics.get("accuracy/test", 0.0) for one in trained]
    return fmean(value if isfinite(value) else 0.0 for value in found)
