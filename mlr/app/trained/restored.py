"""Runs read back from their folders as they were trained: parts, data and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor, nn

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


def spec_of(run: Recorded, allowed: Sequence[str], device: str = "cpu") -> RunSpec:
    """Make the parts of a run from its recorded configuration, for a device.

    Args:
        run: that was read.
        allowed: names that may be imported besides mlr's own parts.
        device: on which it is to compute.

    Raises:
        InputError: it has no configuration, or its parts are not allowed.
    """
    if not run.config:
        raise InputError(f"{run.name} has no configuration, as a run of a loop of one's own.")
    # never from a file: who trusts a package says so now
    return make_run_spec(run.config | {"allow_targets": list(allowed), "device": device})


def load_network(run: Recorded, network: nn.Module) -> tuple[dict[str, Tensor], int]:
    """Load a run's checkpoint into a network; returns its tensors, and the updates they had.

    Raises:
        InputError: there is no checkpoint, or it is of another model.
        DataError: it is damaged.
    """
    checkpoint = run.folder / CHECKPOINT
    if not checkpoint.exists():
        raise InputError(
            f"{run.name} is {run.status} and has no checkpoint, so no network is left; train it "
            "again."
        )
    state, _ = load_checkpoint(checkpoint)
    try:
        network.load_state_dict(state.state_dict)
    except RuntimeError as error:
        raise InputError(f"{run.name} has a checkpoint of another model.") from error
    # of a run that stopped before others of its program, the number of its own updates
    step = int(run.entries["steps"]) if run.status in FINISHED else state.step
    return state.state_dict, step


def restore(run: Recorded, allowed: Sequence[str]) -> RestoredRun:
    """Restore a run from its configuration and its checkpoint.

    Args:
        run: that was read.
        allowed: names that may be imported besides mlr's own parts.

    Raises:
        InputError: it has no configuration or checkpoint, its parts are not allowed, or its data
            are missing or other ones.
    """
    recorded, dtype = str(run.entries.get("device") or "cpu"), run.config.get("dtype")
    try:
        device = choose_device(recorded, str(dtype))
    except InputError:
        device = "cpu"
    spec = spec_of(run, allowed, device)
    experiment = spec.build()
    if run.entries.get("data") not in (None, experiment.data.fingerprint):
        raise InputError(
            f"data={experiment.data.name} loads other data now than {run.name} was trained on."
        )
    found, step = load_network(run, experiment.module)
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
