"""All figures of some runs and pairs, by the names of their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

from mlr.analysis.plots import learning_curves, matrix, pair_curves
from mlr.analysis.plots.curves import WRONG
from mlr.analysis.plots.pairs import objective_of
from mlr.app.trained.restored import RestoredRun, restore, trained_again
from mlr.core.checks import InputError
from mlr.core.domains import Interval
from mlr.figures import fit, loss_curve, outputs, plane, record
from mlr.figures.seen import Moment
from mlr.heads import Head
from mlr.objectives import Objective
from mlr.records.reading import Recorded
from mlr.training.instantiate import make_part, recorded_loss

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES = {
    "loss_train": "loss/train",
    "loss_val": "loss/val",
    "accuracy_val": "accuracy/val",
    "wrong_gradients": WRONG,
}
"""Learning curves, by the name of their file."""
MOVING = {"loss_curve": loss_curve.frames, "decision": plane.frames, "fit": fit.frames}
"""Figures of one run that can be animated."""


class Drawings:
    """Figures of runs and of pairs, each drawn when it is asked for.

    `stills` and `moving` map the name of a figure to the function that draws it, which raises
    InputError if the figure does not suit the sources. `lost` has the reasons of the pairs that a
    figure lacks, by what it lacks.
    """

    def __init__(
        self, runs: Sequence[Recorded], pairs: Sequence[str], allowed: Sequence[str]
    ) -> None:
        """Draw nothing yet.

        Args:
            runs: that can be read; of one run its own figures are drawn too.
            pairs: by name.
            allowed: names that may be imported besides mlr's own parts.
        """
        self.runs, self.pairs, self.allowed = runs, pairs, allowed
        self.lost: dict[str, str] = {}

    @property
    def stills(self) -> dict[str, Callable[[], Figure]]:
        """Figures that do not move."""
        found: dict[str, Callable[[], Figure]] = {"pair_curves": self._pair_curves}
        if self.runs:
            for name, tag in CURVES.items():
                found[name] = partial(self._curves, tag)
        if len(self.runs) > 1:
            found["matrix"] = self._matrix
        if len(self.runs) == 1:
            found |= {name: partial(self._picture, name) for name in _kinds()}
            found["output"] = self._output
        return found

    @property
    def moving(self) -> dict[str, Callable[[], list[Figure]]]:
        """Frames of animations."""
        return {name: partial(self._frames, name) for name in MOVING}

    @cached_property
    def _attempt(self) -> RestoredRun | InputError:
        try:
            return restore(self.runs[0], self.allowed)
        except InputError as error:  # of one attempt for all figures
            return error

    @property
    def _restored(self) -> RestoredRun:
        if isinstance(self._attempt, InputError):
            raise self._attempt
        return self._attempt

    @cached_property
    def _moments(self) -> list[Moment]:
        return [one for one in trained_again(self._restored) if not one.train.lost]

    def _pair_curves(self) -> Figure:
        named: dict[str, str | Objective] = {pair: pair for pair in self.pairs}
        for run in self.runs:
            if run.pair not in named:
                try:
                    named[run.pair] = objective_of_run(run, self.allowed)
                except InputError as error:
                    self.lost[f"{run.pair or run.name} in pair_curves"] = str(error)
        if not named:
            raise InputError("It needs a pair of head and loss.")
        return pair_curves(named.values())

    def _curves(self, tag: str) -> Figure:
        if not any(run.series is not None and tag in run.series.tags for run in self.runs):
            raise InputError(f"No run has recorded {tag}.")
        return learning_curves(self.runs, tag)

    def _matrix(self) -> Figure:
        if len({run.pair for run in self.runs}) == 1:
            raise InputError("It needs runs of several pairs.")
        return matrix(self.runs)

    def _picture(self, name: str) -> Figure:
        kind = _kinds()[name]
        figure = kind.of(self._last())
        if figure is None:
            raise InputError(f"It needs {kind.needs}.")
        return figure

    def _output(self) -> Figure:
        found = outputs.collect(self._last(), self.runs[0].metrics)
        if not found:
            raise InputError("It needs probes.prediction=true.")
        return outputs.draw(found, f"Output, {record.pair_name(self._last().experiment)}")

    def _last(self) -> Moment:
        found = self._restored.last
        if not record.has_numbers(found):
            raise InputError("No example has a finite loss.")
        return found

    def _frames(self, name: str) -> list[Figure]:
        if len(self.runs) != 1:
            raise InputError("An animation is of one run; give the folder of one.")
        kind, last = _kinds()[name], self._restored.last
        # before it is trained again for nothing
        if record.has_numbers(last) and kind.collect(last) is None:
            raise InputError(f"It needs {kind.needs}.")
        titles = [f"{kind.titled(one)} of {last.step}" for one in self._moments]
        frames = MOVING[name](self._moments, titles)
        if not frames:
            raise InputError(f"It needs {kind.needs}.")
        return frames


def _kinds() -> dict[str, record.FigureKind]:
    return {one.name: one for one in record.PICTURES}


def objective_of_run(run: Recorded, allowed: Sequence[str]) -> Objective:
    """Return the objective of a run, whose curves are those of two outputs if these share a loss.

    Raises:
        InputError: a part of it is not allowed or cannot be made.
    """
    if not run.config:
        if not run.pair:
            raise InputError(f"{run.name} does not name its head and loss.")
        return objective_of(run.pair)
    head = make_part("head", run.config.get("head") or {}, Head, allowed)  # type: ignore[type-abstract]
    loss = recorded_loss(run.config, allowed)
    classes = ((run.anatomy or {}).get("classes") or {}).get("count") or []
    shared = len(classes) > 2 and not isinstance(loss.domain, Interval)
    return Objective(head, loss, outputs=2 if shared else None, strict=False)
