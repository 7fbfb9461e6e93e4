"""Finished runs in a notebook: a run, a comparison and a diagnosis that display themselves.

The texts and numbers are those of `mlr compare` and `mlr explain`. Pictures are drawn by
`mlr.analysis.plots`, tables of numbers are loaded by `mlr.records.load`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlr.analysis.compare.command import keys_of
from mlr.analysis.compare.comparison import compare_apart
from mlr.analysis.explain import diagnose
from mlr.analysis.grouping import HEAD_LOSS
from mlr.analysis.notebook.displays import ComparisonDisplay, DiagnosisDisplay, RunDisplay
from mlr.core import console
from mlr.core.checks import InputError
from mlr.records.reading import Recorded, left_out, read_runs

__all__ = ["ComparisonDisplay", "DiagnosisDisplay", "RunDisplay", "compare", "explain", "run"]


def run(place: Path | str) -> RunDisplay:
    """Read one run: settings, final numbers, curves and the first diagnosis.

    Args:
        place: folder of the run.

    Raises:
        InputError: there is no such folder, it holds no run or several.
        DataError: the run is damaged.
    """
    runs = read_runs(place)
    if len(runs) > 1:
        raise InputError(
            f"{place} holds {len(runs)} runs; give the folder of one, for example "
            f"{runs[0].folder}, or compare them."
        )
    return RunDisplay(runs[0])


def compare(
    place: Path | str,
    *more: Path | str,
    by: Sequence[str] | str = HEAD_LOSS,
    metric: str | None = None,
) -> ComparisonDisplay:
    """Rank configurations as `mlr compare` does: table, test of significance and a sentence.

    Args:
        place: folder of a run, of a sweep, or above them.
        *more: further ones; a run found twice counts once.
        by: keys that distinguish configurations, as in `model,optimizer.lr`.
        metric: final number to rank by, as `loss/val`; None is the one that all share.

    Raises:
        InputError: there is no such folder, it holds no run, or no run has a key or the metric.
        DataError: no run there can be read.
    """
    return ComparisonDisplay(compare_apart(_read(place, *more), keys_of(by), metric))


def explain(place: Path | str, *more: Path | str) -> DiagnosisDisplay:
    """Diagnose runs as `mlr explain` does: sentence, evidence and remedy, or a reassurance.

    Args:
        place: folder of a run, of a sweep, or above them.
        *more: further ones; a run found twice counts once.

    Raises:
        InputError: there is no such folder, or it holds no run.
        DataError: no run there can be read.
    """
    runs = _read(place, *more)
    return DiagnosisDisplay(runs, diagnose.explain(runs))


def _read(*places: Path | str) -> list[Recorded]:
    """Read runs, and say on standard error which are left out, as the commands do."""
    runs = read_runs(*places)
    if line := left_out(runs, places):
        console.refuse(line)
    return runs
