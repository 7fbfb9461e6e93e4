"""resume=<folder>: a run that was ended goes on, from its own configuration read as data."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlr.app.identity import NOT_THE_RUN, identity
from mlr.app.names import leaves
from mlr.app.outcome import FINISHED
from mlr.app.plan import Plan
from mlr.app.signals import Signals
from mlr.app.sweep_folder import LOCK, TABLE
from mlr.checks import DataError, InputError
from mlr.durable import hold
from mlr.records import RunFolder
from mlr.records.folder import read_status, versions

if TYPE_CHECKING:
    from mlr.data.base import Dataset
    from mlr.records import Recorder
    from mlr.training import Experiment
    from mlr.training.keeper import Keeper
    from mlr.training.state import State

NEEDED = {"records", "versions", "device", "data"}
"""What a checkpoint that can be gone on from says beside its configuration."""
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
    from mlr.training.checkpoint import load_checkpoint

    run = RunFolder(folder, status)
    reasons = []
    for path in (run.checkpoint, run.checkpoint_before):
        try:
            state, about = load_checkpoint(path)
        except DataError as error:
            reasons.append(str(error))
        else:
            return Begun(folder, status, state, about)
    raise DataError(f"resume={folder} has no intact checkpoint, so begin anew: {reasons[0]}")


def continued(run: Begun, now: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration of a run with what was typed changed in it.

    Args:
        run: as it was.
        now: what was composed from the command line.
        overrides: of the command line.

    Raises:
        DataError: the checkpoint does not say with what configuration it began.
    """
    config = deepcopy(run.about.get("config"))
    if not isinstance(config, dict) or not set(run.about) >= NEEDED:
        raise DataError(f"resume={run.folder} does not say how it was begun, so begin anew.")
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


def keeper_of(
    config: Mapping[str, Any],
    experiment: Experiment,
    data: str,
    recorder: Recorder,
    before: Begun | None,
    signals: Signals | None,
) -> Keeper:
    """What keeps a run while it is trained.

    Args:
        config: of the run.
        experiment: likewise.
        data: their `fingerprint`.
        recorder: of the run.
        before: where it goes on; None begins anew.
        signals: that end it after its present step.
    """
    from mlr.training.checkpoint import save_checkpoint
    from mlr.training.keeper import Keeper

    about = {
        "config": identity(config),
        "versions": dict(versions()),
        "device": experiment.device,
        "data": data,
    }

    def keep(states: Sequence[State]) -> None:
        records = {"records": recorder.position()}
        save_checkpoint(recorder.folder, states[0], about | records)

    seconds = config["checkpoint"]["seconds"]
    asked = signals.asked if signals is not None else _never
    return Keeper(keep, seconds, asked, None if before is None else [before.state])


def _never() -> bool:
    return False


def check_same(run: Begun, config: Mapping[str, Any], experiment: Experiment, data: str) -> None:
    """Refuse what would not end as the undisturbed run does, unless `allow` names it.

    Args:
        run: as it was.
        config: with which it is to go on.
        experiment: likewise.
        data: the `fingerprint` of what it loads now.

    Raises:
        InputError: another option, version, device or number of threads, or fewer updates.
        DataError: other data.
    """
    import torch

    allowed = {*config["allow"], "allow_targets", *NOT_THE_RUN}
    if config["schedule"].get("_target_") == "mlr.training.Constant":
        allowed |= set(LONGER)  # other rates depend on the length
    old, new = dict(leaves(run.about["config"])), dict(leaves(config))
    old |= leaves({"versions": run.about["versions"], "on": {"device": run.about["device"]}})
    new |= leaves({"versions": dict(versions()), "on": {"device": experiment.device}})
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
    if run.about["data"] != data and "data" not in allowed:
        raise DataError(
            f"resume={run.folder} was begun with other data than data={experiment.data.name} "
            "loads now; restore them, or accept another end by allow=[data]."
        )


def fingerprint(data: Dataset) -> str:
    """SHA-256 of all numbers of a dataset, hexadecimal."""
    digest = sha256()
    for split in (data.train, data.val, data.test):
        for tensor in (split.features, split.targets):
            whole: Any = tensor.cpu().contiguous().numpy()
            digest.update(whole.reshape(-1).view("uint8").data)
    return digest.hexdigest()


def _put(config: dict[str, Any], now: Mapping[str, Any], path: Sequence[str]) -> None:
    """Copy what lies at `path` from one tree into the other."""
    *above, last = path
    for name in above:
        inner, now = config.setdefault(name, {}), now.get(name) or {}
        config[name] = config = inner if isinstance(inner, dict) else {}
    if isinstance(now, Mapping) and last in now:
        config[last] = deepcopy(now[last])
