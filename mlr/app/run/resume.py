"""Find a run that was ended before, and check that it can continue.

A single run (`resume=<folder>`) continues from its own configuration, read as data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlr.app.config.run_spec import RunSpec
from mlr.app.run.job import Job
from mlr.core.checks import DataError, InputError, UnreadableError
from mlr.records import RunFolder
from mlr.records.identity import NOT_THE_RUN, config_hash, identity
from mlr.records.plain_yaml import read_yaml
from mlr.records.run_folder import (
    CHECKPOINT,
    CONFIG,
    PREVIOUS,
    RUNS_TABLE,
    check_links,
    read_status,
)
from mlr.records.settings import leaves
from mlr.records.status import FINISHED, FormatError, RunStatus, versions

if TYPE_CHECKING:
    from mlr.training import Experiment
    from mlr.training.state import State

NEEDED = {"config", "records", "versions", "device", "data"}
"""Entries of a checkpoint from which a run can go on."""
LONGER = ("epochs", "steps")
"""Options that may be raised without being allowed by name."""


class EarlierRun(NamedTuple):
    """A run that has begun before.

    folder: of the run.
    status: what its status.json says; empty if that is damaged.
    state: of its checkpoint; None if there is none, so that it starts again.
    about: its configuration, and the other entries of its checkpoint.
    """

    folder: Path
    status: RunStatus
    state: State | None
    about: dict[str, Any]

    def continues(self, total: int) -> str:
        """Describe where the run continues; `total` is the number of updates."""
        if self.state is None:
            return "the run ended before its first checkpoint; it starts again."
        return f"the run continues after {self.state.step:,} of {total:,} updates."


def conditions(config: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """Return the entries of a checkpoint on which the end of its run depends."""
    return {
        "config": identity(config),
        "versions": dict(versions()),
        "device": experiment.device,
        "data": experiment.data.fingerprint,
    }


def earlier_run(folder: Path, or_new: bool) -> EarlierRun | None:
    """Return the single run of a folder, by its newest intact checkpoint or its configuration.

    Args:
        folder: the run's.
        or_new: True to return None if there is no run to continue.

    Raises:
        InputError: the folder holds no run, or one of a sweep.
        DataError: none of its checkpoints is intact, or its configuration is lost.
    """
    has_checkpoint = _has_checkpoint(folder)
    try:
        status = read_status(folder)
    except (FormatError, UnreadableError):
        raise
    except InputError as error:  # it is missing or damaged; a checkpoint has all that is needed
        if not has_checkpoint and not or_new:
            if isinstance(error, DataError):
                raise
            raise InputError(
                f"resume={folder} holds no run: status.json is missing; give the folder of an "
                "interrupted run."
            ) from error
        status = RunStatus()
    if or_new and not has_checkpoint and not status:
        return None
    if (folder.parent / RUNS_TABLE).exists():
        raise InputError(
            f"resume={folder} is a run of a sweep; continue the whole sweep by -m "
            f"sweep.resume={folder.parent}."
        )
    config = _recorded(folder, status)
    if has_checkpoint:
        run = newest(folder, status)
        # as it was to be when it was killed, perhaps longer than at its checkpoint
        return run if config is None else run._replace(about=run.about | {"config": config})
    if config is not None:
        return EarlierRun(folder, status, None, {"config": config})
    if or_new:
        return None
    raise DataError(
        f"resume={folder} ended before its first checkpoint; start it again: give its options, "
        f"with hydra.run.dir={folder}."
    )


def _recorded(folder: Path, status: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the configuration that a run recorded; None if it is not whole."""
    try:
        found = read_yaml(folder / CONFIG)
    except InputError:
        return None
    same = isinstance(found, dict) and config_hash(found) == status.get("config_hash")
    return found if same else None


def newest(folder: Path, status: RunStatus) -> EarlierRun:
    """Return a run by its newest intact checkpoint.

    Raises:
        DataError: none is intact.
    """
    from mlr.records.continuation import check_position
    from mlr.training.checkpoint import load_checkpoint

    check_links(folder)
    run = RunFolder(folder, status)
    reasons = []
    for path in (run.checkpoint, run.checkpoint_before):
        try:
            state, about = load_checkpoint(path)
            if not set(about) >= NEEDED or not isinstance(about["config"], dict):
                raise DataError(f"{path} does not say how it was begun")
            check_position(folder, about["records"])
        except DataError as error:
            reasons.append(str(error))
        else:
            return EarlierRun(folder, run.status, state, about)
    raise DataError(f"resume={folder} cannot be continued, start it again: {reasons[0]}")


