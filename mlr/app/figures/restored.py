"""Runs read back from their folders as they were trained: parts, data and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from mlr.app.config.run_spec import RunSpec, choose_device, make_run_spec
from mlr.core import console
from mlr.core.checks import InputError
from mlr.figures.record import moments
from mlr.figures.seen import Moment
from mlr.records.reading import Recorded
from mlr.records.run_folder import CHECKPOINT, METRICS
from mlr.records.status import FINISHED
from mlr.training import train
from mlr.training.checkpoint import load_checkpoint
from mlr.training.state import Snapshot

FRAMES = 40
"""Moments of an animation, evenly on a logarithmic scale."""


class RestoredRun(NamedTuple):
    """A run, its parts as they were initialised, and its moment of the last checkpoint."""

    run: Recorded
    spec: RunSpec
    last: Moment


def restore(run: Recorded, allowed: Sequence[str]) -> RestoredRun:
    """Restore a run from its configuration and its checkpoint.

    Args:
        run: that was read.
        allowed: names that may be imported besides mlr's own parts.

    Raises:
        InputError: it has no configuration or checkpoint, its parts are not allowed, or its data
            are missing or other ones.
    """
    if not run.config:
        raise InputError(f"{run.name} has no configuration, as a run of a loop of one's own.")
    recorded, dtype = str(run.entries.get("device") or "cpu"), run.config.get("dtype")
    try:
        device = choose_device(recorded, str(dtype))
    except InputError:
        device = "cpu"
    # never from a file: who trusts a package says so now
    config = run.config | {"allow_targets": list(allowed), "device": device}
    spec = make_run_spec(config)
    experiment = spec.build()
    if run.entries.get("data") not in (None, experiment.data.fingerprint):
        raise InputError(
            f"data={experiment.data.name} loads other data now than {run.name} was trained on."
        )
    state, _ = load_checkpoint(run.folder / CHECKPOINT)
    found = state.state_dict
    try:
        experiment.module.load_state_dict(found)
    except RuntimeError as error:
        raise InputError(f"{run.name} has a checkpoint of another model.") from error
    # of a run that stopped before others of its program, the number of its own updates
    step = int(run.entries["steps"]) if run.status in FINISHED else state.step
    parameters = {name: found[name] for name in experiment.parameters}
    buffers = {name: own.clone() for name, own in experiment.module.named_buffers()}
    return RestoredRun(
        run, spec, Moment(experiment, step, parameters, run.folder / METRICS, buffers)
    )


def trained_again(restored: RestoredRun) -> list[Moment]:
    """Train a run once more, in memory, and return it at about `FRAMES` moments to its end.

    If it does not end with the parameters and buffers of its checkpoint, to the bit, that is
    printed.

    Raises:
        InputError: it has not ended, or cannot be repeated.
    """
    run, last = restored.run, restored.last
    if run.status not in FINISHED:
        raise InputError(f"{run.name} is {run.status}: it has no end to animate yet.")
    experiment = restored.spec.build(last.experiment.data)
    steps = moments(FRAMES, experiment.total_steps)[:-1]
    with console.progress_bar("training again") as show:
        (result,) = train([experiment], progress=show, snapshots=[steps])
    end = Snapshot(result.steps, result.parameters, result.buffers)
    if (
        end.step != last.step
        or not _same(end.parameters, last.parameters)
        or not _same(end.buffers, last.buffers)
    ):
        console.refuse(
            f"{run.name} was trained again and ends with other parameters than its checkpoint; "
            "the animation is of this training."
        )
    return [
        replace(last, experiment=experiment, **one._asdict()) for one in (*result.snapshots, end)
    ]


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Tell if tensors are equal to the bit."""
    return one.keys() == other.keys() and all(
        own.numpy().tobytes() == other[name].numpy().tobytes() for name, own in one.items()
    )
