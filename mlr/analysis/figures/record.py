"""All figures of a run, into its event file; whatever fails in that is told, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from mlr.analysis.figures import (
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
from mlr.analysis.figures.canvas import image_summary
from mlr.analysis.figures.moments import moments
from mlr.analysis.figures.seen import Moment
from mlr.core import console
from mlr.records import Recorder
from mlr.training import Experiment, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Picture(NamedTuple):
    """One kind of figure."""

    name: str
    title: str
    caption: str
    shown: Callable[[Moment], Any]
    draw: Callable[[Any, str], Figure]


PICTURES = tuple(
    Picture(name, title, part.CAPTION, part.shown, part.draw)
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
    """Numbers of updates after which `train` is to keep the parameters, for `record_figures`."""
    return moments(experiment.probes.figures, experiment.total_steps)[:-1]


def record_figures(recorder: Recorder, experiment: Experiment, result: Result) -> None:
    """Draw the run at the moments that were kept and at its end, as `probes.figures` says.

    Never raises for a figure: one sentence on standard error says what went wrong.

    Args:
        recorder: of the run, not finished yet.
        experiment: what was trained.
        result: what came of it.
    """
    if not experiment.probes.figures:
        return
    try:
        for step, parameters in (*result.snapshots, (result.steps, result.parameters)):
            draw_moment(recorder, Moment(experiment, step, parameters, recorder.folder.metrics))
        draw_outputs(recorder, experiment, result)
    except Exception as error:  # a figure is not worth a run
        name = recorder.folder.path.name
        console.refuse(f"{name} has not all figures: {type(error).__name__}: {error}")


def draw_outputs(recorder: Recorder, experiment: Experiment, result: Result) -> None:
    """The outputs over the updates, of a run that has recorded them."""
    folder, objective = recorder.folder.path, experiment.objective
    found = outputs.shown(folder / "metrics.csv", result.metrics, result.steps)
    if found:
        title = f"Output, {objective.head.name} + {objective.loss.name}"
        about = f"{outputs.CAPTION} Run {folder.name}."
        summary = image_summary("figure/output", outputs.draw(found, title), about)
        recorder.summary(summary, result.steps)


def draw_moment(recorder: Recorder, moment: Moment) -> None:
    """Every figure that makes sense for the run; none where no number is finite."""
    seen = [one for one in (moment.train, moment.val) if one is not None]
    if not all(len(one.losses) for one in seen):
        return
    objective = moment.experiment.objective
    name = recorder.folder.path.name
    pair = f"{objective.head.name} + {objective.loss.name}"
    lost = sum(one.lost for one in seen)
    about = f"step {moment.step}" + (f", {lost} examples not finite" if lost else "")
    for picture in PICTURES:
        found = picture.shown(moment)
        if found is not None:
            figure = picture.draw(found, f"{picture.title.format(pair=pair)}, {about}")
            tag = f"figure/{picture.name}"
            recorder.summary(
                image_summary(tag, figure, f"{picture.caption} Run {name}."), moment.step
            )
    curves = pr_curves.shown(moment)
    if curves:
        names = moment.experiment.data.labels
        recorder.summary(pr_curves.summary(curves, names), moment.step)
