"""resume=<folder>: a run that was ended goes on, from its own configuration read as data."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
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
    if not isinstance(config, dict) or not {"records", "versions", "device", "data"} <= {
        *run.about
    }:
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
    """Whether a finished run has nothing left to do."""
    if run.status.get("status") not in FINISHED:
        return False
    old, new = (dict(leaves(identity(config))) for config in (run.about["config"], plan.config))
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
    plan: Plan,
    experiment: Experiment,
    recorder: Recorder,
    before: Begun | None,
    signals: Signals | None,
) -> Keeper:
    """What keeps a run while it is trained."""
    from mlr.training.checkpoint import save_checkpoint
    from mlr.training.keeper import Keeper

    about = {
        "config": identity(plan.config),
        "versions": dict(versions()),
        "device": experiment.device,
        "data": fingerprint(experiment.data),
    }

    def keep(states: Sequence[State]) -> None:
        records = {"records": recorder.position()}
        save_checkpoint(recorder.folder, states[0], about | records)

    seconds = plan.config["checkpoint"]["seconds"]
    asked = signals.asked if signals is not None else _never
    return Keeper(keep, seconds, asked, None if before is None else [before.state])


def _never() -> bool:
    return False


def check_same(run: Begun, config: Mapping[str, Any], data: Dataset, allow: Iterable[str]) -> None:
    """Refuse what would not end as the undisturbed run does.

    Args:
        run: as it was.
        config: with which it is to go on.
        data: that it loads now.
        allow: names of differences that are wanted.

    Raises:
        InputError: another option or version.
        DataError: other data.
    """
    allowed = {*allow, *LONGER, "allow_targets", *NOT_THE_RUN}
    old, new = dict(leaves(run.about["config"])), dict(leaves(config))
    if config["schedule"].get("_target_") != "mlr.training.Constant":
        allowed -= set(LONGER) - set(allow)  # its rates depend on the length
    old |= leaves({"versions": run.about["versions"]})
    new |= leaves({"versions": dict(versions())})
    for key in sorted({*old, *new}):
        names = {key, key.partition(".")[0]}
        if old.get(key) != new.get(key) and not names & allowed:
            raise InputError(
                f"resume={run.folder} was begun with {key}={old.get(key)}, not {new.get(key)}; "
                f"give it that again, or accept another end by allow=[{key}]."
            )
    if run.about["data"] != fingerprint(data) and "data" not in allowed:
        raise DataError(
            f"resume={run.folder} was begun with other data than data={data.name} loads now; "
            "restore them, or accept another end by allow=[data]."
        )


def check_threads(run: Begun, allow: Iterable[str]) -> None:
    """Refuse another number of threads, where it rounds products otherwise.

    Raises:
        InputError: it is another one.
    """
    import torch

    was, now = run.state.threads, torch.get_num_threads()
    if was is not None and was != now and "threads" not in allow:
        raise InputError(
            f"resume={run.folder} was begun with {was} threads, not {now}, which round otherwise; "
            f"set OMP_NUM_THREADS={was}, or accept another end by allow=[threads]."
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
