"""Draw all figures of a run into its event file; an error is reported, and does not end the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mlr.core import console
from mlr.figures import (
    canvas,
    confusion,
    course,
    fit,
    loss_curve,
    most_wrong,
    outputs,
    plane,
    pr_curves,
    reliability,
    weights,
)
from mlr.figures.seen import Moment, Seen
from mlr.records import Recorder
from mlr.training import Experiment, Result


class FigureKind(NamedTuple):
    """Kind of figure; `needs` names the runs that it suits, after "it needs"."""

    name: str
    title: str
    needs: str
    caption: str
    collect: Callable[[Moment], Any]
    draw: Callable[[Any, str], canvas.Figure]

    def of(self, moment: Moment) -> canvas.Figure | None:
        """Draw a moment; None if the figure does not suit the run."""
        found = self.collect(moment)
        return None if found is None else self.draw(found, self.titled(moment))

    def titled(self, moment: Moment) -> str:
        """Title with the number of updates, and of examples without finite numbers."""
        lost = sum(one.lost for one in _seen(moment))
        about = f"step {moment.step}" + (f", {lost} examples not finite" if lost else "")
        return f"{self.title.format(pair=pair_name(moment.experiment))}, {about}"


PICTURES = tuple(
    FigureKind(name, title, needs, part.CAPTION, part.collect, part.draw)
    for name, title, needs, part in (
        ("loss_curve", "{pair}", "classes or a linear head", loss_curve),
        ("course", "Course of training", "two recorded points", course),
        ("decision", "Decision boundary", "two features and few classes", plane),
        ("fit", "Fit", "a regression, or one feature and one output", fit),
        ("weights", "Weights", "images of one channel", weights),
        ("most_wrong", "Most wrong", "examples", most_wrong),
        ("confusion", "Confusion", "validation examples of at most 30 classes", confusion),
        ("reliability", "Reliability", "validation examples and probabilities", reliability),
    )
)


def moments_before_end(experiment: Experiment) -> tuple[int, ...]:
    """Return the updates after which `train` takes snapshots for `record_figures`."""
    return moments(experiment.probes.figures, experiment.total_steps)[:-1]


def moments(count: int, total_steps: int) -> tuple[int, ...]:
    """Choose `count` updates: start, end, and others evenly on a logarithmic scale.

    Most is learned at first. One moment is the end; short runs have fewer moments.

    Args:
        count: number of moments, 0 for none.
        total_steps: updates of the whole run.
    """
    if count <= 1:
        return (total_steps,) * count
    between = (round(total_steps ** (place / (count - 1))) for place in range(1, count - 1))
    return tuple(sorted({0, *between, total_steps}))


def record_figures(recorder: Recorder, experiment: Experiment, result: Result) -> None:
    """Draw the run at its snapshots and at its end, as many times as `probes.figures`.

    An error in a figure is printed to standard error and not raised.

    Args:
        recorder: of the run, not finished yet.
        experiment: of the run.
        result: of the training.
    """
    if not experiment.probes.figures:
        return
    try:
        for step, parameters in (*result.snapshots, (result.steps, result.parameters)):
            moment = Moment(experiment, step, parameters, recorder.folder.metrics)
            draw_moment(recorder, moment)
        if found := outputs.collect(moment, result.metrics):
            figure = outputs.draw(found, f"Output, {pair_name(experiment)}")
            _record(recorder, moment, "output", figure, outputs.CAPTION)
    except Exception as error:  # a figure is not worth a run
        name = recorder.folder.path.name
        console.refuse(f"{name} has not all figures: {type(error).__name__}: {error}")


def draw_moment(recorder: Recorder, moment: Moment) -> None:
    """Draw every figure that suits the run; none if no number is finite."""
    if not has_numbers(moment):
        return
    for picture in PICTURES:
        figure = picture.of(moment)
        if figure is not None:
            _record(recorder, moment, picture.name, figure, picture.caption)
    if curves := pr_curves.collect(moment):
        names = moment.experiment.data.labels
        recorder.summary(pr_curves.summary(curves, names), moment.step)


def has_numbers(moment: Moment) -> bool:
    """Return True if some examples of each split have finite numbers."""
    return all(len(one.losses) for one in _seen(moment))


def _seen(moment: Moment) -> list[Seen]:
    return [one for one in (moment.train, moment.val) if one is not None]


def _record(
    recorder: Recorder, moment: Moment, name: str, figure: canvas.Figure, caption: str
) -> None:
    about = f"{caption} Run {recorder.folder.path.name}."
    recorder.summary(canvas.image_summary(f"figure/{name}", figure, about), moment.step)


def pair_name(experiment: Experiment) -> str:
    """Name head and loss, as in `sigmoid + se`."""
    return f"{experiment.objective.head.name} + {experiment.objective.loss.name}"
