"""resume=<folder>: a run that was ended goes on, from its own configuration read as data."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlr.app.identity import NOT_THE_RUN, identity
from mlr.app.keepers import about_of
from mlr.app.names import leaves
from mlr.app.outcome import FINISHED
from mlr.app.plan import Plan
from mlr.app.runs_begun import CHECKPOINT, PREVIOUS
from mlr.app.sweep_folder import LOCK, TABLE
from mlr.checks import DataError, InputError
from mlr.durable import hold
from mlr.records import RunFolder
from mlr.records.folder import read_status

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
    status: dict[str, Any]
    state: State
    about: dict[str, Any]


def begun(folder: Path) -> Begun:
    """The run of a folder, by its newest intact checkpoint.

    Raises:
        InputError: the folder holds no run, or one of a sweep.
        DataError: no checkpoint is intact.
    """
    status = read_status(folder)
    if (folder.parent / TABLE).exists():
        raise InputError(
            f"resume={folder} is a run of a sweep; go on with all of it by -m "
            f"sweep.resume={folder.parent}."
        )
    return newest(folder, status)


def newest(folder: Path, status: Mapping[str, Any]) -> Begun:
    """A run as its newest intact checkpoint has it.

    Raises:
        DataError: none is intact.
    """
    from mlr.training.checkpoint import load_checkpoint

    run = RunFolder(folder, dict(status))
    reasons = []
    for path in (run.checkpoint, run.checkpoint_before):
        try:
            state, about = load_checkpoint(path)
        except DataError as error:
            reasons.append(str(error))
            continue
        if set(about) >= NEEDED and isinstance(about["config"], dict):
            return Begun(folder, run.status, state, about)
        reasons.append(f"{path} does not say how it was begun")
    raise DataError(f"resume={folder} has no intact checkpoint, so begin anew: {reasons[0]}")


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
    """Whether a run that came to an end has nothing left to do.

    Raises:
        InputError: it diverged, and should go on otherwise.
    """
    status = run.status.get("status")
    if status not in FINISHED:
        return False
    old, new = (dict(leaves(identity(config))) for config in (run.about["config"], plan.config))
    if old != new and status == "diverged":
        raise InputError(
            f"resume={run.folder} diverged, which nothing afterwards mends; begin anew, "
            "with a smaller optimizer.lr."
        )
    return old == new


def hold_run(folder: Path) -> ExitStack:
    """Keep others from the run of a folder until what is returned is left.

    Raises:
        InputError: another process trains it.
    """
    try:
        lock = hold(folder / LOCK, f"process {os.getpid()} on {socket.gethostname()}")
    except BlockingIOError as error:
        raise InputError(f"{folder} is trained by {error}; wait for its end, or end it.") from error
    left = ExitStack()
    left.callback(os.close, lock)
    return left


def check_same(run: Begun, config: Mapping[str, Any], experiment: Experiment) -> None:
    """Refuse what would not end as the undisturbed run does, unless `allow` names it.

    Args:
        run: as it was.
        config: with which it is to go on.
        experiment: likewise.

    Raises:
        InputError: another option, version, device or number of threads, or fewer updates.
        DataError: other data.
    """
    import torch

    allowed = {*config["allow"], "allow_targets", *NOT_THE_RUN}
    if config["schedule"].get("_target_") == "mlr.training.Constant":
        allowed |= set(LONGER)  # other rates depend on the length
    old, new = dict(leaves(run.about["config"])), dict(leaves(config))
    about = about_of(config, experiment)
    old |= leaves({"versions": run.about["versions"], "on": {"device": run.about["device"]}})
    new |= leaves({"versions": about["versions"], "on": {"device": about["device"]}})
    if run.state.threads is not None:  # they round products otherwise
        old["threads"], new["threads"] = run.state.threads, torch.get_num_threads()
    for key in sorted({*old, *new}):
        name = key.removeprefix("on.")
        if old.get(key) != new.get(key) and not {name, key.partition(".")[0]} & allowed:
            raise InputError(
                f"resume={run.folder} was begun with {name}={old.get(key)}, not {new.get(key)}; "
                f"give it that again, or accept another end by allow=[{name}]."
            )
    if run.state.step > experiment.total_steps:
        raise InputError(
            f"resume={run.folder} has done {run.state.step} updates already, more than the "
            f"{experiment.total_steps} that are asked for; raise epochs or steps."
        )
    if run.about["data"] != about["data"] and "data" not in allowed:
        raise DataError(
            f"resume={run.folder} was begun with other data than data={experiment.data.name} "
            "loads now; restore them, or accept another end by allow=[data]."
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
