"""Where to compute: `auto` takes CUDA, then Apple's MPS, then the CPU."""

from __future__ import annotations

import torch

from mlr.core.checks import InputError


def choose_device(name: str, dtype: str) -> str:
    """The torch device for `name`, one of auto, cpu, cuda, mps.

    Raises:
        InputError: the device is not there, or cannot compute in `dtype`.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available() and dtype != "float64",
        "cpu": True,
    }
    if name == "auto":
        return next(device for device in there if there[device])
    if not there[name]:
        reason = (
            "cannot compute in float64; use dtype=float32 or device=cpu"
            if name == "mps" and torch.backends.mps.is_available()
            else "is not available on this machine; use device=auto or device=cpu"
        )
        raise InputError(f"device={name} {reason}.")
    return name
