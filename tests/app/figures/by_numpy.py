"""Outputs of a run's checkpoint, computed by numpy alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file


def parameters(run: Path) -> dict[str, NDArray]:
    """Parameters of the checkpoint, in the order of the layers."""
    found = load_file(run / "checkpoint.safetensors")
    return {name[6:]: one for name, one in found.items() if name.startswith("model.")}


def logits(run: Path, features: NDArray) -> NDArray:
    """Logits (N, K) of a ReLU network."""
    own = parameters(run)
    layers = sorted({name.rpartition(".")[0] for name in own})
    x = features.astype(np.float32)
    for place, layer in enumerate(layers):
        x = x @ own[f"{layer}.weight"].T + own[f"{layer}.bias"]
        x = np.maximum(x, 0) if place < len(layers) - 1 else x
    return x
