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
from mlr.figures.seen import Moment
from mlr.records import Recorder
from mlr.training import Experiment, Result


class FigureKind(NamedTuple):
    """Kind of figure."""

    name: str
    title: str
    caption: str
    collect: Callable[[Moment], Any]
    draw: Callable[[Any, str], canvas.Figure]


PICTURES = tuple(
    FigureKind(name, title, part.CAPTION, part.collect, part.draw)
    for name, title, part in (
        ("loss_curve", "{pair}", loss_curve),
        ("course", "Course of training", course),
        ("decision", "Decision boundary", plane),
        ("fit", "Fit", fit),
        ("weights", "Weights", weights),
        ("most_wrong", "Most wrong", most_wrong),
        ("confusion", "Confusion", confusion),
        ("reliability", "Reliability", reliability),
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
            figure = outputs.draw(found, f"Output, {_pair(experiment)}")
            _record(recorder, moment, "output", figure, outputs.CAPTION)
    except Exception as error:  # a figure is not worth a run
        name = recorder.folder.path.name
        console.refuse(f"{name} has not all figures: {type(error).__name__}: {error}")


def draw_moment(recorder: Recorder, moment: Moment) -> None:
    """Draw every figure that suits the run; none if no number is finite."""
    seen = [one for one in (moment.train, moment.val) if one is not None]
    if not all(len(one.losses) for one in seen):
        return
    lost = sum(one.lost for one in seen)
    about = f"step {moment.step}" + (f", {lost} examples not finite" if lost else "")
    for picture in PICTURES:
        found = picture.collect(moment)
        if found is not None:
            title = picture.title.format(pair=_pair(moment.experiment))
            figure = picture.draw(found, f"{title}, {about}")
            _record(recorder, moment, picture.name, figure, picture.caption)
    if curves := pr_curves.collect(moment):
        names = moment.experiment.data.labels
        recorder.summary(pr_curves.summary(curves, names), moment.step)


def _record(
    recorder: Recorder, moment: Moment, name: str, figure: canvas.Figure, caption: str
) -> None:
    about = f"{caption} Run {recorder.folder.path.name}."
    recorder.summary(canvas.image_summary(f"figure/{name}", figure, about), moment.step)


def _pair(experiment: Experiment) -> str:
    return f"{experiment.objective.head.name} + {experiment.objective.loss.name}"
