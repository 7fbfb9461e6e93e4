"""Draw all figures of a run into its event file; an error is reported, and does not end the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from struct import unpack
from typing import TYPE_CHECKING, Any, NamedTuple

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
    process,
    reliability,
    weights,
)
from mlr.figures.process import Drawing

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

    from mlr.figures.seen import Moment, Seen
    from mlr.probes.settings import ProbeSettings
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
        ("loss_curve", "{pair}", "classes without order, or a linear head", loss_curve),
        ("course", "Course of training", "two recorded points", course),
        ("decision", "Decision boundary", "two features and few classes", plane),
        ("fit", "Fit", "a regression, or one feature and one output", fit),
        ("weights", "Weights", "images of one channel", weights),
        ("most_wrong", "Most wrong", "examples", most_wrong),
        ("confusion", "Confusion", "validation examples of at most 30 classes", confusion),
        ("reliability", "Reliability", "validation examples and probabilities", reliability),
    )
)


def prepare_figures(probes: ProbeSettings) -> None:
    """Let a process load matplotlib meanwhile, if a run with these probes is going to be drawn."""
    if probes.figures and PICTURES:
        process.start()


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


class FigureEntry(NamedTuple):
    """A summary of a run at one update: a figure to draw, or numbers."""

    step: int
    name: str
    caption: str
    content: Drawing | Summary


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
    entries: list[FigureEntry] = []
    fault: Exception | str = ""
    try:
        entries.extend(_all_entries(recorder, experiment, result))
    except Exception as error:  # a figure is not worth a run, nor the figures before it
        fault = error
    try:
        fault = _record(recorder, entries) or fault
    except Exception as error:
        fault = error
    if fault:
        text = fault if isinstance(fault, str) else f"{type(fault).__name__}: {fault}"
        console.refuse(f"{recorder.folder.path.name} has not all figures: {text}")


def _all_entries(
    recorder: Recorder, experiment: Experiment, result: Result
) -> Iterator[FigureEntry]:
    from mlr.figures.seen import Moment
    from mlr.training.state import Snapshot

    end = Snapshot(result.steps, result.parameters, result.buffers)
    for one in (*result.snapshots, end):
        moment = Moment(experiment, one.step, one.parameters, recorder.folder.metrics, one.buffers)
        yield from entries_of(moment)
    if found := outputs.collect(moment, result.metrics):
        drawing = Drawing(outputs.draw, found, f"Output, {pair_name(experiment)}")
        yield FigureEntry(moment.step, "output", outputs.CAPTION, drawing)


def entries_of(moment: Moment) -> Iterator[FigureEntry]:
    """Yield every figure that suits the run, and its curves; none if no number is finite."""
    if not has_numbers(moment):
        return
    for picture in PICTURES:
        found = picture.collect(moment)
        if found is not None:
            drawing = Drawing(picture.draw, found, picture.titled(moment))
            yield FigureEntry(moment.step, picture.name, picture.caption, drawing)
    if curves := pr_curves.collect(moment):
        summary = pr_curves.summary(curves, moment.experiment.data.labels)
        yield FigureEntry(moment.step, "pr_curve", "", summary)


def has_numbers(moment: Moment) -> bool:
    """Return True if some examples of each split have finite numbers."""
    return all(len(one.losses) for one in _seen(moment))


def _seen(moment: Moment) -> list[Seen]:
    return [one for one in (moment.train, moment.val) if one is not None]


def _record(recorder: Recorder, entries: Sequence[FigureEntry]) -> str:
    """Draw and record entries, up to the first that cannot be drawn; return its error."""
    drawings = [entry.content for entry in entries if isinstance(entry.content, Drawing)]
    images, fault = process.draw(drawings)
    for entry in entries:
        summary = entry.content
        if isinstance(summary, Drawing):
            if not images:
                break
            about = f"{entry.caption} Run {recorder.folder.path.name}."
            summary = image_summary(f"figure/{entry.name}", images.pop(0), about)
        recorder.summary(summary, entry.step)
    return fault


def image_summary(tag: str, image: bytes, caption: str) -> Summary:
    """Wrap a PNG file for TensorBoard's IMAGES page, with a caption in Markdown."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.image import metadata

    width, height = unpack(">II", image[16:24])  # of the header
    content = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=image)
    about = metadata.create_summary_metadata(display_name="", description=caption)
    return Summary(value=[Summary.Value(tag=tag, metadata=about, image=content)])


def pair_name(experiment: Experiment) -> str:
    """Name head and loss, as in `sigmoid + se`."""
    return f"{experiment.objective.head.name} + {experiment.objective.loss.name}"
