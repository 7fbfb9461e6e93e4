"""A run's checkpoint: a state, and what else is needed to go on with it, as one checked file.

`model.<name>` is the module's state_dict, `optimizer.<name>` a moment, `snapshot.<step>` the
parameters of that step, `best.<name>` a parameter when the validation loss was lowest, unless
that is now. Nothing in the file can be code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mlr.checks import DataError
from mlr.durable import atomic_write, rename
from mlr.records import RunFolder
from mlr.records.container import encode, read
from mlr.training.endings import Ending
from mlr.training.result import Result
from mlr.training.state import State

FORMAT = 2
MODEL, MOMENT, SNAPSHOT, PREVIOUS = "model.", "optimizer.", "snapshot.", "previous_gradient"
BEST = "best."
NUMBERS = ("lowest", "waited", "best_step", "threads")


def save_checkpoint(
    folder: RunFolder, state: State, about: Mapping[str, Any], sync: bool = True
) -> None:
    """Replace a run's checkpoint; the one before stays beside it.

    Args:
        folder: the run's.
        state: of the run.
        about: what JSON can hold: its configuration, and where its records end.
        sync: wait until it is on the disk.

    Raises:
        WriteError: naming the file; the checkpoint before is still there.
    """
    tensors = {MODEL + name: own for name, own in state.state_dict.items()}
    tensors |= {MOMENT + name: own for name, own in state.moments.items()}
    tensors |= {f"{SNAPSHOT}{step}": row for step, row in state.snapshots}
    tensors |= {BEST + name: own for name, own in state.best.items()}
    if state.previous is not None:
        tensors[PREVIOUS] = state.previous
    known = {name: getattr(state, name) for name in ("step", *NUMBERS)}
    ending = None if state.ending is None else asdict(state.ending)
    content = encode(
        {name: own.numpy() for name, own in tensors.items()},
        {"format": FORMAT, **known, "ending": ending, **about},
    )
    if folder.checkpoint.exists():
        rename(folder.checkpoint, folder.checkpoint_before)
    atomic_write(folder.checkpoint, content, sync)


def load_checkpoint(path: Path) -> tuple[State, dict[str, Any]]:
    """A state, and what was saved about it.

    Raises:
        DataError: the file is missing, damaged, or of another version of mlr.
    """
    arrays, about = read(path)
    if about.get("format") != FORMAT:
        raise DataError(f"{path} has format {about.get('format')}; this mlr reads {FORMAT}.")
    tensors = {name: torch.from_numpy(own) for name, own in arrays.items()}
    try:
        ending = about["ending"]
        state = State(
            step=about["step"],
            state_dict=_named(tensors, MODEL),
            moments=_named(tensors, MOMENT),
            previous=tensors.get(PREVIOUS),
            snapshots=sorted((int(step), row) for step, row in _named(tensors, SNAPSHOT).items()),
            best=_named(tensors, BEST),
            ending=None if ending is None else Ending(**ending),
            **{name: about[name] for name in NUMBERS},
        )
        _check_kinds(state)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no checkpoint of a run: {error!r}.") from error
    return state, about


def _check_kinds(state: State) -> None:
    """Refuse numbers of a file that are none."""
    counts = [state.step, state.waited, state.best_step, state.threads or 0]
    ending = state.ending
    if ending is not None:
        counts.append(ending.step)
        if not isinstance(ending.refused, dict) or not isinstance(ending.reason, str):
            raise ValueError("its ending is none")
    if not all(isinstance(one, int) and one >= 0 for one in counts):
        raise ValueError("its counts are none")
    if not isinstance(state.lowest, (int, float)):
        raise ValueError("its lowest loss is no number")


def final_state(result: Result) -> State:
    """What a run is at its end, with nothing that only going on needs."""
    step, best = result.best
    return State(result.steps, result.state_dict, result.optimizer_state, best_step=step, best=best)


def _named(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): own for name, own in tensors.items() if name.startswith(prefix)
    }
