"""resume=<folder>: a run that was ended goes on, from its own configuration read as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlr.app.config.run_spec import Plan
from mlr.app.run.checkpointing import about_of
from mlr.app.run.existing_runs import read_or_none
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
from mlr.records.status import FINISHED, FormatError, RunStatus

if TYPE_CHECKING:
    from mlr.training import Experiment
    from mlr.training.state import State

NEEDED = {"config", "records", "versions", "device", "data"}
"""What a checkpoint that can be gone on from says."""
LONGER = ("epochs", "steps")
"""What may be raised without being allowed by name."""


class Begun(NamedTuple):
    """A run that was begun before."""

    folder: Path
    status: RunStatus
    state: State | None
    """as it was kept; None where nothing was, so that it is begun anew"""
    about: dict[str, Any]


def begun(folder: Path, or_new: bool) -> Begun | None:
    """The run of a folder, by its newest intact checkpoint, or by what it was to be.

    Args:
        folder: the run's.
        or_new: whether a new run is as welcome; None then says that there is none to go on with.

    Raises:
        InputError: the folder holds no run, or one of a sweep.
        DataError: none of its checkpoints is intact, or it says nothing of how it was begun.
    """
    kept = (folder / CHECKPOINT).exists() or (folder / PREVIOUS).exists()
    if or_new and not kept and not read_or_none(folder):
        return None
    try:
        status = read_status(folder)
    except DataError as error:
        if not kept or isinstance(error, (FormatError, UnreadableError)):
            raise
        status = RunStatus()  # it is damaged; the checkpoint tells all that is needed
    if (folder.parent / RUNS_TABLE).exists():
        raise InputError(
            f"resume={folder} is a run of a sweep; continue the whole sweep by -m "
            f"sweep.resume={folder.parent}."
        )
    config = _recorded(folder, status)
    if kept:
        run = newest(folder, status)
        # what it was to be when it was killed, perhaps longer than when it was kept
        return run if config is None else run._replace(about=run.about | {"config": config})
    if config is not None:
        return Begun(folder, status, None, {"config": config})
    if or_new:
        return None
    raise DataError(
        f"resume={folder} ended before its first checkpoint; start it again: give its options, "
        f"with hydra.run.dir={folder}."
    )


def _recorded(folder: Path, status: Mapping[str, Any]) -> dict[str, Any] | None:
    """The configuration that a run wrote down; None where it is not whole."""
    try:
        found = read_yaml(folder / CONFIG)
    except InputError:
        return None
    same = isinstance(found, dict) and config_hash(found) == status.get("config_hash")
    return found if same else None


def newest(folder: Path, status: Mapping[str, Any]) -> Begun:
    """A run as its newest intact checkpoint has it.

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
            return Begun(folder, run.status, state, about)
    raise DataError(f"resume={folder} cannot be continued, start it again: {reasons[0]}")


def continued(run: Begun, now: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration of a run with what was typed changed in it.

    Args:
        run: as it was.
        now: what was composed from the command line.
        overrides: of the command line.
    """
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


def is_over(run: Begun, plan: Plan) -> bool:
    """Tell if a run that came to an end has nothing left to do.

    Raises:
        InputError: it diverged, and should go on otherwise.
    """
    status = run.status.get("status")
    if status not in FINISHED:
        return False
    steps = run.status.get("steps", 0)
    if status == "done" and run.state is not None and run.state.step < steps:
        return False  # its last checkpoint is damaged: it ends once more
    old, new = (dict(leaves(identity(config))) for config in (run.about["config"], plan.config))
    if old != new and status == "diverged":
        raise InputError(
            f"resume={run.folder} diverged, and cannot be continued; start again, "
            "with a smaller optimizer.lr."
        )
    return old == new


def check_same(run: Begun, config: Mapping[str, Any], experiment: Experiment) -> None:
    """Refuse what would not end as the undisturbed run does, unless `allow` names it.

    Args:
        run: as it was.
        config: with which it is to go on.
        experiment: likewise.

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
        about = about_of(config, experiment)
        for told, into in ((run.about, old), (about, new)):
            into |= leaves({"versions": told["versions"], "on": {"device": told["device"]}})
        if run.state.threads is not None:  # they round products otherwise
            old["threads"], new["threads"] = run.state.threads, torch.get_num_threads()
    for key in sorted({*old, *new}):
        name = key.removeprefix("on.")
        if old.get(key) != new.get(key) and not {name, key.partition(".")[0]} & allowed:
            raise InputError(
                f"resume={run.folder} was begun with {name}={old.get(key)}, not {new.get(key)}; "
                f"give it that again, or accept another end by allow=[{name}]."
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
            "loads now; restore them, or accept another end by allow=[data]."
        )
    check_files(run.folder, run.about["records"])


def _check_fits(run: Begun, state: State, experiment: Experiment) -> None:
    """Refuse another model, optimizer or probe than what was kept and recorded is of.

    Raises:
        InputError: naming which.
    """
    import torch

    from mlr.training.log import run_tags

    own = experiment.module.state_dict()
    moments = type(experiment.optimizer).stepper([experiment.optimizer], torch.zeros(1, 1)).state
    shapes = [
        {name: (one.shape, one.dtype) for name, one in tensors.items()}
        for tensors in (own, state.state_dict)
    ]
    fits = {
        "model or dtype": shapes[0] == shapes[1],
        "optimizer": set(moments) == set(state.moments),
        "probes": len(run_tags(experiment)) == len(run.about["records"]["seen"]),
    }
    for what, fit in fits.items():
        if not fit:
            raise InputError(
                f"resume={run.folder} cannot continue with this {what}, which does not fit "
                "its checkpoint; start a new run with it."
            )


def begun_before(
    folder: Path, config: Mapping[str, Any], expected: str, experiment: Experiment
) -> Begun | None:
    """The run of a sweep that can go on where it was ended; None begins it anew.

    Args:
        folder: where it is, if anything is there.
        config: of the run.
        expected: its `config_hash`.
        experiment: as it is built now.
    """
    try:
        if not (folder / CHECKPOINT).exists() and not (folder / PREVIOUS).exists():
            return None
        status = read_status(folder)
        run = newest(folder, status)
        check_same(run, config, experiment)
    except (InputError, DataError):
        return None
    return run if status.get("config_hash") == expected else None


def _put(config: dict[str, Any], now: Mapping[str, Any], path: Sequence[str]) -> None:
    """Copy what lies at `path` from one tree into the other."""
    *above, last = path
    for name in above:
        inner, now = config.setdefault(name, {}), now.get(name) or {}
        config[name] = config = inner if isinstance(inner, dict) else {}
    if isinstance(now, Mapping) and last in now:
        config[last] = deepcopy(now[last])
