"""The folder of a single run: claimed, taken up again, and kept from others meanwhile."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mlr.app.run.existing_runs import clear
from mlr.app.run.resume import Begun
from mlr.core.checks import InputError
from mlr.core.locks import hold
from mlr.records.run_folder import HYDRA, LOCK, STATUS, RunFolder


def take(
    folder: Path, entries: Mapping[str, Any], resume: bool, before: Begun | None
) -> tuple[RunFolder, ExitStack]:
    """The folder of a run, and what lets it go when it is left.

    Args:
        folder: of the run.
        entries: what status.json says of it from its start on.
        resume: whether a run that is there already may be gone on with, or made way for.
        before: that run, where it can go on.

    Raises:
        InputError: it holds a run, another process trains one there, or it cannot be made.
        WriteError: it cannot be written.
    """
    if not resume:
        return RunFolder.claim(folder, **entries), hold_run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = hold_run(folder)
    if before is None:
        clear(folder, but=(LOCK,))
        return RunFolder.claim(folder, **entries), lock
    if before.state is None:
        clear(folder, but=(LOCK, HYDRA, STATUS))
    told = {"config_hash": entries["config_hash"]}
    # nobody knows what was typed for a run whose status.json is damaged
    return RunFolder.reopen(folder, **told if before.status else {**entries, "overrides": []}), lock


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
