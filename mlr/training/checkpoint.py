"""The final checkpoint of a run: loadable with torch.load(…, weights_only=True)."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from mlr.durable import atomic_write
from mlr.training.result import Result


def save_checkpoint(
    path: Path, result: Result, config: Mapping[str, Any], sync: bool = True
) -> None:
    """Write parameters, moments, step and config in one atomic replacement.

    `checkpoint["parameters"]` is a state_dict of the run's module. `sync` waits until it is
    on the disk.

    Raises:
        OSError: the folder cannot be written.
    """
    buffer = BytesIO()
    torch.save(
        {
            "parameters": result.state_dict,
            "optimizer_state": result.optimizer_state,
            "step": result.steps,
            "metrics": result.metrics,
            "config": dict(config),
        },
        buffer,
    )
    atomic_write(path, buffer.getvalue(), sync)