def continued(run: EarlierRun, now: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return the recorded configuration of a run, with those of `now` that `overrides` name."""
    config = deepcopy(run.about["config"])
    for override in overrides:
        key = override.partition("=")[0].strip("+~").partition("@")[0]
        root = key.partition(".")[0]
        if root == "experiment":
            config |= deepcopy(dict(now))
        elif root in now and root not in NOT_THE_RUN:
            _put(config, now, key.split("."))
    # never from a file: who trusts a package says so now
    config["allow_targets"] = now["allow_targets"]
    return config | {name: now[name] for name in NOT_THE_RUN if name in now}


def is_over(run: EarlierRun, spec: RunSpec) -> bool:
    """Return True if a run came to its end and has nothing left to do.

    Raises:
        InputError: it diverged, and cannot continue with other options.
    """
    status = run.status.get("status")
    if status not in FINISHED:
        return False
    steps = run.status.get("steps", 0)
    if status == "done" and run.state is not None and run.state.step < steps:
        return False  # its last checkpoint is damaged: it ends once more
    old, new = (dict(leaves(identity(config))) for config in (run.about["config"], spec.config))
    if old != new and status == "diverged":
        raise InputError(
            f"resume={run.folder} diverged, and cannot be continued; start again, "
            "with a smaller optimizer.lr."
        )
    return old == new


def check_same(run: EarlierRun, config: Mapping[str, Any], experiment: Experiment) -> None:
    """Refuse differences that would change the end of the run, unless `allow` names them.

    Raises:
        InputError: another option, version, device or number of threads, or fewer updates.
        DataError: other data, or files that are damaged.
    """
    import torch

    from mlr.records.continuation import check_files

    allowed = {*config["allow"], "allow_targets", *NOT_THE_RUN}
    if config["schedule"].get("_target_") == "mlr.training.Constant":
        allowed |= set(LONGER)  # other rates depend on the length
    old, new = dict(leaves(run.about["config"])), dict(leaves(config))
    if run.state is not None:
        about = conditions(config, experiment)
        for entries, into in ((run.about, old), (about, new)):
            into |= leaves({"versions": entries["versions"], "on": {"device": entries["device"]}})
        if run.state.threads is not None:  # they round products otherwise
            old["threads"], new["threads"] = run.state.threads, torch.get_num_threads()
    for key in sorted({*old, *new}):
        name = key.removeprefix("on.")
        if old.get(key) != new.get(key) and not {name, key.partition(".")[0]} & allowed:
            raise InputError(
                f"resume={run.folder} was begun with {name}={old.get(key)}, not {new.get(key)}: "
                f"use {old.get(key)} again, or allow other results by allow=[{name}]."
            )
    if run.state is None:
        return
    if run.state.step > experiment.total_steps:
        raise InputError(
            f"resume={run.folder} has done {run.state.step} updates already, more than the "
            f"{experiment.total_steps} that are asked for; raise epochs or steps."
        )
    _check_fits(run, run.state, experiment)
    if run.about["data"] != about["data"] and "data" not in allowed:
        raise DataError(
            f"resume={run.folder} was begun with other data than data={experiment.data.name} "
            "loads now: restore the old data, or allow other results by allow=[data]."
        )
    check_files(run.folder, run.about["records"])


def _check_fits(run: EarlierRun, state: State, experiment: Experiment) -> None:
    """Refuse a model, an optimizer or probes other than those of the checkpoint."""
    import torch

    from mlr.training.log import run_tags
    from mlr.training.own_stepper import remembered
    from mlr.training.own_updates import OwnOptimizer
    from mlr.training.state import MOMENT
    from mlr.training.steppers import make_stepper

    own = experiment.module.state_dict()
    found = set(state.named(MOMENT))
    if isinstance(experiment.optimizer, OwnOptimizer):
        moments = remembered(experiment)
        if state.ending is not None:  # before the first update nothing is remembered
            moments &= found
    else:
        moments = set(make_stepper([experiment.optimizer], torch.zeros(1, 1)).state)
    shapes = [
        {name: (one.shape, one.dtype) for name, one in tensors.items()}
        for tensors in (own, state.state_dict)
    ]
    fits = {
        "model or dtype": shapes[0] == shapes[1],
        "optimizer": moments == found,
        "probes": len(run_tags(experiment)) == len(run.about["records"]["seen"]),
    }
    for what, fit in fits.items():
        if not fit:
            raise InputError(
                f"resume={run.folder} cannot continue with this {what}, which does not fit "
                "its checkpoint; start a new run with it."
            )


def run_to_continue(job: Job, experiment: Experiment) -> EarlierRun | None:
    """Return the run of a sweep's job if it can continue from a checkpoint; None if it cannot."""
    try:
        if not _has_checkpoint(job.folder):
            return None
        status = read_status(job.folder)
        run = newest(job.folder, status)
        check_same(run, job.config, experiment)
    except InputError:
        return None
    return run if status.get("config_hash") == job.hash else None


def _has_checkpoint(folder: Path) -> bool:
    return (folder / CHECKPOINT).exists() or (folder / PREVIOUS).exists()


def _put(config: dict[str, Any], now: Mapping[str, Any], path: Sequence[str]) -> None:
    """Copy the value at `path` from `now` into `config`."""
    *above, last = path
    for name in above:
        inner, now = config.setdefault(name, {}), now.get(name) or {}
        config[name] = config = inner if isinstance(inner, dict) else {}
    if isinstance(now, Mapping) and last in now:
        config[last] = deepcopy(now[last])
