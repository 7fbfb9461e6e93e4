"""Checkpoint files: a run's state and all else that resuming needs, none of which can be code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import inf, isfinite
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from mlr.core.checks import DataError
from mlr.core.durable import atomic_write, rename
from mlr.records import RunFolder
from mlr.records.checkpoint_file import encode, read
from mlr.records.checksums import checksum
from mlr.records.status import FORMAT, FORMATS, check_format
from mlr.training.state import State, Stop

_LIMIT = 1 << 62
NUMBERS = ("step", "lowest", "waited", "best_step", "threads")


def save_checkpoint(
    folder: RunFolder, state: State, about: Mapping[str, Any], sync: bool = True
) -> None:
    """Replace a run's checkpoint, and keep the one before under another name.

    Args:
        folder: of the run.
        state: of the run.
        about: its configuration, and where its records end; JSON can hold it.
        sync: wait until it is on the disk.

    Raises:
        WriteError: naming the file; the checkpoint before is still there.
    """
    numbers = {name: getattr(state, name) for name in NUMBERS}
    # a checkpoint of a run without this patience is as it was before there was any
    numbers |= {"limit": state.limit} if isfinite(state.limit) else {}
    numbers |= {} if state.judged is None else {"judged": state.judged}
    ending = None if state.ending is None else asdict(state.ending)
    content = encode(
        {name: own.numpy() for name, own in state.tensors.items()},
        {"format": FORMAT, **numbers, "ending": ending, **about},
    )
    newest, before = folder.checkpoint, folder.checkpoint_before
    known = folder.files.pop(newest.name, None)
    # a damaged one does not replace the good one from which the run was resumed
    if newest.exists() and (known is not None or _is_whole(newest)):
        folder.files.pop(before.name, None)
        rename(newest, before)
        if known is not None:
            folder.files[before.name] = known
    atomic_write(newest, content, sync)
    folder.files[newest.name] = checksum(content)


def _is_whole(path: Path) -> bool:
    try:
        read(path)
    except DataError:
        return False
    return True


def load_checkpoint(path: Path) -> tuple[State, dict[str, Any]]:
    """Load a state, and what was saved with it.

    Raises:
        DataError: the file is missing, damaged or of another format.
    """
    arrays, about = read(path)
    check_format(path, about.get("format", FORMATS[0]))
    try:
        return _state(arrays, about), about
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path} is not a checkpoint of a run: {repr(error)[:100]}.") from error


def _state(arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> State:
    ending, numbers = about["ending"], {name: about[name] for name in NUMBERS}
    stop = None if ending is None else Stop(**ending)
    counts = [numbers[name] for name in ("step", "waited", "best_step")]
    counts += [] if numbers["threads"] is None else [numbers["threads"]]
    counts += [] if stop is None else [stop.step]
    if not all(type(count) is int and 0 <= count < _LIMIT for count in counts):
        raise ValueError(f"{counts} are not counts")
    if stop and not (isinstance(stop.refused, dict) and isinstance(stop.reason, str)):
        raise ValueError("its ending is none")
    numbers["lowest"] = float(numbers["lowest"])
    numbers["limit"] = float(about.get("limit", inf))
    numbers["judged"] = None if about.get("judged") is None else float(about["judged"])
    if not numbers["limit"] > 0:
        raise ValueError(f"limit={numbers['limit']} is no number of updates")
    tensors = {name: torch.from_numpy(own) for name, own in arrays.items()}
    state = State(tensors=tensors, ending=stop, **numbers)
    _ = state.snapshots  # their names must be numbers
    return state
